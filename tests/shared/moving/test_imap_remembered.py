"""What one import leaves for the next, and the pace."""

from hypothesis import given
from hypothesis import strategies as st

from shared.moving.imap.pace import Pace
from shared.moving.imap.remembered import (
    EVERYTHING,
    MAX_TOUCHED_OCTETS,
    Remembered,
    decode,
    encode,
    entry_name,
    touched_text,
)
from shared.moving.imap.responses import FolderStatus

KNOWN = Remembered(FolderStatus(7, 9, 3, 99), 41, 12, "1:3,7", exact=False)


def test_it_is_read_as_it_was_written():
    assert decode(encode(KNOWN)) == KNOWN
    assert KNOWN.touched_uids() == {1, 2, 3, 7}
    assert len(encode(Remembered(FolderStatus(2**32, 2**32, 2**32, 2**63), 2**63, 2**32, "9" * MAX_TOUCHED_OCTETS))) < 16 * 1024


@given(st.sets(st.integers(1, 2000)))
def test_touched(uids):
    text = touched_text(uids)
    if text != EVERYTHING:
        assert Remembered(FolderStatus(), 1, 1, text).touched_uids() == uids


def test_too_many_touched_are_all():
    assert touched_text(range(1, 10_000_000)) == "1:9999999"
    assert touched_text(range(1, 10_000, 2)) == EVERYTHING


def test_what_is_not_understood_is_nothing():
    whole = encode(KNOWN)
    broken = [
        None, b"", b"[]", b"null", b"{}", b"\xff", whole[:-1], whole.replace(b'"v":1', b'"v":2'), whole.replace(b"41", b'"x"'),
        whole.replace(b"41", b"-1"), whole.replace(b"1:3,7", b"1:x"), whole.replace(b"1:3,7", b"1:99999999999"),
        whole.replace(b'"here_next"', b'"other"'), whole.replace(b'"1:3,7"', b"[1]"), whole.replace(b"99", b"true"),
        whole.replace(b'"uidvalidity":7', b'"uidvalidity":{}'),
    ]  # fmt: skip
    assert [decode(value) for value in broken] == [None] * len(broken)


@given(st.binary(max_size=100) | st.text(max_size=50).map(str.encode))
def test_anything_may_stand_there(value):
    decode(value)


def test_names_are_of_one_mailbox_of_one_account():
    names = {entry_name(host, user, wire) for host in ("a", "b") for user in ("u", "v") for wire in (b"INBOX", b"x")}
    assert len(names) == 8
    assert entry_name("A", "u", b"x") == entry_name("a", "u", b"x")


def test_pace():
    assert Pace(0).delay(10**9, 5.0) == 0
    pace = Pace(1000)
    assert pace.delay(500, 10.0) == 0.5
    assert pace.delay(500, 10.25) == 0.75
    # what was not used is not saved up
    assert pace.delay(500, 100.0) == 0.5
