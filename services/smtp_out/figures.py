"""Metrics by destination, for those that have much of the mail; all others are counted together.

A name of its own gets who had PROVEN attempts while there is room for it, and keeps it: a counter never goes back, and a
newsletter to ten thousand domains makes no series of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from shared.contract.types import OutcomeKind
from shared.observe.metrics import OTHER, Metrics

MOST_NAMED = 50  # four kinds of outcome each: below the bound of a metric's series
PROVEN = 20  # attempts
MAX_CANDIDATES = 2000
_SECONDS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


class Names:
    """Which destinations have a name."""

    def __init__(self) -> None:
        self._named: set[str] = set()
        self._candidates: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._named) + len(self._candidates)

    def of(self, destination: str, attempts: int) -> str:
        """The name under which these attempts are counted."""
        if destination in self._named:
            return destination
        if len(self._named) >= MOST_NAMED:
            return OTHER
        self._candidates[destination] += attempts
        if self._candidates[destination] >= PROVEN:
            self._named.add(destination)
            del self._candidates[destination]
            if len(self._named) == MOST_NAMED:
                self._candidates.clear()
            return destination
        if len(self._candidates) > MAX_CANDIDATES:
            self._candidates = Counter(dict(self._candidates.most_common(MAX_CANDIDATES // 2)))
        return OTHER


class Figures:
    """Attempts and their time by destination."""

    def __init__(self, metrics: Metrics) -> None:
        self._names = Names()
        self._attempts = metrics.counter(
            "pillarbox_smtp_out_destination_attempts_total",
            "Attempts per recipient, of the destinations with much mail.",
            ("destination", "kind"),
        )
        self._seconds = metrics.histogram(
            "pillarbox_smtp_out_destination_seconds",
            "From taking up a message to its last reply, of the destinations with much mail.",
            _SECONDS,
            ("destination",),
        )

    def count(self, destination: str, kinds: Iterable[OutcomeKind], seconds: float) -> None:
        """One message's attempt; what was given back untried does not count. 0 seconds: no session came about."""
        tried = Counter(kind for kind in kinds if kind is not OutcomeKind.RELEASED)
        if not tried:
            return
        name = self._names.of(destination, tried.total())
        for kind, number in tried.items():
            self._attempts.inc(number, name, kind.value)
        if seconds:
            self._seconds.observe(seconds, name)
