"""Hosts that said they are busy, or cannot be reached: for a time the other hosts of the destination go first.

A host that rests is tried last, not never: where it is the only one, the retry schedule of the mail is its rest. Names stand for
hosts that refused, addresses for those that could not be reached (the other addresses of the host may well be). Times are
passed in; no I/O.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from services.smtp_out.route import Target

FIRST_SECONDS = 300.0  # longer than the first retries of what the host refused: they go elsewhere
LONGEST_SECONDS = 3600.0
MAX_RESTS = 1000


class Rests:
    """At most MAX_RESTS; the oldest goes first."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()  # seconds, until

    def __len__(self) -> int:
        return len(self._known)

    def begin(self, name: str, now: float) -> None:
        """The host (or address) is left alone, twice as long as the last time; while it rests already, nothing changes."""
        seconds, until = self._known.get(name, (0.0, 0.0))
        if now < until:
            return
        # trouble right after a rest is the same trouble; long after, it is new
        seconds = min(2 * seconds, LONGEST_SECONDS) if seconds and now < until + LONGEST_SECONDS else FIRST_SECONDS
        self._known[name] = (seconds, now + seconds)
        self._known.move_to_end(name)
        while len(self._known) > MAX_RESTS:
            self._known.popitem(last=False)

    def end(self, target: Target) -> None:
        """It worked."""
        self._known.pop(target.host, None)
        self._known.pop(target.address, None)

    def resting(self, target: Target, now: float) -> bool:
        """Whether the host or this address of it rests."""
        return any(now < self._known.get(name, (0.0, 0.0))[1] for name in (target.host, target.address))

    def in_order(self, targets: Iterable[Target], now: float) -> list[Target]:
        """Those that rest behind the others."""
        return sorted(targets, key=lambda target: self.resting(target, now))  # stable
