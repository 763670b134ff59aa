"""Delivery status notifications, checked with the standard library's parser and with hostile values."""

import email
import email.policy
from email.message import EmailMessage

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail.dsn import DsnAction, DsnRecipient, DsnReport, build_dsn
from shared.mail.index import build_index, unpack_summary

ORIGINAL = b"From: alice@example.test\r\nMessage-ID: <orig@example.test>\r\nSubject: hi\r\n\r\nThe body.\r\n"
BOB = DsnRecipient(
    "bob@remote.test", DsnAction.FAILED, "5.1.1", "550 5.1.1 no such user", "mx.remote.test", last_attempt=1700000100
)
REPORT = DsnReport(
    reporting_mta="nas.example",
    from_address="MAILER-DAEMON@nas.example",
    to_address="alice@example.test",
    recipients=(BOB,),
    date=1700000200,
    message_id="dsn.1@nas.example",
    boundary="=_dsn-1",
    original=ORIGINAL,
    arrival=1700000000,
    envelope_id="QQ314159",
)


def parsed(report: DsnReport) -> EmailMessage:
    message = email.message_from_bytes(build_dsn(report), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def parts_of(report: DsnReport) -> list[EmailMessage]:
    return list(parsed(report).iter_parts())


def test_failed_report() -> None:
    message = parsed(REPORT)
    assert message.get_content_type() == "multipart/report"
    assert message["content-type"].params["report-type"] == "delivery-status"
    assert message["auto-submitted"] == "auto-replied"
    assert message["to"] == "alice@example.test"
    assert message["in-reply-to"] == "<orig@example.test>"
    words, status, header = parts_of(REPORT)
    text = words.get_content()
    assert "could not be delivered" in text
    assert "<bob@remote.test>" in text
    assert "mx.remote.test said: 550 5.1.1 no such user" in text
    per_message, per_recipient = status.get_payload()
    assert dict(per_message.items()) == {
        "Original-Envelope-Id": "QQ314159",
        "Reporting-MTA": "dns; nas.example",
        "Arrival-Date": "Tue, 14 Nov 2023 22:13:20 +0000",
    }
    assert dict(per_recipient.items()) == {
        "Final-Recipient": "rfc822;bob@remote.test",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.remote.test",
        "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
        "Last-Attempt-Date": "Tue, 14 Nov 2023 22:15:00 +0000",
    }
    assert header.get_content_type() == "text/rfc822-headers"
    assert header.get_payload() == ORIGINAL.partition(b"\r\n\r\n")[0].decode() + "\r\n"


def test_several_recipients_and_actions() -> None:
    late = DsnRecipient(
        "carol@remote.test", DsnAction.DELAYED, "4.4.1", "connection refused", will_retry_until=1700400000
    )
    report = attrs.evolve(REPORT, recipients=(late, BOB))
    _, status, _ = parts_of(report)
    groups = status.get_payload()
    assert [group["action"] for group in groups[1:]] == ["delayed", "failed"]
    assert groups[1]["diagnostic-code"] == "x-pillarbox; connection refused"
    assert groups[1]["will-retry-until"] == "Sun, 19 Nov 2023 13:20:00 +0000"
    assert parsed(report)["subject"] == "Undelivered mail returned to sender"
    assert parsed(attrs.evolve(REPORT, recipients=(late,)))["subject"] == "Mail delivery delayed"


@pytest.mark.parametrize(
    ("action", "given_status", "shown"),
    [
        (DsnAction.FAILED, "", "5.0.0"),
        (DsnAction.DELAYED, "x", "4.0.0"),
        (DsnAction.DELIVERED, "5", "2.0.0"),
        (DsnAction.FAILED, "5.7.1\r\nX: y", "5.0.0"),
    ],
)
def test_status_is_always_one(action: DsnAction, given_status: str, shown: str) -> None:
    report = attrs.evolve(REPORT, recipients=(DsnRecipient("b@c.test", action, given_status),))
    _, status, _ = parts_of(report)
    assert status.get_payload()[1]["status"] == shown


def test_whole_message_on_request_and_its_bound() -> None:
    full = attrs.evolve(REPORT, return_full=True)
    part = parts_of(full)[2]
    assert part.get_content_type() == "message/rfc822"
    assert part.get_payload()[0].get_payload() == "The body.\r\n"
    message = email.message_from_bytes(build_dsn(full, max_original_octets=60))
    short = message.get_payload()[2]
    assert short.get_content_type() == "text/rfc822-headers"
    assert short.get_payload() == "From: alice@example.test\r\nMessage-ID: <orig@example.test>\r\n"


# RFC 6533 §4
def test_internationalised_addresses() -> None:
    report = attrs.evolve(REPORT, recipients=(attrs.evolve(BOB, address="길동@예시.한국", diagnostic="550 없음"),))
    raw = build_dsn(report)
    assert b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n" in raw
    assert "Final-Recipient: utf-8;길동@예시.한국\r\n".encode() in raw
    assert "Diagnostic-Code: smtp; 550 없음\r\n".encode() in raw
    assert b"Content-Type: message/global-headers\r\n" in raw
    assert "<길동@예시.한국>" in unpack_summary(build_index(raw).summary).preview
    assert not [line for line in raw.split(b"\r\n") if len(line) > 998]


def test_no_line_is_too_long() -> None:
    long = "한" * 2000
    one = DsnRecipient(long, DsnAction.FAILED, "5.0.0", long, long, long)
    report = attrs.evolve(
        REPORT, recipients=(one, attrs.evolve(one, address="a" * 5000)), to_address=long, envelope_id=long
    )
    assert max(map(len, build_dsn(report).split(b"\r\n"))) <= 998


def test_original_recipient_keeps_its_type() -> None:
    one = attrs.evolve(BOB, original_address="rfc822;robert@remote.test")
    _, status, _ = parts_of(attrs.evolve(REPORT, recipients=(one,)))
    assert status.get_payload()[1]["original-recipient"] == "rfc822;robert@remote.test"


def test_boundary_in_the_original_is_avoided() -> None:
    hostile = b"X: y\r\n\r\n--=_dsn-1--\r\n--=_dsn-1x\r\nContent-Type: text/html\r\n\r\nevil"
    message = parsed(attrs.evolve(REPORT, original=hostile, return_full=True))
    assert message.get_boundary() == "=_dsn-1xx"
    assert len(list(message.iter_parts())) == 3


def test_boundary_must_be_clean() -> None:
    with pytest.raises(ValueError, match="boundary"):
        build_dsn(attrs.evolve(REPORT, boundary='a"\r\nX: y'))


@given(
    st.text(max_size=60),
    st.text(max_size=60),
    st.text(max_size=1200),
    st.text(max_size=60),
    st.binary(max_size=300),
    st.booleans(),
)
def test_nothing_can_be_injected(
    address: str, envelope: str, diagnostic: str, host: str, original: bytes, full: bool
) -> None:
    one = DsnRecipient(address, DsnAction.FAILED, "5.0.0", diagnostic, host, address, 0, 0)
    report = DsnReport(
        host, address, address, (one,), 0, envelope, "b", original, arrival=0, envelope_id=envelope, return_full=full
    )
    raw = build_dsn(report)
    assert b"\0" not in raw
    assert raw.replace(b"\r\n", b"").count(b"\n") == raw.replace(b"\r\n", b"").count(b"\r") == 0
    head, _, _ = raw.partition(b"\r\n\r\n")
    names = [line.split(b":")[0] for line in head.split(b"\r\n") if not line.startswith(b"\t")]
    assert set(names) <= {
        *(
            b"From",
            b"To",
            b"Subject",
            b"Date",
            b"Message-ID",
            b"In-Reply-To",
            b"References",
            b"Auto-Submitted",
            b"MIME-Version",
        ),
        b"Content-Type",
    }
    message = email.message_from_bytes(raw)
    assert message.is_multipart()
    assert len(message.get_payload()) == 3
    status = raw.split(b"delivery-status\r\n", 1)[1].split(b"\r\n\r\n")
    assert [line.split(b":")[0] for line in status[2].split(b"\r\n")[:4]] in (
        [b"Original-Recipient", b"Final-Recipient", b"Action", b"Status"],
        [b"Final-Recipient", b"Action", b"Status", b"Remote-MTA"],
        [b"Final-Recipient", b"Action", b"Status", b"Diagnostic-Code"],
        [b"Final-Recipient", b"Action", b"Status", b"Last-Attempt-Date"],
    )
