"""DNS answers kept for their TTL, bounded in number; the least recently used goes first.

The clock is passed in (seconds, monotonic). Failures are not kept: the caller's retry schedule is their pace.
RFC 2308 §5: a negative answer is kept for the SOA's minimum, at most `negative_limit_seconds`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from shared.dns.answers import DnsAnswer, DnsStatus

TTL_LIMIT_SECONDS = 24 * 3600  # RFC 8767 §4 advises a cap in days; a mail route should heal within one
NEGATIVE_LIMIT_SECONDS = 15 * 60  # a domain that has just been registered should not wait for hours


class DnsCache:
    """`size` answers at most; 0 keeps nothing."""

    def __init__(self, size: int, clock: Callable[[], float]) -> None:
        self._size = size
        self._clock = clock
        self._entries: OrderedDict[tuple[str, str], tuple[float, DnsAnswer]] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: str, rdtype: str) -> DnsAnswer | None:
        """The kept answer, or None when there is none or its time is over."""
        key = (name, rdtype)
        entry = self._entries.get(key)
        if entry is None or entry[0] <= self._clock():
            self._entries.pop(key, None)
            self.misses += 1
            return None
        self._entries.move_to_end(key)
        self.hits += 1
        return entry[1]

    def put(self, answer: DnsAnswer) -> None:
        """Keep an answer for its TTL; a TTL of 0 is not kept (RFC 1035 §3.2.1)."""
        limit = TTL_LIMIT_SECONDS if answer.status is DnsStatus.FOUND else NEGATIVE_LIMIT_SECONDS
        seconds = min(answer.ttl_seconds, limit)
        if seconds <= 0 or self._size <= 0:
            return
        key = (answer.name, answer.rdtype)
        self._entries[key] = (self._clock() + seconds, answer)
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        self._entries.clear()
