"""Sets of messages as clients name them: ``2,4:7,9,12:*``.

RFC 3501 §9 (sequence-set). A set is kept as ranges, so that ``1:*`` costs the same for ten and for a million messages.
It never leaves this service: the store is asked by UIDs.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

STAR: Final = 0
"""Stands for ``*`` in a range."""
_MAX_NUMBER: Final = 2**32 - 1
# RFC 3501 §9: sequence-set = (seq-number / seq-range) *("," sequence-set)
_RANGE: Final = re.compile(rb"(\*|[1-9][0-9]{0,9})(?::(\*|[1-9][0-9]{0,9}))?(?:,|\Z)")


class InvalidSet(ValueError):
    """Not a sequence set, or one beyond a bound."""


@attrs.frozen
class SequenceSet:
    """Ranges in the order given; each pair is as written (``STAR`` for ``*``, either end may be the larger)."""

    ranges: tuple[tuple[int, int], ...]
    saved: bool = False
    """``$``: the saved search result, whatever it is when the command runs (RFC 5182 §2.1); then without ranges of its own."""

    def spans(self, largest: int) -> list[tuple[int, int]]:
        """Inclusive ranges, ascending, not overlapping, with ``*`` taken as ``largest``.

        RFC 3501 §6.4.8: a range that ends in ``*`` always includes the largest number, even when its start is above it.
        """
        pairs = []
        for first, last in self.ranges:
            low, high = first or largest, last or largest
            pairs.append((low, high) if low <= high else (high, low))
        pairs.sort()
        merged: list[tuple[int, int]] = []
        for low, high in pairs:
            if merged and low <= merged[-1][1] + 1:
                if high > merged[-1][1]:
                    merged[-1] = (merged[-1][0], high)
            else:
                merged.append((low, high))
        return merged

    def largest_named(self) -> int:
        """The largest number that is spelled out; 0 when there is only ``*``."""
        return max((max(pair) for pair in self.ranges), default=0)


# RFC 5182 §3: seq-last-command = "$"
SAVED_RESULT: Final = SequenceSet((), saved=True)
NO_MESSAGES: Final = SequenceSet(())


def parse(text: bytes, max_ranges: int) -> SequenceSet:
    """Raises InvalidSet."""
    ranges: list[tuple[int, int]] = []
    position = 0
    length = len(text)
    while position < length:
        match = _RANGE.match(text, position)
        if match is None:
            raise InvalidSet("not a sequence set")
        first, last = match.groups()
        low = STAR if first == b"*" else int(first)
        high = low if last is None else STAR if last == b"*" else int(last)
        if low > _MAX_NUMBER or high > _MAX_NUMBER:
            raise InvalidSet("a number above 4294967295")
        ranges.append((low, high))
        if len(ranges) > max_ranges:
            raise InvalidSet("too many ranges in a set")
        position = match.end()
    if not ranges or text.endswith(b","):
        raise InvalidSet("not a sequence set")
    return SequenceSet(tuple(ranges))


def render(numbers: SequenceSet) -> bytes:
    """As a client writes it."""

    if numbers.saved:
        return b"$"

    def one(number: int) -> str:
        return "*" if number == STAR else str(number)

    return ",".join(one(a) if a == b else f"{one(a)}:{one(b)}" for a, b in numbers.ranges).encode()


def ranges_of(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Inclusive ranges of ascending numbers; equal neighbours count once."""
    start = previous = -1
    for number in numbers:
        if start >= 0 and previous <= number <= previous + 1:
            previous = number
            continue
        if start >= 0:
            yield start, previous
        start = previous = number
    if start >= 0:
        yield start, previous


def compact(numbers: Iterable[int]) -> bytes:
    """The shortest set of ascending numbers, as in COPYUID; empty for none."""
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in ranges_of(numbers)).encode()


def positions_of_uids(numbers: SequenceSet, uids: Sequence[int]) -> list[tuple[int, int]]:
    """Half-open ranges of positions in ``uids`` (ascending) that a set of UIDs names; UIDs that are not there are passed over."""
    if not uids:
        return []
    found: list[tuple[int, int]] = []
    for low, high in numbers.spans(uids[-1]):
        start, stop = bisect_left(uids, low), bisect_right(uids, high)
        if start < stop:
            found.append((start, stop))
    return found


def positions_of_numbers(numbers: SequenceSet, count: int) -> list[tuple[int, int]]:
    """Half-open ranges of positions for message sequence numbers. Raises InvalidSet for a number above ``count``.

    ``1:*`` in an empty mailbox is taken as "nothing", as clients mean it (RFC 2683 §3.4.1 tolerance).
    """
    if count == 0:
        if all(STAR in pair for pair in numbers.ranges):
            return []
        raise InvalidSet("the mailbox is empty")
    if numbers.largest_named() > count:
        raise InvalidSet("a message sequence number beyond the mailbox")
    return [(low - 1, high) for low, high in numbers.spans(count)]


def iterate(ranges: Iterable[tuple[int, int]]) -> Iterator[int]:
    """The positions of half-open ranges."""
    for start, stop in ranges:
        yield from range(start, stop)
