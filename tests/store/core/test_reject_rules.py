"""How many of the oldest refused messages make room for a newer one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.domain.rejects import RejectLimits, surplus

LIMITS = RejectLimits(3, 100)


@pytest.mark.parametrize(
    ("kept", "coming", "gone"),
    [
        ([], 100, 0), ([10, 10], 80, 0), ([10, 10], 81, 1), ([10, 10, 10], 1, 1), ([90, 5, 5], 10, 1), ([50, 50], 100, 2),
        ([1] * 9, 1, 7), ([], 101, 0),
    ],
)  # fmt: skip
def test_the_oldest_go(kept: list[int], coming: int, gone: int) -> None:
    assert surplus(kept, coming, LIMITS) == gone


@given(st.lists(st.integers(1, 60), max_size=12), st.integers(1, 100))
def test_no_more_go_than_must(kept: list[int], coming: int) -> None:
    gone = surplus(kept, coming, LIMITS)
    left = kept[gone:]
    assert len(left) < LIMITS.messages
    assert sum(left) + coming <= LIMITS.octets
    if gone:
        more = kept[gone - 1 :]
        assert len(more) >= LIMITS.messages or sum(more) + coming > LIMITS.octets
