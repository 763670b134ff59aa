"""The same bytes, split in every way that matters: whole, byte by byte, at each single point (short inputs), at random.

A parser that reads a stream must give the same result for all of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from hypothesis import strategies as st

_EVERY_POINT_UP_TO_OCTETS = 200
_RANDOM_SPLITS = 3


def splits_of(data: bytes, *, seed: int = 0) -> Iterator[list[bytes]]:
    """Lists of pieces that join to `data`; no piece is empty."""
    if not data:
        yield []
        return
    yield [data]
    yield [data[index : index + 1] for index in range(len(data))]
    if len(data) <= _EVERY_POINT_UP_TO_OCTETS:
        for point in range(1, len(data)):
            yield [data[:point], data[point:]]
    dice = random.Random(seed)
    for _ in range(_RANDOM_SPLITS):
        points = sorted(dice.sample(range(1, len(data)), dice.randint(0, min(8, len(data) - 1))))
        yield [data[start:end] for start, end in zip([0, *points], [*points, len(data)], strict=True)]


def random_splits() -> st.SearchStrategy[int]:
    """A hypothesis strategy for the `seed` of the functions above."""
    return st.integers(0, 2**32)
