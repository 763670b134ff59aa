"""Where a destination's mail goes: its hosts with their addresses, in the order to try, and how each is secured.

The pure decisions are in `plan`; this asks the resolver. Raises nothing but cancellation: DNS trouble is a `Result`.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Awaitable, Callable, Sequence

import attrs

from services.smtp_out import outcome, require_tls
from services.smtp_out.dane.finder import DaneFinder
from services.smtp_out.dane.judge import Dane
from services.smtp_out.mta_sts.policy import Mode, Policy, ascii_name
from services.smtp_out.options import Options, SmartHost, TlsPolicy
from services.smtp_out.outcome import Result
from services.smtp_out.plan import MAX_ADDRESSES, Hosts, Refusal, plan_hosts, plan_literal, refuse_address
from services.smtp_out.require_tls import is_vouched_for
from services.smtp_out.tls_reports.seen import Applied, Failure, Note, PolicyType, Seen, applied, note_nothing
from shared.contract.queue_types import FILED, NOBODY
from shared.contract.types import OutcomeKind
from shared.contract.wishes_types import TlsWish
from shared.dns.answers import DnsFailure
from shared.dns.resolver import Resolver

PolicyOf = Callable[[str], Awaitable[Policy | None]]


@attrs.frozen
class Target:
    """One address to connect to."""

    host: str
    address: str
    port: int
    tls: TlsPolicy
    promise: str = ""  # of the destination's domain about TLS, in words for the log: "MTA-STS enforce"
    vouched: bool = False  # the name is the owner's word (see `require_tls`)
    dane: Dane | None = None  # with TlsPolicy.DANE


@attrs.frozen
class Route:
    """The targets to try in order, at least one; at most MAX_ADDRESSES."""

    targets: tuple[Target, ...]
    domain: str = ""  # whose mail exchangers they are, in A-labels; empty for address literals and relays
    policy: Policy | None = None  # of MTA-STS
    relay: SmartHost | None = None  # None: the destination's own servers
    require_tls: bool = False  # for messages with REQUIRETLS


@attrs.frozen
class _Security:
    """How a host is secured, the fields of `Target`."""

    tls: TlsPolicy
    promise: str = ""
    vouched: bool = False
    dane: Dane | None = None


@attrs.frozen
class _Promises:
    """What a destination's owner says of its hosts, and what the sender wants."""

    domain: str
    tls: TlsWish
    policy: Policy | None = None
    signed: tuple[str, ...] = ()  # the names of the destination, where DNSSEC vouches for its MX records
    found_by_mx: bool = True

    def security(self, host: str, dane: Dane | None) -> _Security | None:
        """How a host is to be secured under its TLSA records, the domain's policy and the sender's wish; None: it is passed over."""
        policy = self.policy
        if self.tls is TlsWish.OPTIONAL:
            # RFC 8689 §4.2.2: as if nobody had promised anything
            return _Security(TlsPolicy.OPPORTUNISTIC, "TLS-Required: No")
        vouched = bool(self.signed) or is_vouched_for(host, policy, found_by_mx=self.found_by_mx)
        if self.tls is TlsWish.REQUIRED:
            if not vouched:
                return None
            if dane is not None and dane.records:
                return _Security(TlsPolicy.DANE, "REQUIRETLS", vouched, dane)
            return _Security(TlsPolicy.REQUIRED, "REQUIRETLS", vouched)
        if dane is not None:
            # RFC 8461 §2: DANE goes before
            return _Security(TlsPolicy.DANE, "DANE", vouched, dane)
        # RFC 8461 §5: a host that the policy does not name is passed over
        if policy is not None and policy.mode is Mode.ENFORCE and not policy.matches(host):
            return None
        return _Security(*_security(policy, host), vouched)


ERRANDS = {
    FILED: Result(OutcomeKind.DELIVERED, "2.1.5", "filed here"),
    NOBODY: outcome.failed("5.1.1", "the account is not here any more", 550),
}
"""What the store has done or found already: somebody is to be told."""


class Router:
    """Resolves destinations."""

    def __init__(
        self,
        options: Options,
        resolver: Resolver,
        rng: random.Random,
        find_policy: PolicyOf | None = None,
        dane: DaneFinder | None = None,
        note: Note = note_nothing,
    ) -> None:
        """`find_policy` gives the MTA-STS policy that holds for a domain now; `dane` is there where the resolver is trusted."""
        self._options = options
        self._resolver = resolver
        self._rng = rng
        self._find_policy = find_policy
        self._dane = dane
        self._note = note

    async def route(self, destination: str, tls: TlsWish = TlsWish.ANY) -> Route | Result:
        """The route to a destination's own servers, or why there is none (now, or ever)."""
        if destination in ERRANDS:
            return ERRANDS[destination]
        try:
            route = await self._mx_route(destination, tls)
        except DnsFailure as failure:
            return _dns_trouble(failure)
        return _as_wished(route, tls)

    async def relay_route(self, relay: SmartHost, tls: TlsWish = TlsWish.ANY) -> Route | Result:
        """The route to a relay, or why there is none now."""
        try:
            route = await self._relay_route(relay)
        except DnsFailure as failure:
            return _dns_trouble(failure)
        return _as_wished(route, tls)

    async def _relay_route(self, smart: SmartHost) -> Route | Result:
        addresses: tuple[str, ...]
        try:
            addresses = (str(ipaddress.ip_address(smart.host)),)
        except ValueError:
            addresses = await self._resolver.addresses(smart.host)
        if smart.tls is TlsPolicy.NONE:
            # Passwords and mail in the clear never leave the machine.
            addresses = tuple(address for address in addresses if ipaddress.ip_address(address).is_loopback)
        if not addresses:
            # The owner's setting, or the provider's trouble: mail waits for either to be mended.
            return outcome.deferred("4.4.4", f"the relay {smart.host} has no usable address", "DNS")
        targets = tuple(Target(smart.host, address, smart.port, smart.tls, vouched=True) for address in addresses[:MAX_ADDRESSES])
        return Route(targets, relay=smart)

    async def _mx_route(self, destination: str, tls: TlsWish) -> Route | Result:
        hosts = plan_literal(destination)
        found_by_mx = False
        signed: tuple[str, ...] = ()
        if hosts is None:
            answer, records = await self._resolver.mx(destination)
            found_by_mx = bool(records)
            hosts = plan_hosts(destination, answer, records, self._options.own_names, self._rng)
            # RFC 7672 §2.2.1: hosts that an unsigned zone names may be anybody's, whatever their own zones say
            signed = (ascii_name(destination), answer.canonical_name) if answer.authenticated else ()
        if isinstance(hosts, Refusal):
            return outcome.from_refusal(hosts)
        policy = await self._find_policy(destination) if self._find_policy and not hosts.literal else None
        promises = _Promises("" if hosts.literal else ascii_name(destination), tls, policy, signed, found_by_mx)
        return await self._targets(destination, hosts, promises)

    async def _targets(self, destination: str, hosts: Hosts, promises: _Promises) -> Route | Result:
        domain, policy = promises.domain, promises.policy
        targets: list[Target] = []
        refused = ""
        passed_over: list[str] = []
        failure: DnsFailure | None = None
        for host in hosts.names:
            if len(targets) >= MAX_ADDRESSES:
                break
            try:
                addresses = (host,) if hosts.literal else await self._resolver.addresses(host)
                dane = await self._find_dane(host, promises) if addresses else None
            except DnsFailure as error:
                failure = error
                if error.rdtype == "TLSA":
                    tlsa = Applied(PolicyType.TLSA, hosts=(host,))
                    self._note(Seen(domain, tlsa, Failure.DNSSEC_INVALID, host))
                continue
            how = promises.security(host, dane)
            if how is None:
                passed_over.append(host)
                if promises.tls is TlsWish.ANY:
                    self._note(Seen(domain, applied(policy, host, None), Failure.VALIDATION_FAILURE, host))
                continue
            for address in addresses:
                reason = refuse_address(address, self._options.allow_private)
                if reason is None:
                    targets.append(
                        Target(host, address, self._options.mx_port, how.tls, how.promise, how.vouched, how.dane)
                    )
                else:
                    refused = f"{host} has the address {address}, which {reason}: mail is not sent there"
        if targets:
            return Route(tuple(targets[:MAX_ADDRESSES]), domain, policy)
        if failure is not None:
            raise failure
        if passed_over:
            return (
                require_tls.unvouched(passed_over)
                if promises.tls is TlsWish.REQUIRED
                else _not_named(destination, passed_over)
            )
        # RFC 5321 §5.1: none of the hosts can be used; RFC 3463 §3.5 X.4.4: unable to route
        return outcome.failed("5.4.4", refused or f"no mail exchanger of {destination} has an address", 550)


    async def _find_dane(self, host: str, promises: _Promises) -> Dane | None:
        """Raises DnsFailure."""
        if self._dane is None or not promises.signed or promises.tls is TlsWish.OPTIONAL:
            return None
        return await self._dane.find(ascii_name(host), promises.signed)


def _as_wished(route: Route | Result, tls: TlsWish) -> Route | Result:
    if tls is TlsWish.REQUIRED and isinstance(route, Route):
        return attrs.evolve(route, require_tls=True)
    return route


def _dns_trouble(failure: DnsFailure) -> Result:
    # RFC 3463 §3.5 X.4.3: directory server failure
    return outcome.deferred("4.4.3", str(failure), "DNS")


def _security(policy: Policy | None, host: str) -> tuple[TlsPolicy, str]:
    """How a host is secured under the domain's policy, and that in words."""
    if policy is None or policy.mode is Mode.NONE:
        return TlsPolicy.OPPORTUNISTIC, ""
    if policy.mode is Mode.ENFORCE:
        return TlsPolicy.REQUIRED, "MTA-STS enforce"
    # RFC 8461 §5: testing delivers as if there were no policy; what enforce would refuse is told
    return TlsPolicy.OPPORTUNISTIC, "MTA-STS testing" if policy.matches(host) else "MTA-STS testing (host not in the policy)"


def _not_named(destination: str, hosts: Sequence[str]) -> Result:
    # RFC 3463 §3.8 X.7.0: security, nothing finer fits. The policy or the MX records are the owner's to mend: mail waits.
    shown = ", ".join(hosts)
    text = f"the MTA-STS policy of {destination} (enforce) names none of its mail exchangers: {shown}"
    return outcome.deferred("4.7.0", text, "MTA-STS")
