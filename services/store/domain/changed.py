"""Which UIDs were changed, as ascending ranges that do not touch: a few octets for a command on 10,000 messages.

A set may be wider than what it stands for, never narrower: whoever reads it looks at the modseq of each message, too. So ranges
with little between them become one, and so do the nearest ones of a set that has very many.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from shared.model.ids import UID_MAX
from shared.model.packed import pack_u32, unpack_u32

Range = tuple[int, int]
"""First and last UID."""

GAP: Final = 8
"""So many UIDs between two ranges are taken in: to look at their rows costs less than to look up another range."""
RANGES_MAX: Final = 1024
SHORT: Final = 16
"""Ranges that are no longer are asked for as lists: a statement for each costs more."""
LIST_MAX: Final = 512
EVERYTHING: Final[Range] = (1, UID_MAX)


def ranges_of(uids: Iterable[int]) -> list[Range]:
    """Of UIDs in any order, with or without repetitions."""
    ordered = sorted(set(uids))
    if not ordered:
        return []
    if ordered[-1] - ordered[0] == len(ordered) - 1:
        return [(ordered[0], ordered[-1])]
    return _narrowed(_joined((uid, uid) for uid in ordered))


def union(ranges: Iterable[Range]) -> list[Range]:
    """Of ranges in any order that may overlap."""
    return _narrowed(_joined(sorted(ranges)))


def _joined(ordered: Iterable[Range]) -> list[Range]:
    joined: list[Range] = []
    first, last = 0, -1
    for low, high in ordered:
        if last >= 0 and low - last - 1 <= GAP:
            last = max(last, high)
            continue
        if last >= 0:
            joined.append((first, last))
        first, last = low, high
    if last >= 0:
        joined.append((first, last))
    return joined


def _narrowed(ranges: list[Range]) -> list[Range]:
    """At most RANGES_MAX: the widest gaps stay."""
    if len(ranges) <= RANGES_MAX:
        return ranges
    gaps = [(after[0] - before[1], position) for position, (before, after) in enumerate(pairwise(ranges), 1)]
    starts = [0, *sorted(position for _, position in sorted(gaps)[1 - RANGES_MAX :]), len(ranges)]
    return [(ranges[start][0], ranges[end - 1][1]) for start, end in pairwise(starts)]


def encode(ranges: Iterable[Range]) -> bytes:
    """u32: first and last of each."""
    return pack_u32(uid for bounds in ranges for uid in bounds)


def decode(data: bytes) -> list[Range]:
    """Raises ValueError where it is not what ``encode`` made."""
    uids = unpack_u32(data)
    return list(zip(uids[::2], uids[1::2], strict=True))


def pieces(ranges: Sequence[Range], after: int) -> Iterator[Range | list[int]]:
    """What is above ``after``, ascending, as it is best asked for: a range, or a list of at most LIST_MAX UIDs."""
    listed: list[int] = []
    for low, high in ranges:
        first = max(low, after + 1)
        if first > high:
            continue
        if high - first < SHORT:
            listed += range(first, high + 1)
            if len(listed) <= LIST_MAX - SHORT:
                continue
        if listed:
            yield listed
            listed = []
        if high - first >= SHORT:
            yield first, high
    if listed:
        yield listed
