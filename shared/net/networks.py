"""IP addresses as numbers, and lists of networks that are matched fast.

An address is a (version, number) pair; an IPv4 address that arrives mapped into IPv6 (::ffff:192.0.2.1, RFC 4291
§2.5.5.2) is the IPv4 address that it stands for, so that a list of IPv4 networks means the same on a dual-stack socket.

A match costs one dictionary look-up per distinct prefix length in the list, whatever the list's size.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

_MAPPED_PREFIX = b"\x00" * 10 + b"\xff\xff"

PRIVATE_NETWORKS = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10",
)  # fmt: skip
"""Loopback, private and link-local ones: nobody comes from there through the internet."""

IPV6_CLIENT_PREFIX = 64
"""One subscriber has at least this much (RFC 6177): anything finer lets one client count as millions."""


def parse_address(text: str) -> tuple[int, int]:
    """(4 or 6, number) of a textual IP address without brackets; a zone (`%eth0`) is ignored.

    Raises ValueError for anything else.
    """
    try:
        if ":" not in text:
            return 4, int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big")
        packed = socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
    except OSError:
        raise ValueError(f"not an IP address: {text!r}") from None
    # RFC 4291 §2.5.5.2
    if packed.startswith(_MAPPED_PREFIX):
        return 4, int.from_bytes(packed[12:], "big")
    return 6, int.from_bytes(packed, "big")


def plain_ip(text: str) -> str:
    """The address as we write it everywhere: IPv4 unmapped, no zone."""
    if text.startswith("::ffff:") and "." in text:
        return text[7:]
    return text.partition("%")[0]


def client_key(ip: str) -> tuple[int, int]:
    """What counts as one client: an IPv4 address, an IPv6 /64. Raises ValueError for what is no address."""
    version, number = parse_address(ip)
    return (4, number) if version == 4 else (6, number >> (128 - IPV6_CLIENT_PREFIX))


class NetworkSet:
    """A fixed list of networks: `"192.0.2.7" in networks`."""

    __slots__ = ("_by_prefix", "_texts")

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Takes CIDR networks or single addresses as text; raises ValueError that names the bad one."""
        self._texts = tuple(networks)
        # (version, shift) -> the network numbers shifted right
        self._by_prefix: dict[tuple[int, int], set[int]] = {}
        for text in self._texts:
            try:
                network = ipaddress.ip_network(text.strip())
            except ValueError as error:
                raise ValueError(f"not a network: {text!r} ({error})") from None
            shift = network.max_prefixlen - network.prefixlen
            number = int(network.network_address) >> shift
            self._by_prefix.setdefault((network.version, shift), set()).add(number)

    def __contains__(self, ip: object) -> bool:
        """Whether the textual address is in one of the networks; False for what is no address."""
        if not self._by_prefix or not isinstance(ip, str):
            return False
        try:
            version, number = parse_address(ip)
        except ValueError:
            return False
        return any(v == version and number >> shift in numbers for (v, shift), numbers in self._by_prefix.items())

    def __bool__(self) -> bool:
        return bool(self._by_prefix)

    def __repr__(self) -> str:
        return f"NetworkSet({list(self._texts)!r})"
