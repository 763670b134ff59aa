"""LMTP on the sans-IO connection: LHLO, and one reply per accepted recipient, well or badly (RFC 2033)."""

from collections.abc import Callable
from typing import Any

import pytest

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.events import ContentEnded, Event
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.protocol.replies import Reply
from shared.mail.received import build_received, protocol_name
from shared.testing.splits import splits_of

Drive = Callable[..., Any]

THREE = (
    b"LHLO c.test\r\nMAIL FROM:<s@elsewhere.test>\r\nRCPT TO:<a@b.test>\r\nRCPT TO:<unknown@b.test>\r\nRCPT TO:<c@b.test>\r\n"
    b"RCPT TO:<a@b.test>\r\n"
)
ANSWERS = ["220", "250", "250 2.1.0", "250 2.1.5", "550 5.1.1", "250 2.1.5", "250 2.1.5"]


@pytest.mark.parametrize(
    ("content", "answers"),
    [
        (b"DATA\r\nhello\r\n.\r\n", ["354", *["250 2.0.0"] * 3]),
        (b"BDAT 7 LAST\r\nhello\r\n", ["250 2.0.0"] * 3),
        (b"BDAT 7\r\nhello\r\nBDAT 0 LAST\r\n", ["250 2.0.0"] * 4),
        (b"DATA\r\nbare\n\r\n.\r\n", ["354", *["550 5.6.11"] * 3]),
        (b"BDAT 5 LAST\r\nbare\n", ["550 5.6.11"] * 3),
        (b"DATA\r\n" + b"x" * 150 + b"\r\n.\r\n", ["354", *["552 5.3.4"] * 3]),
    ],
)
def test_one_reply_for_each_accepted_recipient(content: bytes, answers: list[str], drive: Drive) -> None:
    data = THREE + content + b"NOOP\r\n"
    limits = Limits(message_octets=100)
    whole = drive(data, "lmtp", limits=limits)
    assert whole.codes == [*ANSWERS, *answers, "250 2.0.0"]
    for pieces in splits_of(data):
        assert drive(pieces, "lmtp", limits=limits).facts == whole.facts


def test_what_the_store_refuses_is_refused_for_each(drive: Drive) -> None:
    def full(event: Event) -> Reply:
        return replies.OUT_OF_SPACE if isinstance(event, ContentEnded) else replies.OK

    outcome = drive(b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.c>\r\nRCPT TO:<d@b.c>\r\nDATA\r\n.\r\n", "lmtp", answer=full)
    assert outcome.codes[-3:] == ["354", "452 4.3.1", "452 4.3.1"]


def test_far_too_big_is_told_for_each_and_ends_the_connection(drive: Drive) -> None:
    outcome = drive(THREE + b"BDAT 1000\r\n", "lmtp", limits=Limits(message_octets=100))
    assert outcome.codes[-3:] == ["552 5.3.4"] * 3
    assert outcome.connection.closed


def test_a_bounce_may_have_several_recipients(drive: Drive) -> None:
    outcome = drive(b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.c>\r\nRCPT TO:<d@b.c>\r\nDATA\r\n.\r\n", "lmtp")
    assert outcome.codes[-3:] == ["354", "250 2.0.0", "250 2.0.0"]


def test_without_recipients_503(drive: Drive) -> None:
    for content in (b"DATA\r\n", b"BDAT 3 LAST\r\nabc"):
        outcome = drive(b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<unknown@b.test>\r\n" + content, "lmtp")
        assert outcome.codes[-1] == "503 5.5.1"
        assert outcome.messages == []


def test_each_protocol_has_its_own_greeting(drive: Drive) -> None:
    assert drive(b"EHLO c\r\nHELO c\r\nMAIL FROM:<>\r\n", "lmtp").codes == ["220", "500 5.5.1", "500 5.5.1", "503 5.5.1"]
    assert drive(b"LHLO c\r\nMAIL FROM:<>\r\n").codes == ["220", "502 5.5.1", "503 5.5.1"]


def test_nobody_logs_in_or_starts_tls(drive: Drive) -> None:
    outcome = drive(b"LHLO c\r\nAUTH PLAIN AGEAc2VjcmV0\r\nSTARTTLS\r\nXCLIENT ADDR=192.0.2.1\r\n", "lmtp")
    assert outcome.codes == ["220", "250", "502 5.5.1", "502 5.5.1", "502 5.5.1"]
    assert not {word for word in (b"AUTH", b"STARTTLS", b"XCLIENT") if word in outcome.output.partition(b"LIMITS")[0]}
    # RFC 2033 §5
    assert {word for word in (b"PIPELINING", b"ENHANCEDSTATUSCODES", b"8BITMIME", b"CHUNKING") if word in outcome.output} == {
        b"PIPELINING",
        b"ENHANCEDSTATUSCODES",
        b"8BITMIME",
        b"CHUNKING",
    }


def test_the_trace_says_so() -> None:
    assert protocol_name(esmtp=True, tls=False, authenticated=False, lmtp=True) == "LMTP"
    assert protocol_name(esmtp=True, tls=False, authenticated=False, smtputf8=True, lmtp=True) == "UTF8LMTP"
    field = build_received(helo="c.test", reverse_name="", client_ip="", by="mx.test", protocol="LMTP", trace="t", seconds=0)
    assert field.startswith(b"Received: from c.test (local)\r\n\tby mx.test with LMTP id t;\r\n")
