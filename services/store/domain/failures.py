"""Failed logins by subject, within a sliding window: no more of them than make a ban, for no more subjects than a bound.

Laws: what is older than the window does not count; memory is bounded by ``subjects_max`` subjects with ``limit`` times each. When it is
full, of those that failed longest ago the one with the fewest failures is forgotten, so that a crowd of single failures does not
wash out who is about to be banned.
"""

from array import array
from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import islice
from typing import Final, Generic, TypeVar

import attrs

from shared.contract.bans_types import TRIED_MAX

K = TypeVar("K", bound=Hashable)

TRIED_OCTETS: Final = 80
"""What is kept of a user name that was tried; longer ones are cut."""
_CANDIDATES: Final = 8


@attrs.define
class _Record:
    times: "array[float]" = attrs.field(factory=lambda: array("d"))
    tried: list[str] = attrs.field(factory=list)


class Failures(Generic[K]):
    """The failures of one kind of subject. Times are seconds on any clock that goes forward."""

    def __init__(self, limit: int, window_seconds: float, subjects_max: int) -> None:
        """``limit`` failures within ``window_seconds`` are too many."""
        self._limit = limit
        self._window = window_seconds
        self._most = subjects_max
        self._records: OrderedDict[K, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def count(self, subject: K, now: float) -> int:
        """Failures within the window."""
        record = self._records.get(subject)
        return 0 if record is None else sum(time > now - self._window for time in record.times)

    def add(self, subject: K, tried: str, now: float) -> int:
        """One more failure; how many there are in the window now, at most the limit."""
        record = self._records.get(subject)
        if record is None:
            self._make_room()
            record = self._records[subject] = _Record()
        self._records.move_to_end(subject)
        times = record.times
        while times and (times[0] <= now - self._window or len(times) >= self._limit):
            times.pop(0)
        times.append(now)
        name = tried[:TRIED_OCTETS]
        if name in record.tried:
            record.tried.remove(name)
        record.tried = [*record.tried, name][-TRIED_MAX:]
        return len(times)

    def tried(self, subject: K) -> tuple[str, ...]:
        """The last that were tried, newest last."""
        record = self._records.get(subject)
        return () if record is None else tuple(record.tried)

    def forget(self, subject: K) -> None:
        """As if it had never failed."""
        self._records.pop(subject, None)

    def forget_where(self, matches: Callable[[K], bool]) -> None:
        """The same for all that match."""
        for subject in [subject for subject in self._records if matches(subject)]:
            del self._records[subject]

    def _make_room(self) -> None:
        if len(self._records) >= self._most:
            oldest = islice(self._records.items(), _CANDIDATES)
            del self._records[min(oldest, key=lambda item: len(item[1].times))[0]]
