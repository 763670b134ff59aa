"""All looks at one server, side by side where they are slow."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import trio

from shared.config.schema import Settings
from shared.contract.dkim_types import DnsRecord
from shared.dns.configure import make_resolver
from shared.dns.drive import look_up
from shared.doctor import machine
from shared.doctor.findings import Finding, Level
from shared.doctor.records import look_at_domain

Domains = Sequence[tuple[str, tuple[DnsRecord, ...]]]


class Doctor:
    """Knows whom to look at."""

    def __init__(
        self,
        settings: Settings,
        hostname: str,
        certificate: Path,
        probe: str,
        time_server: tuple[str, int],
        seconds: float,
        relay: str = "",
    ) -> None:
        """``probe``: a domain whose server is connected to on port 25; ``time_server``: name and port; ``relay``: what mail leaves through.

        Raises ValueError for resolvers that are none.
        """
        self._resolver = make_resolver(settings.dns)
        self._settings = settings
        self._hostname = hostname
        self._certificate = certificate
        self._probe = probe
        self._time_server = time_server
        self._seconds = seconds
        self._relay = relay

    async def look(self, domains: Domains, now: dt.datetime) -> list[Finding]:
        """In the order in which they matter. Never raises for what it finds."""
        resolver, relayed = self._resolver, bool(self._relay)
        found, addresses = await machine.look_at_name(resolver, self._hostname)
        slow: dict[int, list[Finding]] = {}

        async def way_out() -> None:
            port = self._settings.smtp_out.mx_port
            slow[0] = [await machine.look_at_way_out(resolver, self._probe, port, self._seconds)]

        async def clock() -> None:
            slow[1] = [await machine.look_at_clock(resolver, *self._time_server, self._seconds)]

        async def name_back() -> None:
            slow[2] = await machine.look_at_addresses(resolver, self._hostname, addresses)
            slow[3] = await machine.look_at_block_lists(resolver, addresses)

        async def domain(position: int, name: str, wanted: tuple[DnsRecord, ...]) -> None:
            looking = look_at_domain(name, wanted, addresses, relayed=relayed)
            slow[4 + position] = await look_up(looking, resolver)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(clock)
            if relayed:
                # mail leaves through a provider: its addresses and its way out are the provider's business
                slow[0] = [Finding("port 25", Level.OK, f"mail leaves through {self._relay}")]
            else:
                nursery.start_soon(way_out)
                nursery.start_soon(name_back)
            for position, (name, wanted) in enumerate(domains):
                nursery.start_soon(domain, position, name, wanted)
        found.append(machine.look_at_certificate(self._certificate, self._hostname, now))
        for position in sorted(slow):
            found += slow[position]
        if not domains:
            found.append(Finding("domains", Level.PROBLEM, "no domain's mail is taken yet", "pillarbox domain add example.org"))
        return found
