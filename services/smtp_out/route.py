"""Where a destination's mail goes: its hosts with their addresses, in the order to try, and how each is secured.

The pure decisions are in `plan`; this asks the resolver. Raises nothing but cancellation: DNS trouble is a `Result`.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Awaitable, Callable, Sequence

import attrs

from services.smtp_out import outcome
from services.smtp_out.dane.finder import DaneFinder
from services.smtp_out.dane.judge import Dane
from services.smtp_out.mta_sts.policy import Mode, Policy, ascii_name
from services.smtp_out.options import Options, TlsPolicy
from services.smtp_out.outcome import Result
from services.smtp_out.plan import MAX_ADDRESSES, Hosts, Refusal, plan_hosts, plan_literal, refuse_address
from services.smtp_out.tls_reports.seen import Applied, Failure, Note, PolicyType, Seen, applied, note_nothing
from shared.dns.answers import DnsFailure
from shared.dns.resolver import Resolver

PolicyOf = Callable[[str], Awaitable[Policy | None]]
SMART_HOST_KEY = "(smart host)"


@attrs.frozen
class Target:
    """One address to connect to."""

    host: str
    address: str
    port: int
    tls: TlsPolicy
    promise: str = ""  # of the destination's domain about TLS, in words for the log: "MTA-STS enforce"
    dane: Dane | None = None  # with TlsPolicy.DANE


@attrs.frozen
class Route:
    """The targets to try in order, at least one; at most MAX_ADDRESSES."""

    targets: tuple[Target, ...]
    domain: str = ""  # whose mail exchangers they are, in A-labels; empty for address literals and the smart host
    policy: Policy | None = None  # of MTA-STS


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

    def hop_key(self, destination: str) -> str:
        """What shares sessions: the smart host, or the destination's domain."""
        return SMART_HOST_KEY if self._options.smart_host else destination

    async def route(self, destination: str) -> Route | Result:
        """The route to a destination, or why there is none (now, or ever)."""
        try:
            if self._options.smart_host is not None:
                return await self._smart_host_route()
            return await self._mx_route(destination)
        except DnsFailure as failure:
            # RFC 3463 §3.5 X.4.3: directory server failure
            return outcome.deferred("4.4.3", str(failure), "DNS")

    async def _smart_host_route(self) -> Route | Result:
        smart = self._options.smart_host
        assert smart is not None  # noqa: S101 - the caller has looked
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
            return outcome.deferred("4.4.4", f"the smart host {smart.host} has no usable address", "DNS")
        return Route(tuple(Target(smart.host, address, smart.port, smart.tls) for address in addresses[:MAX_ADDRESSES]))

    async def _mx_route(self, destination: str) -> Route | Result:
        hosts = plan_literal(destination)
        signed: tuple[str, ...] = ()
        if hosts is None:
            answer, records = await self._resolver.mx(destination)
            hosts = plan_hosts(destination, answer, records, self._options.own_names, self._rng)
            # RFC 7672 §2.2.1: hosts that an unsigned zone names may be anybody's, whatever their own zones say
            signed = (ascii_name(destination), answer.canonical_name) if answer.authenticated else ()
        if isinstance(hosts, Refusal):
            return outcome.from_refusal(hosts)
        policy = await self._find_policy(destination) if self._find_policy and not hosts.literal else None
        return await self._targets(destination, hosts, policy, signed)

    async def _targets(
        self, destination: str, hosts: Hosts, policy: Policy | None, signed: tuple[str, ...]
    ) -> Route | Result:
        """`signed`: the names of the destination, where DNSSEC vouches for its MX records."""
        domain = "" if hosts.literal else ascii_name(destination)
        targets: list[Target] = []
        refused = ""
        unnamed: list[str] = []
        failure: DnsFailure | None = None
        for host in hosts.names:
            if len(targets) >= MAX_ADDRESSES:
                break
            try:
                addresses = (host,) if hosts.literal else await self._resolver.addresses(host)
                dane = await self._dane.find(ascii_name(host), signed) if self._dane and signed and addresses else None
            except DnsFailure as error:
                failure = error
                if error.rdtype == "TLSA":
                    tlsa = Applied(PolicyType.TLSA, hosts=(host,))
                    self._note(Seen(domain, tlsa, Failure.DNSSEC_INVALID, host))
                continue
            # RFC 8461 §5: a host that the policy does not name is passed over; §2: DANE goes before
            if dane is None and policy is not None and policy.mode is Mode.ENFORCE and not policy.matches(host):
                unnamed.append(host)
                self._note(Seen(domain, applied(policy, host, None), Failure.VALIDATION_FAILURE, host))
                continue
            for address in addresses:
                reason = refuse_address(address, self._options.allow_private)
                if reason is None:
                    targets.append(Target(host, address, self._options.mx_port, *_security(policy, host, dane), dane))
                else:
                    refused = f"{host} has the address {address}, which {reason}: mail is not sent there"
        if targets:
            return Route(tuple(targets[:MAX_ADDRESSES]), domain, policy)
        if failure is not None:
            raise failure
        if unnamed:
            return _not_named(destination, unnamed)
        # RFC 5321 §5.1: none of the hosts can be used; RFC 3463 §3.5 X.4.4: unable to route
        return outcome.failed("5.4.4", refused or f"no mail exchanger of {destination} has an address", 550)


def _security(policy: Policy | None, host: str, dane: Dane | None) -> tuple[TlsPolicy, str]:
    """How a host is secured under its TLSA records and the domain's policy, and that in words."""
    if dane is not None:
        return TlsPolicy.DANE, "DANE"
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
