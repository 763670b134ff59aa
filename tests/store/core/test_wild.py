"""When a client has run wild, and how its owner is told."""

import email
import email.policy
import shlex

import pytest

from services.store.domain.wild import MAILBOXES_MAX, Deleted, Deletions, RanWild, WildLimits
from services.store.wild_notice import build_wild_notice, undo_command
from shared.cli.undo import parse_when

LIMITS = WildLimits(percent=50, messages=50)


def deleted(messages: int, left: int, mailbox: int = 1) -> Deleted:
    return Deleted(7, mailbox, "INBOX", messages, left)


@pytest.mark.parametrize(
    ("limits", "messages", "left", "wild"),
    [
        (LIMITS, 50, 50, True),
        (LIMITS, 50, 51, False),
        (LIMITS, 49, 0, False),
        (LIMITS, 1000, 0, True),
        (WildLimits(100, 1), 1, 0, True),
        (WildLimits(100, 1), 9, 1, False),
        (WildLimits(1, 1), 1, 99, True),
        (WildLimits(1, 1), 1, 100, False),
        (WildLimits(0, 1), 1000, 0, False),
    ],
)
def test_one_command(limits: WildLimits, messages: int, left: int, wild: bool) -> None:
    found = Deletions(limits).note(deleted(messages, left), 100.0)
    assert found == (RanWild(deleted(messages, left), messages, messages + left, 100.0) if wild else None)


def test_what_is_deleted_bit_by_bit_counts_together_for_a_minute() -> None:
    deletions = Deletions(LIMITS)
    for number in range(49):
        assert deletions.note(deleted(1, 99 - number), 1000.0 + number) is None
    wild = deletions.note(deleted(1, 50), 1049.0)
    assert wild is not None
    assert (wild.messages, wild.of, wild.since) == (50, 100, 1000.0)
    # a second later one a second would still be 60 of them; a minute later it is one
    assert deletions.note(deleted(1, 49), 1060.0) is not None
    assert deletions.note(deleted(1, 48), 1200.0) is None


def test_a_slow_reader_is_not_wild() -> None:
    deletions = Deletions(LIMITS)
    assert all(deletions.note(deleted(1, 200 - number), 2.0 * number) is None for number in range(200))


def test_mailboxes_and_bursts_are_counted_apart_and_bounded() -> None:
    deletions = Deletions(LIMITS)
    assert deletions.note(deleted(30, 30, mailbox=1), 0.0) is None
    assert deletions.note(deleted(30, 30, mailbox=2), 0.0) is None
    for number in range(1000):
        deletions.note(deleted(1, 10_000, mailbox=3), 10.0 + number / 1000)
    assert len(deletions._recent[3]) <= 2
    for number in range(MAILBOXES_MAX + 5):
        deletions.note(deleted(1, 10, mailbox=100 + number), 20.0)
    assert len(deletions._recent) == MAILBOXES_MAX


def test_a_clock_that_is_put_back_begins_anew() -> None:
    deletions = Deletions(LIMITS)
    assert deletions.note(deleted(40, 10), 5000.0) is None
    assert deletions.note(deleted(40, 10), 1000.0) is None
    assert deletions.note(deleted(10, 0), 1001.0) is not None


@pytest.mark.parametrize("address", ["ann@example.test", "김@example.test"])
def test_the_notice_is_plain_in_both_languages(address: str) -> None:
    wild = RanWild(Deleted(1, 2, "Bills '26\r\nBcc: x@y.test", 300, 10), 300, 310, 1_795_874_759.0)
    raw = build_wild_notice(address, wild, 14.0, hostname="mx.example.test", seconds=1e9, unique="abc")
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == "<abc.deleted@mx.example.test>"
    assert f"To: {address}\r\n".encode() in raw
    text = message.get_content()
    assert f"has deleted 300 of 310 messages in Bills '26??Bcc: x@y.test of {address} within a minute (since 2026-11-28 14:05 UTC)" in text
    assert "메일 310통 중 300통을 삭제했습니다" in text
    assert "For 14 days" in text
    assert "14일 동안" in text
    assert text.count(undo_command(address, "Bills '26??Bcc: x@y.test", wild.since)) == 2
    without = build_wild_notice(address, wild, 0.0, hostname="mx.example.test", seconds=1e9, unique="abc")
    assert "pillarbox restore DIR --account" in email.message_from_bytes(without, policy=email.policy.default).get_content()


def test_the_command_goes_to_the_minute_before() -> None:
    words = shlex.split(undo_command("a@b.test", "it's mine", 1_795_874_759.0))
    assert words == ["pillarbox", "undo", "a@b.test", "--to", "2026-11-28 14:05Z", "--mailbox", "it's mine"]
    assert parse_when(words[4], 0.0) == 1_795_874_700.0
