"""Whom the checks at the door concern: other servers on the relay port, never accounts, local programs or networks that are trusted.

Law: a check that goes by the address asks `key`, and lets everybody pass whose address something in front of us hides: it is the
whole internet's, and what one does with it must not be held against the others.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from services.smtp_in.transaction import Client
from shared.net.networks import client_key, parse_address

ENTRIES = 10_000
"""Clients that each memory of the checks at the door holds, about 150 octets each."""
_NETWORK_BITS = {4: 8, 6: 80}
"""What is not looked at of an address where its network is meant: /24 and /48 are left."""

Key = tuple[int, int]


class Strangers:
    """`client in strangers`: the checks apply."""

    def __init__(self, known: Sequence[Container[str]], hides: Callable[[str], bool]) -> None:
        """`known`: networks to which nothing of this applies; `hides`: whether anybody may be behind an address."""
        self._known = tuple(known)
        self._hides = hides

    def __contains__(self, client: Client) -> bool:
        if client.stranger is None:
            known = client.account is not None or client.submission or client.lmtp
            client.stranger = not (known or any(client.ip in networks for networks in self._known))
        return client.stranger

    def key(self, client: Client) -> Key | None:
        """What counts as this one client (IPv4 address, IPv6 /64); None where it is no stranger, or hidden."""
        if client not in self or self._hides(client.ip):
            return None
        return client_key(client.ip)


def network_key(ip: str) -> Key:
    """The network around an address: /24, /48 of IPv6."""
    version, number = parse_address(ip)
    return version, number >> _NETWORK_BITS[version]
