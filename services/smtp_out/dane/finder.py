"""The TLSA records that hold for an MX host, from a resolver whose word on DNSSEC is trusted.

Laws
- Only where the resolver says that it has verified the answer (AD) does anything come of it. Whether it may be believed is the
  settings' word (`dns.validating`); without it this module is not used.
- A look-up that fails (a timeout, SERVFAIL, which is also what forged or broken signatures give) is DnsFailure: whoever cannot see
  the records must not take the host for one without (RFC 7672 §2.1.2).
- A host whose addresses come from an unsigned zone is not asked about (RFC 7672 §2.2.2): many of those zones' servers fail at it.
"""

from __future__ import annotations

import attrs

from services.smtp_out.dane.judge import Dane
from services.smtp_out.dane.tlsa import usable_records
from shared.dns.answers import DnsAnswer, DnsFailure, DnsStatus
from shared.dns.resolver import Resolver


@attrs.frozen
class DaneFinder:
    """Asks `resolver`; `port` is where the mail goes."""

    resolver: Resolver
    port: int = 25

    async def find(self, host: str, domains: tuple[str, ...]) -> Dane | None:
        """What holds for a host that a signed MX record named; None: nothing. Raises DnsFailure.

        `domains`: whose mail it is, and what that name is an alias of; DANE-TA lets the certificate name them, too.
        """
        bases = await self._bases(host)
        for base in bases:
            # RFC 7672 §2.2.3: the records of the alias's target before those of the alias
            answer = await self.resolver.resolve(f"_{self.port}._tcp.{base}", "TLSA")
            if answer.authenticated and answer.status is DnsStatus.FOUND:
                # RFC 7672 §3.2.2
                names = tuple(dict.fromkeys((base, host, *domains)))
                return Dane(base, usable_records(answer.records), names)
        return None

    async def _bases(self, host: str) -> tuple[str, ...]:
        """The names that records may stand under, in order; none where the host's zone is not signed."""
        found = [answer for rdtype in ("AAAA", "A") if (answer := await self._address(host, rdtype)) is not None]
        if not found:
            raise DnsFailure(host, "A", "the addresses are not known any more")
        for answer in found:
            if answer.authenticated:
                return tuple(dict.fromkeys((answer.canonical_name, host)))
        if all(answer.canonical_name == host for answer in found):
            return ()
        # RFC 7672 §2.2.2: a signed alias of something unsigned
        alias = await self.resolver.resolve(host, "CNAME")
        return (host,) if alias.authenticated and alias.status is DnsStatus.FOUND else ()

    async def _address(self, host: str, rdtype: str) -> DnsAnswer | None:
        try:
            answer = await self.resolver.resolve(host, rdtype)
        except DnsFailure:
            return None  # the other type's answer says as well whether the zone is signed
        return answer if answer.status is DnsStatus.FOUND else None
