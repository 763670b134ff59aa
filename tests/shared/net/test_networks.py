"""Networks and clients as numbers."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.net.networks import NetworkSet, client_key, parse_address, plain_ip

ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


def test_membership() -> None:
    networks = NetworkSet(["127.0.0.0/8", "192.0.2.7", "2001:db8::/32", "10.1.0.0/16"])
    for inside in ("127.9.9.9", "192.0.2.7", "::ffff:127.0.0.1", "2001:db8:1::1", "2001:db8::1%eth0", "10.1.2.3"):
        assert inside in networks
    for outside in ("128.0.0.1", "192.0.2.8", "2001:db9::1", "::1", "10.2.0.0", "", "no address", "127.0.0.1 ", 5):
        assert outside not in networks
    assert networks
    assert not NetworkSet()


@pytest.mark.parametrize("bad", ["", "127.0.0.1/8", "256.0.0.0/8", "host", "10.0.0.0/33", "::/129"])
def test_bad_networks_are_named(bad: str) -> None:
    with pytest.raises(ValueError, match="not a network"):
        NetworkSet(["10.0.0.0/8", bad])


@given(ADDRESSES, st.integers(0, 128), ADDRESSES)
def test_agrees_with_ipaddress(
    base: ipaddress.IPv4Address | ipaddress.IPv6Address,
    length: int,
    probe: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    network = ipaddress.ip_network((base, min(length, base.max_prefixlen)), strict=False)
    ours = NetworkSet([str(network)])
    if not (network.version == 6 and network.overlaps(ipaddress.ip_network("::ffff:0:0/96"))):
        assert str(base) in ours
        mapped = getattr(probe, "ipv4_mapped", None)
        assert (str(probe) in ours) == ((mapped or probe) in network)


@given(ADDRESSES)
def test_every_address_parses(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None) or address
    assert parse_address(str(address)) == (mapped.version, int(mapped))


def test_one_client() -> None:
    assert client_key("2001:db8::1") == client_key("2001:db8::ffff:1")
    assert client_key("2001:db8:0:1::1") != client_key("2001:db8::1")
    assert client_key("192.0.2.1") != client_key("192.0.2.2")
    assert client_key("::ffff:192.0.2.1") == client_key("192.0.2.1")
    # the numbers of an IPv4 address and of an IPv6 /64 may be equal, the keys never
    assert client_key("::1.0.0.1") != client_key("0.0.0.0")
    assert plain_ip("::ffff:192.0.2.1") == "192.0.2.1"
    assert plain_ip("fe80::1%eth0") == "fe80::1"
