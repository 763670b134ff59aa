"""When to try again. Pure: time and randomness are passed in.

The schedule: one minute after the first failure, then twice as long each time, at most four hours; jittered by a fifth
both ways so that entries queued together do not come back together. RFC 5321 §4.5.4.1 asks for at least 30 minutes in
general and allows better: greylisting passes within minutes, a home server's own line is back within minutes, and an
entry costs one connection attempt. The end (five days by default) is the entry's own `expires_at`, set when it was queued;
the last attempt falls on it.
"""

from __future__ import annotations

import random

import attrs


@attrs.frozen
class Schedule:
    """Bounds of the retry schedule, in seconds."""

    first_seconds: float = 60.0
    factor: float = 2.0
    longest_seconds: float = 4 * 3600.0
    jitter: float = 0.2  # part of the delay, both ways


def retry_delay_seconds(schedule: Schedule, attempts: int, rng: random.Random) -> float:
    """The pause after the `attempts`-th failed attempt (1 and up)."""
    exponent = min(max(attempts, 1) - 1, 40)  # 2.0 ** 40 is beyond every bound; more would only overflow
    delay = min(schedule.first_seconds * schedule.factor**exponent, schedule.longest_seconds)
    return delay * rng.uniform(1 - schedule.jitter, 1 + schedule.jitter)


def next_attempt_at(
    schedule: Schedule, attempts: int, now: float, expires_at: float, rng: random.Random
) -> float | None:
    """When to try again (seconds since 1970), or None: the time is over, the recipient has failed."""
    if now >= expires_at:
        return None
    return min(now + retry_delay_seconds(schedule, attempts, rng), expires_at)
