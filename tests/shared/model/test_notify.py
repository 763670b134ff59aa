"""What the sender asked for, and what is left of it behind an alias."""

import pytest

from shared.model.notify import Notify, merged, wants_failure, wants_success, without_success, written

S, F, D, N = Notify.SUCCESS, Notify.FAILURE, Notify.DELAY, Notify.NEVER


def test_wants() -> None:
    assert [wants_failure(one) for one in (0, N, S, F, S | F, D)] == [True, False, False, True, True, False]
    assert [wants_success(one) for one in (0, N, S, F, S | F)] == [False, False, True, False, True]


def test_behind_an_alias() -> None:
    assert [without_success(one) for one in (0, N, S, S | F, D)] == [0, N, N, F, D]


@pytest.mark.parametrize(
    ("one", "other", "both"), [(0, 0, 0), (N, N, N), (N, 0, F), (N, S, S), (0, D, F | D), (S, F, S | F)]
)
def test_merged(one: int, other: int, both: int) -> None:
    assert merged(one, other) == merged(other, one) == both


def test_written() -> None:
    assert [written(one) for one in (0, N, S | F | D)] == ["", "NEVER", "SUCCESS,FAILURE,DELAY"]
