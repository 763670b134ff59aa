"""Modified UTF-7, sequence sets, dates, LIST patterns."""

import re
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.imap.protocol import sequence_set
from services.imap.protocol.arguments import ListArguments
from services.imap.protocol.dates import DateTimeRenderer, parse_date, parse_date_time
from services.imap.protocol.mailbox_names import Pattern, Row, select_lsub
from services.imap.protocol.sequence_set import InvalidSet, SequenceSet
from shared.wire import mutf7

# --- RFC 3501 §5.1.3 ---

NAMES = {
    # the RFC's own example
    "~peter/mail/台北/日本語": b"~peter/mail/&U,BTFw-/&ZeVnLIqe-",
    "INBOX": b"INBOX",
    "a&b": b"a&-b",
    "&": b"&-",
    "보낸편지함": b"&vPSwuNO4ycDVaA-",
    "Entwürfe": b"Entw&APw-rfe",
    "😀": b"&2D3eAA-",
}


@pytest.mark.parametrize(("name", "octets"), NAMES.items())
def test_mutf7_examples(name, octets):
    assert mutf7.encode(name) == octets
    assert mutf7.decode(octets) == name


@given(st.text(st.characters(blacklist_categories=("Cc", "Cs"))))
def test_mutf7_round_trip(name):
    octets = mutf7.encode(name)
    assert octets.isascii()
    assert mutf7.decode(octets) == name


def test_mutf7_every_character():
    for code in [*range(0x20, 0x7F), *range(0xA0, 0xD800), *range(0xE000, 0x11000), 0x1F600, 0x10FFFF]:
        assert mutf7.decode(mutf7.encode(chr(code))) == chr(code)


@pytest.mark.parametrize("octets", [b"&", b"&AA", b"&A-", b"&2D0-", b"&====-", b"\xff", b"a\x01", b"\x7f", b"&AAA-"])
def test_mutf7_nonsense_is_refused(octets):
    with pytest.raises(mutf7.InvalidName):
        mutf7.decode(octets)


def test_mutf7_takes_raw_utf8():
    assert mutf7.decode("편지".encode()) == "편지"


@given(st.binary())
def test_mutf7_any_bytes(octets):
    try:
        name = mutf7.decode(octets)
    except mutf7.InvalidName:
        return
    assert not re.search("[\x00-\x1f\x7f-\x9f]", name)


# --- RFC 3501 §9: sequence-set ---

_NUMBER = st.integers(0, 60)
_SETS = st.builds(SequenceSet, st.lists(st.tuples(_NUMBER, _NUMBER), min_size=1, max_size=8).map(tuple))


@given(_SETS)
def test_set_round_trip(numbers):
    assert sequence_set.parse(sequence_set.render(numbers), 100) == numbers


@given(_SETS, st.integers(1, 60))
def test_spans_are_the_set(numbers, largest):
    expected = set()
    for first, last in numbers.ranges:
        low, high = sorted((first or largest, last or largest))
        expected.update(range(low, high + 1))
    spans = numbers.spans(largest)
    assert [n for low, high in spans for n in range(low, high + 1)] == sorted(expected)


@given(_SETS, st.sets(st.integers(1, 60)))
def test_uids_of_a_set(numbers, uids):
    ordered = array("I", sorted(uids))
    found = [ordered[p] for p in sequence_set.iterate(sequence_set.positions_of_uids(numbers, ordered))]
    wanted = {n for low, high in numbers.spans(max(uids, default=0)) for n in range(low, high + 1)}
    assert found == [uid for uid in ordered if uid in wanted]


@given(st.sets(st.integers(1, 300)))
def test_compact(numbers):
    text = sequence_set.compact(sorted(numbers))
    if not numbers:
        assert text == b""
        return
    spans = sequence_set.parse(text, 300).spans(0)
    assert [n for low, high in spans for n in range(low, high + 1)] == sorted(numbers)


def test_rfc3501_example_set():
    # RFC 3501 §9: 2,4:7,9,12:* for a mailbox with 15 messages is 2,4,5,6,7,9,12,13,14,15
    numbers = sequence_set.parse(b"2,4:7,9,12:*", 10)
    assert [p + 1 for p in sequence_set.iterate(sequence_set.positions_of_numbers(numbers, 15))] == [
        *(2, 4, 5, 6, 7, 9, 12, 13, 14, 15),
    ]
    # *:4,5:7 for a mailbox with 10 messages
    numbers = sequence_set.parse(b"*:4,5:7", 10)
    assert sequence_set.positions_of_numbers(numbers, 10) == [(3, 10)]


@pytest.mark.parametrize("text", [b"", b",", b"1,", b",1", b"0", b"1:", b":1", b"1:2:3", b"a", b"4294967296", b"1 2"])
def test_no_set(text):
    with pytest.raises(InvalidSet):
        sequence_set.parse(text, 10)


def test_set_is_bounded():
    with pytest.raises(InvalidSet):
        sequence_set.parse(b"1,3,5,7", 3)


def test_numbers_beyond_the_mailbox():
    with pytest.raises(InvalidSet):
        sequence_set.positions_of_numbers(sequence_set.parse(b"1:5", 9), 4)
    assert sequence_set.positions_of_numbers(sequence_set.parse(b"1:*", 9), 0) == []
    # RFC 3501 §6.4.8: "*" beyond the last UID is the last one
    uids = array("I", [5, 9])
    assert sequence_set.positions_of_uids(sequence_set.parse(b"559:*", 9), uids) == [(1, 2)]


# --- dates ---


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"17-Jul-1996 02:44:25 -0700", 837596665),
        (b" 7-Feb-1994 21:52:25 -0800", 760686745),
        (b"01-Jan-1970 09:00:00 +0900", 0),
        (b"1-jan-1970 00:00:60 +0000", 60),
    ],
)
def test_date_time(text, seconds):
    assert parse_date_time(text) == seconds


@pytest.mark.parametrize(
    "text",
    [b"", b"31-Feb-2024 00:00:00 +0000", b"1-Jan-2024", b"1-Jan-2024 24:00:00 +0000", b"1-Foo-2024 00:00:00 +0000"],
)
def test_no_date_time(text):
    assert parse_date_time(text) is None


@given(st.integers(-(10**10), 2 * 10**11))
def test_date_time_round_trip(seconds):
    assert parse_date_time(DateTimeRenderer()(seconds)) == seconds


def test_date():
    assert parse_date(b"1-Feb-1994") == 8797
    assert parse_date(b"30-Feb-1994") is None


# --- RFC 3501 §6.3.8: patterns ---

_LETTERS = st.text("ab/*%", max_size=8)


def _as_regex(pattern):
    table = {"*": ".*", "%": "[^/]*"}
    return re.compile("".join(table.get(c) or re.escape(c) for c in pattern) + r"\Z", re.DOTALL)


@given(_LETTERS, st.text("ab/", max_size=10))
def test_pattern_is_what_the_wildcards_say(pattern, name):
    assert Pattern(pattern).matches(name) == bool(_as_regex(pattern).match(name))


def test_pattern_cannot_be_made_slow():
    pattern = Pattern("*a" * 400 + "b")
    assert not pattern.matches("a" * 1000)


def test_lsub():
    subscribed = ["INBOX", "work/a", "news/x/y"]
    assert select_lsub(ListArguments("", ("%",)), subscribed) == [
        Row("INBOX", ()),
        # RFC 3501 §6.3.9: the special case of "%"
        Row("news", ("\\Noselect",), selectable=False),
        Row("work", ("\\Noselect",), selectable=False),
    ]
    everything = select_lsub(ListArguments("", ("*",)), subscribed)
    assert [row.name for row in everything] == ["INBOX", "news/x/y", "work/a"]
