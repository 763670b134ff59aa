"""The DNS cache: TTL, caps, bound."""

from __future__ import annotations

import pytest

from shared.dns.answers import DnsAnswer, DnsStatus
from shared.dns.cache import NEGATIVE_LIMIT_SECONDS, TTL_LIMIT_SECONDS, DnsCache


def answer(name: str, ttl: int, status: DnsStatus = DnsStatus.FOUND) -> DnsAnswer:
    return DnsAnswer(name, "A", status, ("192.0.2.1",) if status is DnsStatus.FOUND else (), name, ttl)


@pytest.mark.parametrize(
    ("ttl", "status", "kept_seconds"),
    [
        (0, DnsStatus.FOUND, 0),
        (30, DnsStatus.FOUND, 30),
        (10**9, DnsStatus.FOUND, TTL_LIMIT_SECONDS),
        (10**9, DnsStatus.NO_NAME, NEGATIVE_LIMIT_SECONDS),
        (10**9, DnsStatus.NO_DATA, NEGATIVE_LIMIT_SECONDS),
    ],
)
def test_kept_for(ttl: int, status: DnsStatus, kept_seconds: int) -> None:
    now = 0.0
    cache = DnsCache(10, lambda: now)
    cache.put(answer("a.test", ttl, status))
    now = kept_seconds - 0.001
    assert (cache.get("a.test", "A") is not None) == (kept_seconds > 0)
    now = kept_seconds
    assert cache.get("a.test", "A") is None


def test_bounded_and_least_recently_used_goes_first() -> None:
    cache = DnsCache(2, lambda: 0.0)
    cache.put(answer("a.test", 9))
    cache.put(answer("b.test", 9))
    assert cache.get("a.test", "A") is not None
    cache.put(answer("c.test", 9))
    assert len(cache) == 2
    assert cache.get("b.test", "A") is None
    assert cache.get("a.test", "A") is not None


def test_size_zero_keeps_nothing() -> None:
    cache = DnsCache(0, lambda: 0.0)
    cache.put(answer("a.test", 9))
    assert len(cache) == 0
