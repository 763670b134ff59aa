"""Counting connections."""

import pytest

from shared.net.limits import ConnectionLimits, Refusal
from shared.net.networks import NetworkSet


def test_per_client_then_total() -> None:
    limits = ConnectionLimits(5, 2, NetworkSet(["192.0.2.0/24"]))
    assert limits.acquire("10.0.0.1") is None
    assert limits.acquire("10.0.0.1") is None
    assert limits.acquire("10.0.0.1") is Refusal.PER_CLIENT
    assert limits.acquire("2001:db8::1") is None
    assert [limits.acquire("192.0.2.1") for _ in range(2)] == [None, None]
    assert limits.acquire("192.0.2.1") is Refusal.TOTAL
    limits.release("10.0.0.1")
    assert limits.acquire("192.0.2.1") is None
    assert limits.statistics() == {"open": 5, "clients": 3}


def test_an_ipv6_network_is_one_client() -> None:
    limits = ConnectionLimits(100, 1)
    assert limits.acquire("2001:db8::1") is None
    assert limits.acquire("2001:db8::2") is Refusal.PER_CLIENT
    assert limits.acquire("2001:db8:0:1::1") is None


def test_nothing_is_remembered_of_those_who_left() -> None:
    limits = ConnectionLimits(10, 10)
    for i in range(1000):
        assert limits.acquire(f"10.0.{i // 250}.{i % 250}") is None
        limits.release(f"10.0.{i // 250}.{i % 250}")
    assert limits.statistics() == {"open": 0, "clients": 0}


def test_zero_is_no_limit_that_makes_sense() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ConnectionLimits(0, 1)


def test_a_proxys_connection_becomes_its_clients() -> None:
    limits = ConnectionLimits(4, 1)
    assert [limits.acquire("10.0.0.1", exempt=True) for _ in range(3)] == [None] * 3
    assert limits.move("10.0.0.1", "192.0.2.1") is None
    assert limits.move("10.0.0.1", "192.0.2.1") is Refusal.PER_CLIENT
    assert limits.statistics() == {"open": 3, "clients": 2}
    for ip in ("192.0.2.1", "10.0.0.1", "10.0.0.1"):
        limits.release(ip)
    assert limits.statistics() == {"open": 0, "clients": 0}
