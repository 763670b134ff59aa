"""The reply parser: any split, any bytes, bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.smtp_out.protocol.reply import MAX_LINE_OCTETS, MAX_LINES, MAX_TEXT, PeerViolation, Reply, ReplyParser


def parse(*pieces: bytes) -> list[Reply]:
    parser = ReplyParser()
    replies = []
    for piece in pieces:
        parser.feed(piece)
        while (reply := parser.next_reply()) is not None:
            replies.append(reply)
    return replies


CASES = [
    (b"220 mx.example.test ESMTP\r\n", [Reply(220, ("mx.example.test ESMTP",))]),
    (b"250-a\r\n250-b\r\n250 c\r\n", [Reply(250, ("a", "b", "c"))]),
    (b"354\r\n", [Reply(354, ("",))]),
    (b"250 ok\n250 too\n", [Reply(250, ("ok",)), Reply(250, ("too",))]),
    (b"550 5.1.1 no \x1b[31m\x00such \xff user\r\n", [Reply(550, ("5.1.1 no ?[31m?such � user",))]),
]


@pytest.mark.parametrize(("data", "replies"), CASES)
def test_cases_whole_and_octet_by_octet(data: bytes, replies: list[Reply]) -> None:
    assert parse(data) == replies
    assert parse(*(data[i : i + 1] for i in range(len(data)))) == replies
    assert parse(data + b"250 mor") == replies


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n",
        b"\r\n",
        b"25\r\n",
        b"199 x\r\n",
        b"600 x\r\n",
        b"250x\r\n",
        b"250-a\r\n251 b\r\n",
        b"250 " + b"x" * MAX_LINE_OCTETS + b"\r\n",
        b"x" * (MAX_LINE_OCTETS + 1),
        b"250-x\r\n" * (MAX_LINES + 1),
    ],
)
def test_violations(data: bytes) -> None:
    with pytest.raises(PeerViolation):
        parse(data)


@pytest.mark.parametrize(
    ("line", "enhanced", "text"),
    [
        ("5.1.1 no such user", "5.1.1", "no such user"),
        ("5.1.1", "5.1.1", ""),
        ("4.1.1 contradicts", "", "4.1.1 contradicts"),
        ("5.1.1234 x", "", "5.1.1234 x"),
        ("5.1 x", "", "5.1 x"),
        ("no code", "", "no code"),
    ],
)
def test_enhanced(line: str, enhanced: str, text: str) -> None:
    reply = Reply(550, (line,))
    assert (reply.enhanced, reply.text) == (enhanced, text)


def test_text_joins_lines_without_repeated_codes_and_is_bounded() -> None:
    assert Reply(550, ("5.7.1 first", "5.7.1 second")).text == "first second"
    assert len(Reply(250, ("y" * 1500, "z" * 1500)).text) == MAX_TEXT


def test_idle_tells_of_anything_left() -> None:
    parser = ReplyParser()
    parser.feed(b"220 go\r\n")
    assert not parser.idle
    assert parser.next_reply() is not None
    assert parser.idle
    parser.feed(b"220 go\r\n250 injected\r\n")
    parser.next_reply()
    assert not parser.idle


@given(st.binary(max_size=400), st.integers(1, 7))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_replies_or_a_violation(data: bytes, size: int) -> None:
    pieces = [data[i : i + size] for i in range(0, len(data), size)]

    def run(parts: list[bytes]) -> object:
        try:
            return parse(*parts)
        except PeerViolation as violation:
            return str(violation)

    assert run(pieces) == run([data])
