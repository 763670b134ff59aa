"""mbox, as others write it and as we do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.moving import mbox as module
from shared.moving.mbox import Entry, MboxError, build_entry, find_entries, parse_came, read_entry

TWO = (
    b"From a@b.test Thu Jan  1 00:00:10 1970\nSubject: 1\n\nFrom here\n>From there\n\n\n"
    b"From - Sat Mar 02 10:00:00 +0900 2019\r\nSubject: 2\r\n\r\nFrom me to you\r\n\r\n"
)


def test_where_messages_lie():
    first, second = find_entries(TWO)
    assert TWO[first.start : first.end] == b"Subject: 1\n\nFrom here\n>From there\n\n"
    assert TWO[second.start : second.end] == b"Subject: 2\r\n\r\nFrom me to you\r\n"
    assert (first.came, second.came) == (10, 1_551_488_400)


@pytest.mark.parametrize("data", [b"Subject: x\n\nFrom a 10:00\n", b"\n", b"From a\n\nx", b"x\n\nFrom a 10:00 1970\n"])
def test_what_is_no_mbox(data):
    with pytest.raises(MboxError):
        list(find_entries(data))


def test_bounds(monkeypatch):
    monkeypatch.setattr(module, "MAX_MESSAGES", 1)
    with pytest.raises(MboxError, match="more than 1"):
        list(find_entries(TWO))
    assert list(find_entries(b"")) == []


def test_a_message_without_end():
    data = b"From a Thu Jan  1 00:00:10 1970\nx"
    assert list(find_entries(data)) == [Entry(32, 33, 10)]


@pytest.mark.parametrize(
    ("line", "came"),
    [
        (b"From a Thu Jan  1 00:01 1970", 60),
        (b"From a Thu Jan 1 00:00:00 UTC 1970", 0),
        (b"From a Thu Jan 1 00:00:00 1970 -0100", 3600),
        (b"From a Sat Feb 30 00:00:00 2019", None),
        (b"From a Sat Feb 00 00:00:00 2019", None),
        (b"From a Sat Feb 20 24:00:00 2019", None),
        (b"From a Sat Feb 20 23:00:00 1969", None),
        (b"From a 2019-02-20 10:00", None),
    ],
)
def test_times(line, came):
    assert parse_came(line) == came


def test_flags_are_in_fields():
    data = b"Status: RO\nSubject: x\nX-Status: AF\nX-Keywords: a, b\n  \\c a\n\nStatus: D\n"
    assert read_entry(data) == (b"Subject: x\n\nStatus: D\n", ("\\Seen", "\\Answered", "\\Flagged", "a", "b"))


flags = st.lists(st.sampled_from(["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted", "$k", "K"]), unique=True)
lines = st.lists(
    st.sampled_from([b"", b"From a 10:00 1970", b">From b", b">>From c", b"x", b"From: a", b"\xff", b" Status: x"]), max_size=6
)


@given(st.lists(st.tuples(lines, flags, st.integers(0, 2**32)), max_size=4))
def test_what_is_written_is_read_again(messages):
    contents = [b"Subject: s\r\n\r\n" + b"".join(line + b"\r\n" for line in each) for each, _, _ in messages]
    data = b"".join(build_entry(content, came, tuple(marks)) for content, (_, marks, came) in zip(contents, messages, strict=True))
    entries = list(find_entries(data))
    assert [entry.came for entry in entries] == [came for _, _, came in messages]
    for entry, content, (_, marks, _) in zip(entries, contents, messages, strict=True):
        found, read_marks = read_entry(data[entry.start : entry.end])
        assert found.replace(b"\n", b"\r\n") == content
        assert set(read_marks) == set(marks)


@given(st.binary(max_size=200) | st.lists(st.sampled_from([b"From a 1:00\n", b"\n", b"x\n", b"\r\n"]), max_size=8).map(b"".join))
def test_any_octets(data):
    try:
        entries = list(find_entries(data))
    except MboxError:
        return
    for entry in entries:
        assert 0 <= entry.start <= entry.end <= len(data)
        read_entry(data[entry.start : entry.end])
