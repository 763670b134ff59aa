"""Where a client is: its address, and the network around it, as what is counted and banned.

A client is an IPv4 address or an IPv6 /64 (RFC 6177: one subscriber has at least that much); its network is the /24 or the /48 around
it. A net is (version, prefix length, leading bits as a number), so that looking one up is looking up a tuple.
"""

import ipaddress
from typing import Final

import attrs

from shared.contract.bans_types import BanKind

Net = tuple[int, int, int]

ADDRESS_PREFIX: Final = {4: 32, 6: 64}
NETWORK_PREFIX: Final = {4: 24, 6: 48}
BITS: Final = {4: 32, 6: 128}


@attrs.frozen
class Place:
    """An IP address as a number: version 4 or 6."""

    version: int
    number: int

    @property
    def address(self) -> Net:
        """What counts as one client."""
        return self.within(ADDRESS_PREFIX[self.version])

    @property
    def network(self) -> Net:
        """What counts as one neighbourhood."""
        return self.within(NETWORK_PREFIX[self.version])

    def within(self, prefix: int) -> Net:
        """The net of this prefix length around it."""
        return self.version, prefix, self.number >> (BITS[self.version] - prefix)


def kind_of(net: Net) -> BanKind:
    """What a net is called: one client, or a network of them."""
    return BanKind.ADDRESS if net[1] == ADDRESS_PREFIX[net[0]] else BanKind.NETWORK


def net_text(net: Net) -> str:
    """192.0.2.7, 192.0.2.0/24, 2001:db8:0:1::/64."""
    version, prefix, bits = net
    number = bits << (BITS[version] - prefix)
    address = ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number)
    return str(address) if version == 4 and prefix == 32 else f"{address}/{prefix}"


def parse_net(text: str) -> Net | None:
    """A net as a person writes it, the address of a host in it included; None for what is none.

    An IPv6 net below /64 is the /64 around it. An IPv4 address mapped into IPv6 is the IPv4 address (RFC 4291 §2.5.5.2).
    """
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network):
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= 96:
            return Place(4, int(mapped)).within(network.prefixlen - 96)
    version = network.version
    return Place(version, int(network.network_address)).within(min(network.prefixlen, ADDRESS_PREFIX[version]))


def overlap(one: Net, other: Net) -> bool:
    """Whether one of them lies inside the other."""
    if one[0] != other[0]:
        return False
    wide, narrow = sorted((one, other), key=lambda net: net[1])
    return narrow[2] >> (narrow[1] - wide[1]) == wide[2]
