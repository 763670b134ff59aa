"""Any octets, however split, give responses or a violation; never more than the bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.moving.imap.framing import MAX_LINE_OCTETS, MAX_PIECES, ResponseReader, ServerViolation
from shared.moving.imap.responses import parse_response
from shared.testing.splits import splits_of


def read(pieces: list[bytes], most: int = 1000) -> list[list[bytes]]:
    reader = ResponseReader(most)
    found = []
    for piece in pieces:
        reader.feed(piece)
        while (response := reader.next()) is not None:
            found.append(response)
    return found


WIRE = (
    b"* OK hello\r\n* 1 FETCH (UID 7 BODY[] {5}\r\na\r\n{3 FLAGS (\\Seen))\r\n"
    b"* LIST () \"/\" {3+}\r\n+ more\r\n* 2 FETCH (BODY[] ~{0}\r\n)\r\np1 OK done\n"
)
RESPONSES = [
    [b"* OK hello"],
    [b"* 1 FETCH (UID 7 BODY[] ", b"a\r\n{3", b" FLAGS (\\Seen))"],
    [b'* LIST () "/" {3+}'],
    [b"+ more"],
    [b"* 2 FETCH (BODY[] ", b"", b")"],
    [b"p1 OK done"],
]


def test_lines_and_literals_however_they_are_split():
    for pieces in splits_of(WIRE):
        assert read(pieces) == RESPONSES


def test_idle_only_between_responses():
    reader = ResponseReader(10)
    assert reader.idle
    for octet in b"* 1 FETCH {1}\r\nx)\r":
        reader.feed(bytes([octet]))
        assert reader.next() is None
        assert not reader.idle
    reader.feed(b"\n")
    assert reader.next() is not None
    assert reader.idle


def test_bounds():
    assert read([b"* {1000}\r\n" + b"x" * 1000 + b"\r\n"])
    with pytest.raises(ServerViolation, match="literal of 1001"):
        read([b"* {1001}\r\n"])
    with pytest.raises(ServerViolation, match="line of more"):
        read([b"x" * MAX_LINE_OCTETS, b"xx"])
    with pytest.raises(ServerViolation, match="line of more"):
        read([b"x" * (MAX_LINE_OCTETS + 1) + b"\r\n"])
    with pytest.raises(ServerViolation, match="pieces"):
        read([b"* " + b"{0}\r\n" * MAX_PIECES])


@given(st.lists(st.sampled_from([b"* ", b"p1 OK", b"{3}\r\n", b"{99999}\r\n", b"abc", b"(", b")", b'"', b"\\", b"NIL", b"[", b"]",
                                 b"\r\n", b"\n", b" ", b"FETCH", b"12", b"+", b"\x00", b"\xff"]), max_size=40))
def test_anything_gives_responses_or_a_violation(words):
    try:
        for response in read(words):
            parse_response(response)
    except ServerViolation:
        pass


@given(st.binary(max_size=300))
def test_any_octets_give_responses_or_a_violation(data):
    try:
        for response in read([data]):
            parse_response(response)
    except ServerViolation:
        pass
