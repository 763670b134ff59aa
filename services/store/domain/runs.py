"""Lists of UIDs as runs of neighbours: what is dense is asked of the database by ranges, not one by one."""

from collections.abc import Iterable
from itertools import chain
from typing import Final

import attrs

from shared.model.packed import pack_u32, unpack_u32

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


def encode_uids(uids: Iterable[int]) -> bytes:
    """A set of UIDs, exactly: u32, first and last of each run. 8 octets for 10,000 neighbours."""
    ordered = sorted(uids)
    if not ordered:
        return b""
    if ordered[-1] - ordered[0] + 1 == len(ordered):
        return pack_u32((ordered[0], ordered[-1]))
    bounds = [ordered[0]]
    last = ordered[0]
    for uid in ordered:
        if uid > last + 1:
            bounds += (last, uid)
        last = uid
    return pack_u32([*bounds, last])


def decode_ranges(data: bytes) -> list[tuple[int, int]]:
    """First and last UID of each run. Raises ValueError where it is not what ``encode_uids`` made."""
    bounds = unpack_u32(data)
    return list(zip(bounds[::2], bounds[1::2], strict=True))


def decode_uids(data: bytes) -> list[int]:
    """Raises ValueError as ``decode_ranges`` does."""
    return list(chain.from_iterable(range(low, high + 1) for low, high in decode_ranges(data)))
