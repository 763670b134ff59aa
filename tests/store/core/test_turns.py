"""Whose turn it is in the outbound queue."""

import pytest

from services.store.domain.turns import in_turn, is_busy, share_of, split_share


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        ({}, []),
        # the longest first
        ({"1@a": 5, "1@b": 3, "1@c": 4}, ["1@b", "1@c", "1@a"]),
        # a newsletter to many domains, and one letter that came later
        ({"1@a": 1, "1@b": 2, "1@c": 3, "2@c": 9}, ["1@a", "2@c", "1@b", "1@c"]),
        # two of them
        ({"1@a": 1, "1@b": 2, "2@a": 3, "2@b": 4, "0@a": 5}, ["1@a", "2@a", "0@a", "1@b", "2@b"]),
    ],
)
def test_accounts_take_turns(waiting: dict[str, float], expected: list[str]) -> None:
    assert in_turn(waiting.items(), ()) == expected


@pytest.mark.parametrize(
    ("share", "busy", "answer"),
    [
        ("1@a.test", {"a.test"}, True),
        ("1@a.test", {"1@a.test"}, True),
        ("1@a.test", {"1@"}, True),
        ("1@a.test", {"11@", "1@b.test", "2@a.test", "b.test", "1", "@", ""}, False),
        ("0@a.test", {"0@"}, True),
    ],
)
def test_what_is_busy_is_passed_over(share: str, busy: set[str], answer: bool) -> None:
    assert is_busy(share, busy) is answer
    assert in_turn([(share, 1.0)], busy) == ([] if answer else [share])


def test_a_share_is_written_and_read() -> None:
    assert (share_of(None, "a.test"), share_of(12, "[192.0.2.1]")) == ("0@a.test", "12@[192.0.2.1]")
    assert split_share("12@a.test") == ("12", "a.test")
