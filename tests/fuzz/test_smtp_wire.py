"""Octets that are nearly SMTP, in both directions: they mean what the RFC says, written down here a second time and plainly, at any split.

- smtp_in: where a content ends, what of it is kept, and where commands go on (RFC 5321 §4.1.1.4, §4.5.2; RFC 3030 §2), smuggling included.
- smtp_out: where a reply ends and what it says (RFC 5321 §4.2).
"""

import itertools
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.connection import Connection
from services.smtp_in.protocol.events import (
    ContentEnded,
    ContentPiece,
    ContentStarted,
    MailRequested,
    Profile,
    RcptRequested,
    StartTls,
)
from services.smtp_in.protocol.limits import Limits
from services.smtp_out.protocol.capabilities import parse_ehlo
from services.smtp_out.protocol.reply import MAX_LINE_OCTETS, MAX_LINES, PeerViolation, Reply, ReplyParser
from shared.testing.mutants import mutants
from shared.testing.splits import random_splits, splits_of

OPENING = b"EHLO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n"
TAIL = b"RSET\r\nMAIL FROM:<tail@b.test>\r\nQUIT\r\n"
SMUGGLED = b"MAIL FROM:<evil@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nevil\r\n.\r\n"
LINE_ENDS = (
    *(b"\r\n.\r\n", b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\n.\r\r\n", b"\r\n\x00.\r\n"),
    *(b"\r\n", b"\r", b"\n", b".", b"..", b"\r\n..\r\n", b"\r\n.\r\n.\r\n", SMUGGLED, b"\0", b"\xff"),
)


class Client:
    """One connection to smtp_in that takes everything: what came of it."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.connection = Connection(Profile("mx.test", submission=False), limits or Limits())
        self.senders: list[str] = []
        self.messages: list[bytes] = []
        self.output = b""
        self._content = b""

    def feed(self, pieces: list[bytes]) -> "Client":
        connection = self.connection
        for piece in pieces:
            if connection.closed:
                break
            connection.feed(piece)
            while (event := connection.next_event()) is not None:
                match event:
                    case ContentStarted():
                        self._content = b""
                    case ContentPiece(data):
                        self._content += data
                    case ContentEnded():
                        self.messages.append(self._content)
                        connection.answer(replies.queued("t"))
                    case MailRequested(mail):
                        self.senders.append(mail.sender.address if mail.sender else "")
                        connection.answer(replies.SENDER_OK)
                    case RcptRequested():
                        connection.answer(replies.RECIPIENT_OK)
                    case StartTls():
                        connection.tls_started()
            self.output += connection.take_output()
        return self

    @property
    def facts(self) -> tuple[object, ...]:
        return self.senders, self.messages, self.output, self.connection.close_reason, self.connection.state


def plain_content(content: bytes) -> tuple[list[bytes], bytes]:
    """The message that stands before the first CRLF.CRLF, none with a bare CR or LF in it, and what comes behind."""
    before, _, behind = (b"\r\n" + content).partition(b"\r\n.\r\n")
    lines = before.split(b"\r\n")[1:]
    if any(b"\r" in line or b"\n" in line for line in lines):
        return [], behind
    return [b"".join(line.removeprefix(b".") + b"\r\n" for line in lines)], behind


@given(mutants([b"Subject: x\r\n\r\nHello.\r\n..two\r\n", b"", b".\r\n", b"hello" + SMUGGLED], LINE_ENDS), random_splits())
@example(b"x\r\n.\r\n" + SMUGGLED, 0)
@settings(max_examples=300)
def test_a_content_ends_where_the_rule_says(content: bytes, seed: int) -> None:
    whole = content + b"\r\n.\r\n" + TAIL
    messages, behind = plain_content(whole)
    expected = Client().feed([OPENING + b"RSET\r\n" + behind])
    wire = OPENING + b"DATA\r\n" + whole
    for number, pieces in enumerate(splits_of(wire, seed=seed)):
        client = Client().feed(pieces)
        assert client.messages == messages + expected.messages
        assert client.senders == expected.senders
        if number > 2:
            return


@given(
    mutants([b"Subject: x\r\n\r\nHello.\r\n..two\r\n", b".\r\n", b"hello" + SMUGGLED], LINE_ENDS),
    st.lists(st.integers(0, 200), max_size=4),
    random_splits(),
)
@example(b"\ra\n", [1], 0)
@settings(max_examples=200)
def test_chunks_hold_what_their_length_says(content: bytes, cuts: list[int], seed: int) -> None:
    points = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    chunks = [content[start:end] for start, end in itertools.pairwise(points)]
    wire = OPENING + b"".join(b"BDAT %d\r\n%b" % (len(chunk), chunk) for chunk in chunks) + b"BDAT 0 LAST\r\n" + TAIL
    bare = re.search(rb"\r(?!\n)|(?<!\r)\n", content) is not None
    for pieces in ([wire], [wire[at : at + 1] for at in range(len(wire))], *list(splits_of(wire, seed=seed))[-2:]):
        client = Client().feed(pieces)
        assert client.messages == ([] if bare else [content])
        assert client.senders == ["a@b.test", "tail@b.test"]


SESSIONS = (
    OPENING + b"DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n",
    OPENING + b"BDAT 4\r\nab\r\nBDAT 2 LAST\r\n\r\nNOOP\r\n",
    b"HELO c\r\nMAIL FROM:<> SIZE=10 BODY=8BITMIME RET=FULL\r\nRCPT TO:<x@y.test> NOTIFY=NEVER\r\nVRFY x\r\nHELP\r\nRSET\r\n",
)
WORDS = (
    *(b"\r\n", b"\n", b"\r", b" ", b"<", b">", b":", b"DATA\r\n", b"BDAT ", b"BDAT 99999999999999999999 LAST\r\n", b" LAST"),
    *(b"MAIL FROM:", b"RCPT TO:<a@b.c>\r\n", b"RSET\r\n", b"\0", b"\xed\xa0\x80", b"=", b"SIZE=", b"x" * 70, b"GET / \r\n"),
)
SMALL = Limits(command_line_octets=64, message_octets=200, errors=5, idle_commands=4, messages=3, recipients=2)


@given(mutants(SESSIONS, WORDS), random_splits(), st.booleans())
@settings(max_examples=250)
def test_any_session_means_the_same_at_any_split(wire: bytes, seed: int, small: bool) -> None:
    limits = SMALL if small else None
    whole = Client(limits).feed([wire])
    # RFC 5321 §4.2: nothing but replies, of our own codes, each line ended
    assert re.fullmatch(rb"(?:[2345]\d\d[ -][\x20-\x7e]*\r\n)*", whole.output)
    for pieces in (*list(splits_of(wire, seed=seed))[-4:], [wire[at : at + 1] for at in range(len(wire))]):
        assert Client(limits).feed(pieces).facts == whole.facts


def plain_replies(data: bytes) -> tuple[list[Reply], bool]:
    """All replies up to the first thing that is none, and whether there was such a thing."""
    found: list[Reply] = []
    inside: list[bytes] = []
    *lines, rest = data.split(b"\n")
    for line in lines:
        raw = line.removesuffix(b"\r")
        odd = len(line) + 1 > MAX_LINE_OCTETS or not re.fullmatch(rb"[2-5][0-9]{2}(?:[- ].*)?", raw, re.DOTALL)
        if odd or (inside and inside[0][:3] != raw[:3]) or len(inside) >= MAX_LINES:
            return found, True
        inside.append(raw)
        if raw[3:4] != b"-":
            texts = (re.sub("[\0-\x1f\x7f-\x9f]", "?", each[4:].decode("utf-8", "replace")).strip() for each in inside)
            found.append(Reply(int(raw[:3]), tuple(texts)))
            inside = []
    return found, len(rest) >= MAX_LINE_OCTETS


REPLIES = (
    b"220 mx.test ESMTP\r\n250-mx.test\r\n250-SIZE 1000\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n",
    b"354\r\n250 2.0.0 ok\r\n550-5.1.1 no\r\n550 5.1.1 such user\r\n421 4.4.2 bye\r\n",
)
REPLY_TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"-", b" ", b"250 ", b"250-", b"199 x\r\n", b"\0", b"\xff", b"\xc2\x85", b"250\xa0x\r\n"),
    *(b"x" * MAX_LINE_OCTETS, b"250-x\r\n" * MAX_LINES, "２５０ x\r\n".encode()),
)


@given(mutants(REPLIES, REPLY_TOKENS), st.integers(1, 400))
@settings(max_examples=300)
def test_replies_end_where_the_rule_says(data: bytes, size: int) -> None:
    expected, violated = plain_replies(data)
    for pieces in ([data] if data else [], [data[at : at + size] for at in range(0, len(data), size)]):
        found: list[Reply] = []
        violation = take_replies(pieces, found)
        assert (found, violation is not None) == (expected, violated)
        assert violation is None or violation.isprintable()
        for reply in found:
            assert (reply.text + reply.enhanced + str(reply)).isprintable()
            parse_ehlo(reply)


def take_replies(pieces: list[bytes], found: list[Reply]) -> str | None:
    """All replies go to ``found``; what the violation says that ended them."""
    parser = ReplyParser()
    try:
        for piece in pieces:
            parser.feed(piece)
            while (reply := parser.next_reply()) is not None:
                found.append(reply)
    except PeerViolation as violation:
        return str(violation)
    return None
