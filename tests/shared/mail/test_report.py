"""A report as the store takes it, in each language; what it says to programs is the same in all of them."""

import email
import email.policy
from email.message import EmailMessage
from typing import cast

import attrs
import pytest

from shared.mail.dsn import DsnAction, DsnRecipient
from shared.mail.dsn_words import WORDS
from shared.mail.report import HEADER_OCTETS, Reported, report_to_sender
from shared.model.language import Language

ORIGINAL = b"From: a@a.test\r\nSubject: x\r\nMessage-ID: <1@a.test>\r\n\r\nThe body.\r\n"
REPORTED = Reported("alice@a.test", "trace1", 1_700_000_000, "QQ+2B1", ORIGINAL)
FAILED = DsnRecipient(
    "bob@b.test", DsnAction.FAILED, "5.1.1", "550 5.1.1 User unknown", "mx.b.test", last_attempt=1_700_000_100, explanation="설명."
)
LATE = DsnRecipient("eve@b.test", DsnAction.DELAYED, "4.4.1", "connection refused", will_retry_until=1_700_400_000)
OTHERS = tuple(DsnRecipient(f"{action}@b.test", action, "2.0.0") for action in (DsnAction.DELIVERED, DsnAction.RELAYED, DsnAction.EXPANDED))


def parsed(language: Language, *recipients: DsnRecipient, reported: Reported = REPORTED) -> EmailMessage:
    bounce = report_to_sender("mail.a.test", reported, recipients, kind="bounce", unique="u1", now=1_700_000_200, language=language)
    assert (bounce.recipient, bounce.trace) == ("alice@a.test", "trace1")
    assert bounce.content.inline is not None
    assert bounce.eight_bit is not bounce.content.inline.isascii()
    assert max(map(len, bounce.content.inline.split(b"\r\n"))) <= 998
    return cast("EmailMessage", email.message_from_bytes(bounce.content.inline, policy=email.policy.default))


def parts(message: EmailMessage) -> list[EmailMessage]:
    return cast("list[EmailMessage]", list(message.iter_parts()))


@pytest.mark.parametrize(
    ("language", "subject", "name", "opening", "until"),
    [
        (
            Language.ENGLISH,
            "Undelivered mail returned to sender",
            "Mail Delivery System",
            "Your message could not be delivered to:",
            "Sun, 19 Nov 2023",
        ),
        (
            Language.KOREAN,
            "배달하지 못한 메일을 돌려드립니다",
            "메일 배달 시스템",
            "보내신 메시지를 다음 주소로 배달하지 못했습니다:",
            "2023년 11월 19일 13:20",
        ),
    ],
)
def test_people_read_their_language(language: Language, subject: str, name: str, opening: str, until: str) -> None:
    message = parsed(language, FAILED, LATE)
    assert message["Subject"] == subject
    assert (message["From"].addresses[0].display_name, message["From"].addresses[0].addr_spec) == (name, "MAILER-DAEMON@mail.a.test")
    assert message["Message-ID"] == "<u1.bounce@mail.a.test>"
    words = parts(message)[0]
    assert words["Content-Language"] == language.value
    text = words.get_content()
    # what happened comes first
    assert text.startswith(opening)
    assert text.index("설명.") < text.index("550 5.1.1 User unknown")
    assert until in text
    assert "mail.a.test" in text


def test_programs_read_the_same_in_every_language() -> None:
    english, korean = (parts(parsed(language, FAILED, LATE)) for language in Language)
    assert english[1].as_bytes() == korean[1].as_bytes()
    assert english[2].as_bytes() == korean[2].as_bytes()
    per_message, *_ = cast("list[EmailMessage]", english[1].get_payload())
    assert per_message["Original-Envelope-Id"] == "QQ+1"


@pytest.mark.parametrize("language", list(Language))
def test_every_action_has_its_words(language: Language) -> None:
    for one in (FAILED, LATE, *OTHERS):
        message = parsed(language, one)
        assert message["Subject"] == WORDS[language].subjects[one.action]
        assert WORDS[language].openings[one.action][:20] in parts(message)[0].get_content()


def test_the_whole_message_or_its_header() -> None:
    assert parts(parsed(Language.ENGLISH, FAILED))[2].get_content_type() == "text/rfc822-headers"
    whole = attrs.evolve(REPORTED, original=ORIGINAL + b"line\r\n" * (HEADER_OCTETS // 5), whole=True)
    assert parts(parsed(Language.ENGLISH, FAILED, reported=whole))[2].get_content_type() == "message/rfc822"
