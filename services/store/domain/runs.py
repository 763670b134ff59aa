"""Lists of UIDs as runs of neighbours: what is dense is asked of the database by ranges, not one by one."""

from collections.abc import Iterable
from typing import Final

import attrs

SHORTEST_RUN: Final = 16
"""Shorter ones go into a list: a statement for each costs more."""


@attrs.frozen
class Runs:
    """A set of UIDs, ascending and disjoint."""

    ranges: tuple[tuple[int, int], ...]
    """First and last UID of each run."""
    singles: tuple[int, ...]
    """All others."""


def runs_of(uids: Iterable[int]) -> Runs:
    """Split a list in any order, with or without repetitions. Pure."""
    ordered = sorted(set(uids))
    if ordered and ordered[-1] - ordered[0] + 1 == len(ordered) >= SHORTEST_RUN:
        return Runs(((ordered[0], ordered[-1]),), ())
    ranges: list[tuple[int, int]] = []
    singles: list[int] = []
    begin = 0
    for index in range(1, len(ordered) + 1):
        if index < len(ordered) and ordered[index] == ordered[index - 1] + 1:
            continue
        if index - begin >= SHORTEST_RUN:
            ranges.append((ordered[begin], ordered[index - 1]))
        else:
            singles += ordered[begin:index]
        begin = index
    return Runs(tuple(ranges), tuple(singles))
