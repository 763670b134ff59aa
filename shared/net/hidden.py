"""Noticing that nobody's address is seen: what stands before us (Docker's userland proxy, a router that rewrites sources) makes
every client look like the gateway.

The rule: loopback and the neighbours on our own networks tell nothing; if all of the first NEEDED other connections of a process come from
its private gateways, they hide the clients. From then on to the process's end a gateway's address is nobody's: it is in no network that is
trusted, because the whole internet has it. One connection from any further address before that settles the question the other way.

Pure but for `read_surroundings`. Source: proc(5), /proc/net/route; the kernel's net/ipv6/route.c for ipv6_route.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Final

import attrs

from shared.net.networks import NetworkSet

NEEDED: Final = 20
"""More than the looks of a router or a monitor at a server that is just set up; a busy one reaches it in minutes."""
REPEAT_SECONDS: Final = 86_400.0

_RTF_GATEWAY: Final = 0x2
_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")


@attrs.frozen
class Surroundings:
    """What the routing table says: who leads outside, and who is next to us."""

    gateways: frozenset[str] = frozenset()
    """Of default routes, in private networks only."""
    neighbours: NetworkSet = attrs.field(factory=lambda: NetworkSet(_LOOPBACK))


class ClientsWatch:
    """One per process; told of every client."""

    def __init__(self, around: Surroundings, needed: int = NEEDED, repeat_seconds: float = REPEAT_SECONDS) -> None:
        self._around = around
        self._needed = needed
        self._repeat_seconds = repeat_seconds
        self._count = 0
        self._settled = not around.gateways
        self._told_at: float | None = None
        self.noticed = False

    def seen(self, ip: str, now: float) -> bool:
        """Count a client's connection; whether it is time to say that clients are hidden: at once, then daily. `now`: seconds."""
        if not self._settled:
            self._count_in(ip)
        if not self.hides(ip):
            return False
        if self._told_at is not None and now - self._told_at < self._repeat_seconds:
            return False
        self._told_at = now
        return True

    def _count_in(self, ip: str) -> None:
        if ip in self._around.gateways:
            self._count += 1
            if self._count >= self._needed:
                self.noticed = self._settled = True
        elif ip not in self._around.neighbours:
            self._settled = True

    def hides(self, ip: object) -> bool:
        """Whether anybody may be behind this address."""
        return self.noticed and ip in self._around.gateways

    def trusted(self, networks: Iterable[str]) -> Container[str]:
        """The networks (CIDR), for as long as their addresses are somebody's."""
        return _Trusted(NetworkSet(networks), self)

    def statistics(self) -> dict[str, int]:
        """Connections that looked hidden, and whether that is settled."""
        return {"suspected": self._count, "hidden": int(self.noticed)}


class _Trusted:
    def __init__(self, networks: NetworkSet, watch: ClientsWatch) -> None:
        self._networks = networks
        self._watch = watch

    def __contains__(self, ip: object) -> bool:
        return ip in self._networks and not self._watch.hides(ip)


def parse_routes(ipv4: str, ipv6: str, byteorder: str = sys.byteorder) -> Surroundings:
    """From the text of /proc/net/route and /proc/net/ipv6_route; lines of another form are passed over."""
    gateways: set[str] = set()
    neighbours: list[str] = list(_LOOPBACK)
    for network, gateway, flags in (*_ipv4_routes(ipv4, byteorder), *_ipv6_routes(ipv6)):
        if not flags & _RTF_GATEWAY:
            if network.prefixlen and network.num_addresses > 1:
                neighbours.append(str(network))
        elif network.prefixlen == 0 and gateway.is_private and not gateway.is_unspecified:
            gateways.add(str(gateway))
    return Surroundings(frozenset(gateways), NetworkSet(neighbours))


_Route = tuple[
    ipaddress.IPv4Network | ipaddress.IPv6Network, ipaddress.IPv4Address | ipaddress.IPv6Address, int
]


def _ipv4_routes(text: str, byteorder: str) -> Iterable[_Route]:
    # Iface Destination Gateway Flags RefCnt Use Metric Mask ...; addresses as the machine holds their 32 bits
    for line in text.splitlines()[1:]:
        words = line.split()
        try:
            destination, gateway, mask = (_machine_address(words[at], byteorder) for at in (1, 2, 7))
            yield ipaddress.IPv4Network(f"{destination}/{mask}"), gateway, int(words[3], 16)
        except (IndexError, ValueError, OverflowError):
            continue


def _machine_address(word: str, byteorder: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(word, 16).to_bytes(4, "little" if byteorder == "little" else "big"))


def _ipv6_routes(text: str) -> Iterable[_Route]:
    # destination length source length next-hop metric references use flags interface
    for line in text.splitlines():
        words = line.split()
        try:
            destination, gateway = (ipaddress.IPv6Address(bytes.fromhex(words[at])) for at in (0, 4))
            if words[9] != "lo":
                yield ipaddress.IPv6Network((destination, int(words[1], 16))), gateway, int(words[8], 16)
        except (IndexError, ValueError):
            continue


def read_surroundings(proc: Path = Path("/proc/net")) -> Surroundings:
    """Of this process; nothing where the system does not tell."""
    texts = []
    for name in ("route", "ipv6_route"):
        try:
            texts.append((proc / name).read_text("ascii", "replace"))
        except OSError:
            texts.append("")
    return parse_routes(*texts)
