"""Clients that all look like the gateway: when that is noticed, when it is said, and whom nobody trusts then."""

from pathlib import Path

import pytest

from shared.net.hidden import NEEDED, ClientsWatch, Surroundings, parse_routes, read_surroundings
from shared.net.networks import NetworkSet

DAY = 86_400.0
GATEWAY = "172.18.0.1"
AROUND = Surroundings(frozenset({GATEWAY, "fd00:18::1"}), NetworkSet(["127.0.0.0/8", "172.18.0.0/16", "fd00:18::/64"]))

ROUTE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\tbroken
"""
ZERO = "0" * 32
NEAR = "fd000018" + "0" * 24


def route6(destination: str, length: str, gateway: str, flags: str, interface: str = "eth0") -> str:
    return f"{destination} {length} {ZERO} 00 {gateway} 00000100 00000001 00000000 {flags} {interface:>8}\n"


ROUTE6 = (
    route6(NEAR, "40", ZERO, "00000001")
    + route6("fe80" + "0" * 28, "40", ZERO, "00000001")
    + route6(ZERO, "00", NEAR[:-1] + "1", "00000003")
    + route6(ZERO[:-1] + "1", "80", ZERO, "80200001", "lo")
    + route6(ZERO, "00", ZERO, "00200200", "lo")
)


def told(watch: ClientsWatch, *ips: str, now: float = 0.0) -> list[bool]:
    return [watch.seen(ip, now) for ip in ips]


def test_all_from_the_gateway_is_noticed_at_the_last_one_needed() -> None:
    watch = ClientsWatch(AROUND)
    assert told(watch, *[GATEWAY] * NEEDED) == [False] * (NEEDED - 1) + [True]
    assert watch.hides(GATEWAY)
    assert not watch.hides("172.18.0.7")
    assert watch.statistics() == {"suspected": NEEDED, "hidden": 1}


@pytest.mark.parametrize("other", ["203.0.113.9", "2001:db8::9", "192.168.1.20"])
def test_one_other_client_settles_it(other: str) -> None:
    watch = ClientsWatch(AROUND)
    told(watch, *[GATEWAY] * (NEEDED - 1), other)
    assert not any(told(watch, *[GATEWAY] * 100))
    assert not watch.hides(GATEWAY)


def test_both_families_have_their_gateway() -> None:
    watch = ClientsWatch(AROUND, needed=2)
    assert told(watch, GATEWAY, "fd00:18::1") == [False, True]
    assert watch.hides(GATEWAY)


def test_loopback_and_neighbours_tell_nothing() -> None:
    watch = ClientsWatch(AROUND, needed=2)
    assert told(watch, "127.0.0.1", "172.18.0.7", GATEWAY, "172.18.0.8", "::ffff:127.0.0.1", GATEWAY)[-1]


def test_it_is_said_again_daily_and_only_with_a_client() -> None:
    watch = ClientsWatch(AROUND, needed=1)
    assert watch.seen(GATEWAY, 100.0)
    assert not watch.seen(GATEWAY, 100.0 + DAY - 1)
    assert not watch.seen("172.18.0.7", 100.0 + DAY)
    assert watch.seen(GATEWAY, 100.0 + DAY)
    assert not watch.seen(GATEWAY, 100.0 + DAY + 1)


def test_what_hides_the_world_is_in_no_trusted_network() -> None:
    watch = ClientsWatch(AROUND, needed=2)
    trusted = watch.trusted(["172.16.0.0/12", "192.0.2.1"])
    assert [ip in trusted for ip in (GATEWAY, "172.18.0.7", "192.0.2.1", "192.0.2.2")] == [True, True, True, False]
    told(watch, GATEWAY, GATEWAY)
    assert [ip in trusted for ip in (GATEWAY, "172.18.0.7", "192.0.2.1")] == [False, True, True]
    # for good: an address that comes later does not make the gateway somebody's again
    told(watch, "203.0.113.9")
    assert GATEWAY not in trusted


def test_without_a_private_gateway_nothing_is_watched() -> None:
    watch = ClientsWatch(Surroundings(), needed=1)
    assert not any(told(watch, GATEWAY, "203.0.113.9"))


def test_routing_tables() -> None:
    around = parse_routes(ROUTE, ROUTE6, "little")
    assert around.gateways == {GATEWAY, "fd00:18::1"}
    near = ("172.18.9.9", "fd00:18::9", "fe80::1", "127.0.0.1", "172.19.0.1", "fd00:19::1", "203.0.113.9")
    assert [ip in around.neighbours for ip in near] == [True] * 4 + [False] * 3


def test_a_big_endian_machine_and_a_public_gateway() -> None:
    big = ROUTE.replace("010012AC", "AC120001").replace("000012AC", "AC120000").replace("0000FFFF", "FFFF0000")
    assert parse_routes(big, "", "big").gateways == {GATEWAY}
    assert parse_routes(ROUTE.replace("010012AC", "01080808"), "", "little").gateways == set()


def test_nonsense_and_missing_files_are_nobody(tmp_path: Path) -> None:
    assert parse_routes("x\nzz zz zz zz zz zz zz zz\n", "zz " * 10, "little").gateways == set()
    assert read_surroundings(tmp_path).gateways == set()
    assert "127.0.0.1" in read_surroundings(tmp_path).neighbours
    (tmp_path / "route").write_text(ROUTE)
    assert isinstance(read_surroundings(tmp_path), Surroundings)
