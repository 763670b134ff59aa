"""How an account was, told by what has happened since; how far back the history goes; UID sets of the journal."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.domain.runs import decode_ranges, decode_uids, encode_uids
from services.store.domain.undo import Event, GoneMailbox, HistoryLimits, look_back, renames
from shared.model.packed import pack_u32

DAY = 86400.0


def renamed(at: float, mailbox_id: int, old: str, new: str) -> Event:
    return Event(at, "mailbox renamed", mailbox_id, b"", (old, new))


@given(st.sets(st.integers(1, 2**32 - 1), max_size=200) | st.sets(st.integers(1, 60)))
def test_uid_sets_come_back_exactly(uids: set[int]) -> None:
    packed = encode_uids(uids)
    assert decode_uids(packed) == sorted(uids)
    ranges = decode_ranges(packed)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(ranges))


def test_neighbours_take_eight_octets() -> None:
    assert encode_uids(range(5, 10_005)) == pack_u32((5, 10_004))
    assert encode_uids([7]) == pack_u32((7, 7))
    assert encode_uids([]) == b""
    with pytest.raises(ValueError, match=r"shorter"):
        decode_ranges(b"abcd")


def test_names_of_then() -> None:
    now = {1: "INBOX", 2: "C", 3: "C/sub", 4: "C/new", 7: "B"}
    events = [
        renamed(10.0, 2, "A", "B"),
        Event(15.0, "mailbox created", 4, b"", ("B/new",)),
        renamed(20.0, 3, "B/x", "B/sub"),
        renamed(30.0, 2, "B", "C"),
        Event(35.0, "mailbox created", 7, b"", ("B",)),
    ]
    gone = [GoneMailbox(5, 1, "B/y", "", 25.0), GoneMailbox(6, 1, "A/z", "\\Sent", 5.0)]
    then = look_back(events, now, gone)
    # what was deleted had another name before its parent was renamed
    assert {key: name for key, name in then.names.items() if key not in then.made} == {
        1: "INBOX", 2: "A", 3: "A/x", 5: "A/y", 6: "A/z"
    }  # fmt: skip
    assert then.made == {4, 7}
    # in this order, a parent takes along what is below it; what was made since has no name to go back to
    assert renames(then, now) == {2: ("C", "A"), 3: ("A/sub", "A/x")}
    assert renames(look_back([], now, []), now) == {}


def test_flags_of_then_are_what_the_first_change_found() -> None:
    def flags(at: float, *groups: tuple[int, list[int]]) -> Event:
        return Event(at, "flags", 9, b"", ("add", 1, [[bits, encode_uids(uids)] for bits, uids in groups]))

    then = look_back([flags(1.0, (0, [1, 2]), (8, [3])), flags(2.0, (1, [1, 2, 4]))], {9: "x"}, [])
    assert then.flags_in(9) == {1: 0, 2: 0, 3: 8, 4: 1}
    assert then.flags_in(8) == {}


def test_what_was_brought_back() -> None:
    events = [
        Event(1.0, "moved", 3, encode_uids([5, 6]), (2, encode_uids([1, 2]))),
        Event(2.0, "brought back", 3, encode_uids([7, 8]), ([[2, pack_u32([11, 40])]],)),
        Event(3.0, "expunged", 3, encode_uids([7]), ()),
    ]
    then = look_back(events, {2: "a", 3: "b"}, [])
    assert then.entered(3) == {5, 6, 7, 8}
    assert then.entered(2) == set()
    (brought,) = then.brought
    assert (brought.mailbox_id, brought.uids, brought.dead) == (3, [7, 8], [(2, 11), (2, 40)])


def test_how_far_back_it_goes() -> None:
    limits = HistoryLimits(days=14, rows=1000, free_octets=10**9)
    now = 100 * DAY
    assert limits.cut(now, 90 * DAY, 1000, 10**9) == 86 * DAY
    # too much of it, or a disk that is nearly full: a tenth each time, so that something stays
    for rows, free in ((1001, 10**9), (0, 10**9 - 1)):
        since = 90 * DAY
        for _ in range(5):
            cut = limits.cut(now, since, rows, free)
            assert since < cut < now
            assert cut == since + (now - since) / 10
            since = cut
    # by its age it may go further
    assert limits.cut(now, 10 * DAY, 1001, 0) == 86 * DAY
