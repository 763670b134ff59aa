"""Where a destination's mail goes: its hosts with their addresses, in the order to try, and how each is secured.

The pure decisions are in `plan`; this asks the resolver. Raises nothing but cancellation: DNS trouble is a `Result`.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Awaitable, Callable

import attrs

from services.smtp_out import outcome, require_tls
from services.smtp_out.mta_sts.policy import Mode, Policy
from services.smtp_out.options import Options, SmartHost, TlsPolicy
from services.smtp_out.outcome import Result
from services.smtp_out.plan import MAX_ADDRESSES, Hosts, Refusal, plan_hosts, plan_literal, refuse_address
from services.smtp_out.require_tls import is_vouched_for
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


@attrs.frozen
class Route:
    """The targets to try in order, at least one; at most MAX_ADDRESSES."""

    targets: tuple[Target, ...]
    relay: SmartHost | None = None  # None: the destination's own servers
    require_tls: bool = False  # for messages with REQUIRETLS


@attrs.frozen
class _Security:
    """How a host is secured, the fields of `Target`."""

    tls: TlsPolicy
    promise: str = ""
    vouched: bool = False


ERRANDS = {
    FILED: Result(OutcomeKind.DELIVERED, "2.1.5", "filed here"),
    NOBODY: outcome.failed("5.1.1", "the account is not here any more", 550),
}
"""What the store has done or found already: somebody is to be told."""


class Router:
    """Resolves destinations."""

    def __init__(
        self, options: Options, resolver: Resolver, rng: random.Random, find_policy: PolicyOf | None = None
    ) -> None:
        """`find_policy` gives the MTA-STS policy that holds for a domain now."""
        self._options = options
        self._resolver = resolver
        self._rng = rng
        self._find_policy = find_policy

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
        return Route(targets, smart)

    async def _mx_route(self, destination: str, tls: TlsWish) -> Route | Result:
        hosts = plan_literal(destination)
        found_by_mx = False
        if hosts is None:
            answer, records = await self._resolver.mx(destination)
            found_by_mx = bool(records)
            hosts = plan_hosts(destination, answer, records, self._options.own_names, self._rng)
        if isinstance(hosts, Refusal):
            return outcome.from_refusal(hosts)
        policy = await self._find_policy(destination) if self._find_policy and not hosts.literal else None
        if tls is TlsWish.OPTIONAL:
            # RFC 8689 §4.2.2: as if nobody had promised anything
            return await self._targets(destination, hosts, lambda host: _Security(TlsPolicy.OPPORTUNISTIC, "TLS-Required: No"))
        if tls is TlsWish.REQUIRED:
            vouched = tuple(host for host in hosts.names if is_vouched_for(host, policy, found_by_mx=found_by_mx))
            if not vouched:
                return require_tls.unvouched(hosts.names)
            security = _Security(TlsPolicy.REQUIRED, "REQUIRETLS", vouched=True)
            return await self._targets(destination, attrs.evolve(hosts, names=vouched), lambda host: security)
        if policy is not None and policy.mode is Mode.ENFORCE:
            # RFC 8461 §5: a host that the policy does not name is passed over
            named = tuple(filter(policy.matches, hosts.names))
            if not named:
                return _not_named(destination, hosts)
            hosts = Hosts(named)
        return await self._targets(
            destination,
            hosts,
            lambda host: _Security(*_security(policy, host), is_vouched_for(host, policy, found_by_mx=found_by_mx)),
        )

    async def _targets(self, destination: str, hosts: Hosts, security_of: Callable[[str], _Security]) -> Route | Result:
        targets: list[Target] = []
        refused = ""
        failure: DnsFailure | None = None
        for host in hosts.names:
            if len(targets) >= MAX_ADDRESSES:
                break
            try:
                addresses = (host,) if hosts.literal else await self._resolver.addresses(host)
            except DnsFailure as error:
                failure = error
                continue
            for address in addresses:
                reason = refuse_address(address, self._options.allow_private)
                if reason is None:
                    how = security_of(host)
                    targets.append(Target(host, address, self._options.mx_port, how.tls, how.promise, how.vouched))
                else:
                    refused = f"{host} has the address {address}, which {reason}: mail is not sent there"
        if targets:
            return Route(tuple(targets[:MAX_ADDRESSES]))
        if failure is not None:
            raise failure
        # RFC 5321 §5.1: none of the hosts can be used; RFC 3463 §3.5 X.4.4: unable to route
        return outcome.failed("5.4.4", refused or f"no mail exchanger of {destination} has an address", 550)


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


def _not_named(destination: str, hosts: Hosts) -> Result:
    # RFC 3463 §3.8 X.7.0: security, nothing finer fits. The policy or the MX records are the owner's to mend: mail waits.
    shown = ", ".join(hosts.names)
    text = f"the MTA-STS policy of {destination} (enforce) names none of its mail exchangers: {shown}"
    return outcome.deferred("4.7.0", text, "MTA-STS")
