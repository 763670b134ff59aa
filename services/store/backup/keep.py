"""Which backups stay. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime

import attrs

from services.store.backup.manifest import time_of


@attrs.frozen
class Keep:
    """The newest backup of each of so many days, weeks (ISO) and months that have one. All 0: every backup stays."""

    daily: int
    weekly: int
    monthly: int


def superfluous(names: Sequence[str], keep: Keep) -> list[str]:
    """Which of these backups nobody asked to keep, oldest first. The newest is never among them, nor what is no backup's name."""
    if not (keep.daily or keep.weekly or keep.monthly):
        return []
    dated = sorted(((made, name) for name in names if (made := time_of(name)) is not None), reverse=True)
    kept = {name for _, name in dated[:1]}
    periods: tuple[tuple[int, Callable[[datetime], object]], ...] = (
        (keep.daily, lambda made: made.date()),
        (keep.weekly, lambda made: made.isocalendar()[:2]),
        (keep.monthly, lambda made: (made.year, made.month)),
    )
    for count, period in periods:
        newest: dict[object, str] = {}
        for made, name in dated:
            if period(made) not in newest and len(newest) < count:
                newest[period(made)] = name
        kept.update(newest.values())
    return [name for _, name in reversed(dated) if name not in kept]
