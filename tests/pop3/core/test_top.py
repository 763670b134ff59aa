"""Where TOP stops."""

from hypothesis import given
from hypothesis import strategies as st

from services.pop3.protocol.top import TopCutter
from shared.testing.splits import splits_of

HEADER = b"Subject: x\r\nTo: y\r\n\r\n"
BODY = b"one\r\n.two\r\n\r\nfour"


def top(message: bytes, header_octets: int, lines: int, pieces: list[bytes]) -> bytes:
    cutter = TopCutter(header_octets, lines)
    shown = b""
    for piece in pieces:
        if cutter.done:
            break
        shown += cutter.feed(piece)
    return shown


def test_lines_of_the_body_in_every_split() -> None:
    expected = {0: b"", 1: b"one\r\n", 2: b"one\r\n.two\r\n", 3: b"one\r\n.two\r\n\r\n", 4: BODY, 99: BODY}
    for lines, body in expected.items():
        for pieces in splits_of(HEADER + BODY):
            assert top(HEADER + BODY, len(HEADER), lines, pieces) == HEADER + body


def test_a_message_of_header_only() -> None:
    for pieces in splits_of(HEADER):
        assert top(HEADER, len(HEADER), 5, pieces) == HEADER


def test_it_says_when_nothing_more_is_needed() -> None:
    cutter = TopCutter(len(HEADER), 1)
    assert cutter.feed(HEADER) == HEADER
    assert not cutter.done
    assert cutter.feed(BODY) == b"one\r\n"
    assert cutter.done


@given(st.binary(max_size=200), st.integers(0, 20), st.integers(0, 200), st.integers(0, 2**32))
def test_any_message_any_split(message: bytes, lines: int, header_octets: int, seed: int) -> None:
    header_octets = min(header_octets, len(message))
    body = message[header_octets:].split(b"\n")
    shown = b"".join(line + b"\n" for line in body[:lines]) if lines < len(body) else message[header_octets:]
    for pieces in splits_of(message, seed=seed):
        assert top(message, header_octets, lines, pieces) == message[:header_octets] + shown
