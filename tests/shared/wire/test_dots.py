"""Dot-stuffing: nothing but CRLF.CRLF ends the data, whatever the split; reader and writer are inverse."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.testing.splits import random_splits, splits_of
from shared.wire.dots import DotReader, DotWriter, normalise_newlines, stuff


def read(pieces: list[bytes]) -> tuple[bytes, bool, bytes, bool]:
    reader = DotReader()
    content = b"".join(reader.feed(piece) for piece in pieces)
    return content, reader.ended, reader.rest, reader.bare_newline


CASES = [
    (b".\r\n", (b"", True, b"", False)),
    (b".\r\nQUIT\r\n", (b"", True, b"QUIT\r\n", False)),
    (b"a\r\n.\r\n", (b"a\r\n", True, b"", False)),
    (b"a\r\n.\r\nRSET\r\n", (b"a\r\n", True, b"RSET\r\n", False)),
    (b"..\r\n.\r\n", (b".\r\n", True, b"", False)),
    (b".a\r\n..b\r\n.\r\n", (b"a\r\n.b\r\n", True, b"", False)),
    (b"\r\n.\r\n", (b"\r\n", True, b"", False)),
    (b"\r\n\r\n.\r\n.\r\n", (b"\r\n\r\n", True, b".\r\n", False)),
    (b"a.\r\n.\r\n", (b"a.\r\n", True, b"", False)),
    (b"...\r\n.\r\n", (b"..\r\n", True, b"", False)),
]


@pytest.mark.parametrize(("data", "expected"), CASES)
def test_reader_at_any_split(data: bytes, expected: tuple[bytes, bool, bytes, bool]) -> None:
    for pieces in splits_of(data):
        assert read(pieces) == expected


SMUGGLES = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\n.\r\r\n",
    b"\n.\r",
    b"\r.\n",
    b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n",
    b"\r\n. \r\n",
]


@pytest.mark.parametrize("marker", SMUGGLES)
def test_no_other_sequence_ends_the_data(marker: bytes) -> None:
    data = b"one" + marker + b"MAIL FROM:<x@example.test>\r\n"
    for pieces in splits_of(data):
        reader = DotReader()
        for piece in pieces:
            reader.feed(piece)
        assert not reader.ended
        reader.feed(b"\r\n.\r\nNOOP\r\n")
        assert reader.ended
        assert reader.rest == b"NOOP\r\n"
        assert reader.bare_newline == bool(re.search(rb"\r(?!\n)|(?<!\r)\n", marker))


@given(st.binary(max_size=80), random_splits())
@settings(deadline=None)
def test_reader_splits_the_same_and_matches_the_plain_rule(data: bytes, seed: int) -> None:
    whole = read([data])
    for pieces in splits_of(data, seed=seed):
        content, ended, rest, bare = read(pieces)
        assert (content, ended, rest) == whole[:3]
        if ended:
            assert bare == whole[3]
    assert whole[1] == (b"\r\n.\r\n" in b"\r\n" + data)


pieces_of_text = [b".", b"..", b"", b"a", b"\r\n", b".\r\n", b"\r", b"\n", b"b.c", b"\r\n."]
lines = st.lists(st.sampled_from(pieces_of_text), max_size=12)


@given(lines, random_splits())
@settings(deadline=None)
def test_what_is_written_reads_back(parts: list[bytes], seed: int) -> None:
    content = b"".join(parts)
    expected = normalise_newlines(content)
    if expected and not expected.endswith(b"\r\n"):
        expected += b"\r\n"
    for pieces in splits_of(content, seed=seed):
        writer = DotWriter()
        wire = b"".join(writer.feed(piece) for piece in pieces) + writer.finish()
        assert wire == stuff(content)
        assert read([wire + b"QUIT\r\n"]) == (expected, True, b"QUIT\r\n", False)


def test_normalise() -> None:
    assert normalise_newlines(b"a\rb\nc\r\nd\r\r\n") == b"a\r\nb\r\nc\r\nd\r\n\r\n"
    clean = b"a\r\nb"
    assert normalise_newlines(clean) is clean


def test_memory_held_between_feeds_is_at_most_four_octets() -> None:
    reader = DotReader()
    size = sum(len(reader.feed(b"\r\n.\r")) for _ in range(1000))
    assert 4 * 1000 - 4 - 1000 <= size <= 4 * 1000


hard = st.lists(st.sampled_from([b"\r\n", b"\r\n", b"\r", b"\n", b".", b"a", b"\r\n."]), max_size=14).map(b"".join)


@given(hard, random_splits())
@settings(deadline=None, max_examples=300)
def test_reader_against_the_rules_written_plainly(data: bytes, seed: int) -> None:
    wire = data + b"\r\n.\r\nREST"
    end = (b"\r\n" + wire).index(b"\r\n.\r\n")
    raw, rest = wire[:end], wire[end + 3 :]
    content = re.sub(rb"(\A|\r\n)\.", rb"\1", raw)
    bare = re.search(rb"\r(?!\n)|(?<!\r)\n", raw) is not None
    for pieces in splits_of(wire, seed=seed):
        assert read(pieces) == (content, True, rest, bare)
