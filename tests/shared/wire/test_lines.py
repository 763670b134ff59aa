"""The bounded line reader: same lines whatever the split, bounds kept, the stream in step after every error."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.testing.splits import random_splits, splits_of
from shared.wire.lines import BareNewline, LineReader, LineTooLong

Event = bytes | str


def drain(reader: LineReader) -> list[Event]:
    events: list[Event] = []
    while True:
        try:
            line = reader.next_line()
        except LineTooLong:
            events.append("too long")
            continue
        except BareNewline as error:
            events.append(f"bare {error.line!r}")
            continue
        if line is None:
            return events
        events.append(line)


def read(pieces: list[bytes], limit: int = 10) -> list[Event]:
    reader = LineReader(limit)
    events: list[Event] = []
    for piece in pieces:
        reader.feed(piece)
        events += drain(reader)
        assert len(reader) <= limit
    return events


CASES: list[tuple[bytes, list[Event]]] = [
    (b"", []),
    (b"a\r\nbc\r\n", [b"a", b"bc"]),
    (b"\r\n", [b""]),
    (b"a\n", ["bare b'a'"]),
    (b"a\rb\r\n", [b"a\rb"]),
    (b"12345678\r\n", [b"12345678"]),
    (b"123456789\r\nok\r\n", ["too long", b"ok"]),
    (b"1234567890\nok\r\n", ["too long", b"ok"]),
    (b"123456789\n", ["bare b'123456789'"]),
    (b"x" * 100 + b"\r\nok\r\n", ["too long", b"ok"]),
    (b"a\r\r\n", [b"a\r"]),
]


@pytest.mark.parametrize(("data", "expected"), CASES)
def test_lines_at_any_split(data: bytes, expected: list[Event]) -> None:
    for pieces in splits_of(data):
        assert read(pieces) == expected


@given(st.binary(max_size=60), random_splits())
@settings(deadline=None)
def test_arbitrary_bytes_split_the_same(data: bytes, seed: int) -> None:
    expected = read([data]) if data else []
    for pieces in splits_of(data, seed=seed):
        assert read(pieces) == expected


def test_loose_lines_take_both_ends() -> None:
    reader = LineReader(10)
    reader.feed(b"a\nb\r\nc")
    assert [reader.next_loose_line() for _ in range(3)] == [b"a", b"b", None]


def test_take_and_discard() -> None:
    reader = LineReader(10)
    reader.feed(b"abcdef")
    assert reader.take(2) == b"ab"
    assert reader.take() == b"cdef"
    assert reader.take() == b""
    reader.feed(b"xyz")
    assert reader.discard() == 3
    assert len(reader) == 0
    reader.feed(b"ok\r\n")
    assert reader.next_line() == b"ok"


def test_what_was_taken_is_not_kept() -> None:
    """Hundreds of connections wait with nothing to say: what they said last is the taker's."""
    data = bytes(1000)
    reader = LineReader(10)
    held = sys.getrefcount(data)
    reader.feed(data)
    assert reader.take() == data
    assert len(reader) == 0
    assert sys.getrefcount(data) == held
