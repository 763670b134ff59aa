"""How much a client may do in a time: an allowance per key that refills evenly, and a memory of keys for a time. Pure.

An allowance of 60 a minute lets 60 pass at once and then one each second. What was refused costs nothing, so who slows down is let in again
(the "generic cell rate algorithm": one number per key, the time at which its allowance is whole again).

Both are bounded: beyond `entries` keys the one that was used longest ago is forgotten, which gives it its allowance back. The clock is
passed in (seconds, monotonic).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

_ROUNDING_SECONDS = 1e-6


class Allowance:
    """`limit` per `seconds` for each key; a limit of 0 is none."""

    def __init__(self, limit: int, seconds: float, entries: int, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._each = seconds / limit if limit else 0.0
        self._entries = entries
        self._clock = clock
        self._whole_at: OrderedDict[Hashable, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._whole_at)

    def take(self, key: Hashable) -> bool:
        """Take one, or say that there is none left."""
        if not self._limit:
            return True
        now = self._clock()
        whole_at = max(now, self._whole_at.get(key, now))
        if whole_at - now > self._each * (self._limit - 1) + _ROUNDING_SECONDS:
            self._whole_at.move_to_end(key)
            return False
        self._whole_at[key] = whole_at + self._each
        self._whole_at.move_to_end(key)
        while len(self._whole_at) > self._entries:
            self._whole_at.popitem(last=False)
        return True


class Recent:
    """Keys that are remembered for `seconds` after they were added."""

    def __init__(self, seconds: float, entries: int, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._entries = entries
        self._clock = clock
        self._until: OrderedDict[Hashable, float] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        until = self._until.get(key)
        return until is not None and self._clock() < until

    def __len__(self) -> int:
        return len(self._until)

    def add(self, key: Hashable) -> None:
        """Remember it from now on."""
        self._until[key] = self._clock() + self._seconds
        self._until.move_to_end(key)
        while len(self._until) > self._entries:
            self._until.popitem(last=False)
