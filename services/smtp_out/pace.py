"""How fast mail may leave: token buckets per destination and per account. Pure: times are passed in.

A bucket fills at its rate and holds a few seconds' worth: messages are spaced, and one alone never waits. Each process
has its part of the rate.
"""

from __future__ import annotations

import attrs

BURST_SECONDS = 5.0  # of the rate, may go at once after a pause
MAX_BUCKETS = 2000  # above which full ones, that say nothing, are forgotten
_LEAST = 1e-9


@attrs.define
class Bucket:
    """`per_second` messages, at most `burst` at once."""

    per_second: float
    burst: float
    tokens: float
    at: float

    @classmethod
    def full(cls, per_minute: float, now: float) -> Bucket:
        """As after a long pause."""
        burst = max(1.0, per_minute / 60 * BURST_SECONDS)
        return cls(per_minute / 60, burst, burst, now)

    def wait_seconds(self, now: float) -> float:
        """Until the next message may go; 0: now."""
        self._fill(now)
        return 0.0 if self.tokens >= 1 - _LEAST else (1 - self.tokens) / self.per_second

    def take(self, now: float) -> None:
        """A message goes."""
        self._fill(now)
        self.tokens -= 1

    def is_full(self, now: float) -> bool:
        self._fill(now)
        return self.tokens >= self.burst

    def _fill(self, now: float) -> None:
        if now > self.at:
            self.tokens = min(self.burst, self.tokens + (now - self.at) * self.per_second)
            self.at = now


@attrs.frozen
class Rates:
    """Messages a minute of this process; 0: no limit."""

    per_destination: float = 0.0
    per_account: float = 0.0
    destinations: dict[str, float] = attrs.field(factory=dict)  # those with a rate of their own


Key = tuple[str, int]  # destination, or account


class Pace:
    """All buckets."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._buckets: dict[Key, Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def destination_wait(self, key: str, now: float) -> float:
        """Seconds until the next message for this hop."""
        per_minute = self._rates.destinations.get(key, self._rates.per_destination)
        return self._bucket((key, 0), per_minute, now).wait_seconds(now) if per_minute else 0.0

    def account_wait(self, account: int, now: float) -> float:
        """Seconds until the next message of this account; what no account submitted never waits."""
        per_minute = self._rates.per_account
        return self._bucket(("", account), per_minute, now).wait_seconds(now) if per_minute and account else 0.0

    def started(self, key: str, account: int, now: float) -> None:
        """A message goes; nobody has to wait for it."""
        for each in ((key, 0), ("", account)):
            if (bucket := self._buckets.get(each)) is not None:
                bucket.take(now)

    def _bucket(self, key: Key, per_minute: float, now: float) -> Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= MAX_BUCKETS:
                self._buckets = {known: one for known, one in self._buckets.items() if not one.is_full(now)}
            bucket = self._buckets[key] = Bucket.full(per_minute, now)
        return bucket
