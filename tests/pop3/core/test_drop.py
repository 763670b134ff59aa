"""The maildrop as one session sees it."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.pop3.protocol import replies
from services.pop3.protocol.drop import Drop, Listing


def make_drop(*sizes: int) -> Drop:
    count = len(sizes)
    uids = array("I", range(11, 11 + count))
    return Drop(uids, array("I", sizes), array("I", [10] * count), [f"u{n}" for n in range(1, count + 1)])


def text(drop: Drop, listing: Listing) -> bytes:
    return b"".join(drop.render(listing))


def test_marks_count_and_are_taken_back() -> None:
    drop = make_drop(120, 200)
    assert (drop.messages, drop.octets, len(drop)) == (2, 320, 2)
    drop.mark(1)
    assert (drop.messages, drop.octets, len(drop)) == (1, 200, 2)
    assert drop.refusal(1) == replies.already_deleted(1)
    assert drop.refusal(2) is None
    assert list(drop.marked_uids()) == [11]
    assert text(drop, Listing.SIZES) == b"+OK listing follows\r\n2 200\r\n.\r\n"
    assert text(drop, Listing.UNIQUE_IDS) == b"+OK listing follows\r\n2 u2\r\n.\r\n"
    drop.unmark_all()
    assert (drop.messages, drop.octets) == (2, 320)
    assert not drop.marked_uids()


@pytest.mark.parametrize("number", [0, 3, 9999999999])
def test_numbers_outside(number: int) -> None:
    assert make_drop(1, 2).refusal(number) == b"-ERR no such message, only 2 messages in maildrop\r\n"


def test_an_empty_maildrop_lists_nothing_and_is_no_error() -> None:
    # RFC 1939 §5, Appendix A
    assert text(make_drop(), Listing.SIZES) == b"+OK listing follows\r\n.\r\n"


def test_a_large_listing_comes_in_pieces() -> None:
    drop = make_drop(*([7] * 10_000))
    drop.mark(5000)
    pieces = list(drop.render(Listing.SIZES))
    assert max(map(len, pieces)) < 64 * 1024
    assert b"".join(pieces).count(b"\r\n") == 10_000 - 1 + 2


def test_columns_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="length"):
        Drop(array("I", [1]), array("I", [1, 2]), array("I", [1]), ["a"])


@given(st.lists(st.integers(0, 2**31), max_size=30), st.lists(st.integers(1, 30)))
def test_totals_agree_with_the_listing(sizes: list[int], marks: list[int]) -> None:
    drop = make_drop(*sizes)
    for number in marks:
        if drop.refusal(number) is None:
            drop.mark(number)
    listed = [line.split() for line in text(drop, Listing.SIZES).splitlines()[1:-1]]
    assert drop.messages == len(listed)
    assert drop.octets == sum(int(size) for _, size in listed)
    assert len(drop.marked_uids()) + len(listed) == len(sizes)
