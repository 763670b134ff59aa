"""Bounces, read by the standard library: structure, fields, plain words first, nothing a stranger said can break out."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import cast

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.smtp_out.bounce import Failure, build_bounce, told_action
from shared.contract.types import Outcome, OutcomeKind, QueueEntry
from shared.mail.dsn import DsnAction
from shared.model.ids import EntryId
from shared.model.language import Language
from shared.model.notify import Notify

HEADER = b"From: Alice <alice@a.test>\r\nSubject: =?utf-8?q?=EC=95=88=EB=85=95?=\r\nMessage-ID: <1@a.test>\r\n\r\nbody"


ENGLISH = HEADER.replace(b"=?utf-8?q?=EC=95=88=EB=85=95?=", b"hello")


def failure(recipient: str, enhanced: str, code: int = 550, text: str = "no", remote: str = "mx.b.test[192.0.2.1]:25") -> Failure:
    entry = QueueEntry(
        EntryId(1), 1, "b.test", "trace1", "alice@a.test", recipient, "", 100, False, False, 1e9, 2e9, 0, None
    )
    return Failure(entry, Outcome(EntryId(1), OutcomeKind.FAILED, 0.0, code, enhanced, text, remote))


def bounce(*failures: Failure, header: bytes = HEADER) -> EmailMessage:
    built = build_bounce("mail.a.test", failures, header, 1e9 + 60, "abc123")
    assert built.recipient == "alice@a.test"
    assert built.trace == "trace1"
    assert built.content.inline is not None
    assert built.content.octets == len(built.content.inline)
    assert built.content.inline.replace(b"\r\n", b"").count(b"\n") == 0
    assert built.index.header_octets > 0
    return cast("EmailMessage", email.message_from_bytes(built.content.inline, policy=email.policy.default))


def test_structure_and_fields() -> None:
    message = bounce(failure("bob@b.test", "5.1.1", text="User unknown"), failure("eve@b.test", "5.2.2", 552, "full"), header=ENGLISH)
    assert message.get_content_type() == "multipart/report"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["To"] == "<alice@a.test>" or message["To"].addresses[0].addr_spec == "alice@a.test"
    human, status, original = message.iter_parts()
    assert status.get_content_type() == "message/delivery-status"
    per_message, *recipients = cast("list[EmailMessage]", status.get_payload())
    assert per_message["Reporting-MTA"] == "dns; mail.a.test"
    assert [part["Final-Recipient"] for part in recipients] == ["rfc822;bob@b.test", "rfc822;eve@b.test"]
    assert [part["Status"] for part in recipients] == ["5.1.1", "5.2.2"]
    assert [part["Action"] for part in recipients] == ["failed", "failed"]
    assert recipients[0]["Remote-MTA"] == "dns; mx.b.test"
    assert recipients[0]["Diagnostic-Code"] == "smtp; 550 5.1.1 User unknown"
    text = human.get_content()
    assert text.index("no such address") < text.index("User unknown")
    assert "typing mistakes" in text
    assert original.get_content_type() == "text/rfc822-headers"
    assert b"<1@a.test>" in original.get_payload(decode=True)
    assert b"body" not in original.get_payload(decode=True)


def test_what_strangers_say_stays_inside() -> None:
    evil = "x\r\nStatus: 2.0.0\r\n\r\n--=_abc123--\r\nFrom: evil"
    message = bounce(failure("bob@b.test", "5.7.1", text=evil), header=b"Subject: a\r\n--=_abc123--\r\nX: y\r\n\r\n")
    parts = list(message.iter_parts())
    assert len(parts) == 3
    recipients = cast("list[EmailMessage]", parts[1].get_payload())[1:]
    assert [part["Status"] for part in recipients] == ["5.7.1"]


def test_without_a_remote_reply_and_without_the_original() -> None:
    message = bounce(failure("bob@b.test", "5.1.2", text="the domain b.test does not exist", remote=""), header=b"")
    recipient = cast("list[EmailMessage]", list(message.iter_parts())[1].get_payload())[1]
    assert recipient["Remote-MTA"] is None
    assert "does not exist" in recipient["Diagnostic-Code"]


def test_the_sender_reads_the_language_of_the_message() -> None:
    assert parts_of(HEADER)[0].startswith("보내신 메시지를 다음 주소로 배달하지 못했습니다:")
    korean, english = parts_of(b"Subject: hi\r\n\r\n", Language.KOREAN)[0], parts_of(b"Subject: hi\r\n\r\n")[0]
    assert "그런 주소가 없습니다." in korean
    assert "There is no such address." in english


def parts_of(header: bytes, default: Language = Language.ENGLISH) -> list[str]:
    built = build_bounce("mail.a.test", [failure("bob@b.test", "5.1.1")], header, 1e9 + 60, "abc123", default)
    assert built.content.inline is not None
    message = cast("EmailMessage", email.message_from_bytes(built.content.inline, policy=email.policy.default))
    return [cast("EmailMessage", part).get_content() for part in list(message.iter_parts())[:1]]


def test_a_delay_says_why() -> None:
    one = failure("bob@b.test", "4.2.2", 452, "full")
    late = Failure(one.entry, attrs.evolve(one.outcome, kind=OutcomeKind.DEFERRED), DsnAction.DELAYED)
    human, *_ = bounce(late, header=b"Subject: x\r\n\r\n").iter_parts()
    assert "mailbox is full" in human.get_content()


S, F, D, N = Notify.SUCCESS, Notify.FAILURE, Notify.DELAY, Notify.NEVER


@pytest.mark.parametrize(
    ("kind", "notify", "dsn", "told"),
    [
        (OutcomeKind.FAILED, 0, True, DsnAction.FAILED),
        (OutcomeKind.FAILED, F | S, False, DsnAction.FAILED),
        (OutcomeKind.FAILED, S | D, False, None),
        (OutcomeKind.FAILED, N, False, None),
        (OutcomeKind.DELIVERED, S, False, DsnAction.RELAYED),
        (OutcomeKind.DELIVERED, S, True, None),
        (OutcomeKind.DELIVERED, 0, False, None),
        (OutcomeKind.DELIVERED, F, False, None),
        (OutcomeKind.RELEASED, S | F | D, False, None),
    ],
)
def test_who_is_told(kind: OutcomeKind, notify: int, dsn: bool, told: DsnAction | None) -> None:
    entry = attrs.evolve(failure("b@b.test", "5.0.0").entry, notify=int(notify))
    assert told_action(entry, kind, now=100.0, dsn=dsn) is told
    # RFC 5321 §4.5.5
    assert told_action(attrs.evolve(entry, sender="", warn_at=1.0), kind, now=100.0, dsn=dsn) is None


def test_a_delay_is_told_from_its_time_on() -> None:
    entry = failure("b@b.test", "4.0.0").entry
    told = [
        told_action(attrs.evolve(entry, warn_at=at), OutcomeKind.DEFERRED, now=100.0, dsn=False)
        for at in (0.0, 100.0, 101.0)
    ]
    assert told == [None, DsnAction.DELAYED, None]


@given(
    st.lists(st.tuples(st.text(max_size=40), st.text(max_size=20), st.text(max_size=200)), min_size=1, max_size=5),
    st.binary(max_size=300),
)
@settings(max_examples=100, deadline=None)
def test_any_words_give_a_report_of_three_parts(told: list[tuple[str, str, str]], header: bytes) -> None:
    message = bounce(*(failure(recipient, enhanced, text=text) for recipient, enhanced, text in told), header=header)
    parts = list(message.iter_parts())
    assert len(parts) == 3
    # the standard library takes message/global-delivery-status (RFC 6533) for one block of text
    assert parts[1].as_string().count("\nFinal-Recipient:") == len(told)
