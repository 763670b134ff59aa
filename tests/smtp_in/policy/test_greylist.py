"""Greylisting: the rule by a clock of the test's own, the book on the disk, whom it spares."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from services.smtp_in.policy import greylist_book
from services.smtp_in.policy.chain import Received
from services.smtp_in.policy.greylist import (
    RETRY_SECONDS,
    Correspondents,
    Greylist,
    GreylistRule,
    Seen,
    correspondent,
    triplet,
)
from services.smtp_in.policy.greylist_book import GreylistBook
from services.smtp_in.policy.strangers import Strangers
from services.smtp_in.protocol.commands import Mail
from services.smtp_in.protocol.data import HeaderFacts
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.transaction import Account, Client, Standing, Transaction
from shared.dns.resolver import Limits, Resolver
from shared.model.ids import AccountId, Grant
from shared.net.networks import NetworkSet
from shared.observe.log import Logger
from shared.testing.dns_server import DnsServer, Trouble

DAY = 86_400.0
NOBODY = correspondent("nobody@elsewhere.test")
RULE = GreylistRule(300.0, 35 * DAY)
ALICE = Mailbox("alice", "example.test")


# --- the rule ---


def test_a_triplet_from_the_first_try_to_oblivion() -> None:
    seen, left = RULE.see(None, 1000.0)
    assert (seen, left) == (Seen(1000.0, 1000.0 + RETRY_SECONDS), 300.0)
    seen, left = RULE.see(seen, 1299.0)
    assert left == 1.0  # trying again and again makes it neither longer nor shorter
    seen, left = RULE.see(seen, 1300.0)
    assert (seen, left) == (Seen(1000.0, 1300.0 + 35 * DAY), 0.0)
    seen, left = RULE.see(seen, 1300.0 + 34 * DAY)
    assert (seen, left) == (Seen(1000.0, 1300.0 + 69 * DAY), 0.0)
    assert RULE.see(seen, seen.until)[1] == 300.0


def test_who_comes_back_too_late_begins_anew() -> None:
    seen, _ = RULE.see(None, 1000.0)
    assert RULE.see(seen, 1000.0 + RETRY_SECONDS)[1] == 300.0


def test_a_clock_that_was_set_back_delays_nobody_for_years() -> None:
    seen, _ = RULE.see(None, 1e9)
    assert RULE.see(seen, 1000.0)[1] == 300.0


@given(st.lists(st.integers(0, 40 * 86_400), max_size=30))
def test_nobody_is_let_in_before_the_delay_or_put_off_for_longer(gaps: list[int]) -> None:
    now, seen = 1000.0, None
    for gap in gaps:
        now += gap
        before = seen
        seen, left = RULE.see(before, now)
        assert 0 <= left <= RULE.delay_seconds
        if left == 0:
            assert before is not None
            assert now - before.first >= RULE.delay_seconds


def test_what_is_the_same_triplet() -> None:
    one = triplet("192.0.2.1", "list-bounces+alice=example.test@l.test", "alice@example.test")
    assert len(one) == 16
    assert triplet("192.0.2.200", "List-Bounces+other@L.test", "Alice@Example.test") == one
    assert triplet("192.0.3.1", "list-bounces+a@l.test", "alice@example.test") != one
    assert triplet("192.0.2.1", "list-bounces@other.test", "alice@example.test") != one
    assert triplet("192.0.2.1", "list-bounces@l.test", "bob@example.test") != one
    assert triplet("192.0.2.1", "m-12-9@l.test", "a@b.test") == triplet("192.0.2.1", "m-34-7@l.test", "a@b.test")
    assert triplet("2001:db8::1", "", "a@b.test") == triplet("2001:db8::2", "", "a@b.test")
    assert triplet("2001:db8::1", "", "a@b.test") != triplet("2001:db8:0:1::1", "", "a@b.test")


# --- the book ---


def test_two_processes_and_a_restart_share_the_book(tmp_path: Path) -> None:
    one, two = GreylistBook(tmp_path / "book"), GreylistBook(tmp_path / "book")
    assert one.see(b"k", NOBODY, RULE, 1000.0) == 300.0
    assert two.see(b"k", NOBODY, RULE, 1100.0) == 200.0
    one.close()
    two.close()
    again = GreylistBook(tmp_path / "book")
    assert again.see(b"k", NOBODY, RULE, 1300.0) == 0.0
    assert again.count() == 1


def test_the_book_is_bounded_and_keeps_the_confirmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greylist_book, "LOOK_EVERY", 10)
    book = GreylistBook(tmp_path / "book", rows=20)
    book.see(b"good", NOBODY, RULE, 1000.0)
    assert book.see(b"good", NOBODY, RULE, 1300.0) == 0.0
    for number in range(200):
        book.see(b"%d" % number, NOBODY, RULE, 2000.0 + number)
        assert book.count() <= 30
    assert book.see(b"good", NOBODY, RULE, 3000.0) == 0.0
    # what is out of date goes first
    for number in range(10):
        book.see(b"late %d" % number, NOBODY, RULE, 2000.0 + 3 * RETRY_SECONDS)
    assert book.count() <= 11


def test_a_broken_book_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "book").write_bytes(b"this is no database" * 1000)
    assert GreylistBook(tmp_path / "book").see(b"k", NOBODY, RULE, 1000.0) == 300.0


def test_trouble_has_one_name(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="book"):
        GreylistBook(tmp_path / "missing" / "book")
    book = GreylistBook(tmp_path / "book")
    book.close()
    with pytest.raises(OSError, match="book"):
        book.see(b"k", NOBODY, RULE, 1000.0)


def test_a_locked_book_is_used_again_once_it_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greylist_book, "_BUSY_SECONDS", 0.01)
    book = GreylistBook(tmp_path / "book")
    other = sqlite3.connect(tmp_path / "book", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OSError, match="locked"):
        book.see(b"k", NOBODY, RULE, 1000.0)
    other.execute("ROLLBACK")
    other.close()
    assert book.see(b"k", NOBODY, RULE, 1000.0) == 300.0


def test_a_book_that_another_process_has_locked_is_not_taken_for_a_broken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(greylist_book, "_BUSY_SECONDS", 0.01)
    other = sqlite3.connect(tmp_path / "book", isolation_level=None)
    other.execute("CREATE TABLE precious (x)")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(OSError, match="locked"):
        GreylistBook(tmp_path / "book")
    other.execute("ROLLBACK")
    assert other.execute("SELECT count(*) FROM precious").fetchone() == (0,)
    other.close()


def test_correspondents_do_not_wait_for_a_year(tmp_path: Path) -> None:
    book, friend = GreylistBook(tmp_path / "book"), correspondent("Friend@Elsewhere.test")
    book.know([friend, correspondent("other@elsewhere.test")], 1000.0, 1000.0 + 365 * DAY)
    assert book.see(b"k", correspondent("friend@elsewhere.test"), RULE, 2000.0) == 0.0
    assert book.see(b"k", correspondent("fiend@elsewhere.test"), RULE, 2000.0) == 300.0
    assert book.see(b"k", friend, RULE, 1000.0 + 365 * DAY) == 300.0


# --- the policy ---


def mail(client: Client, sender: str = "someone@plain.test") -> Transaction:
    local_part, _, domain = sender.rpartition("@")
    return Transaction("t", client, Mail(Mailbox(local_part, domain) if domain else None))


def stranger(**fields: object) -> Client:
    return Client("192.0.2.1", submission=False, helo="mx.good.test", **fields)  # type: ignore[arg-type]


ZONES = {
    "good.test": {"TXT": ['"v=spf1 ip4:192.0.2.1 -all"']},
    "mx.good.test": {"TXT": ['"v=spf1 ip4:192.0.2.1 -all"']},
    "bad.test": {"TXT": ['"v=spf1 -all"']},
    "silent.test": Trouble.DROP,
}


def run(test: Callable[[Greylist, list[str], GreylistBook], object], tmp_path: Path) -> None:
    with DnsServer(ZONES) as dns:
        book, counted, lines = GreylistBook(tmp_path / "book"), list[str](), list[str]()
        greylist = Greylist(
            RULE,
            book,
            Strangers((NetworkSet(("10.0.0.0/24",)),), lambda ip: ip == "10.9.9.1"),
            Resolver([dns.address], Limits(timeout_seconds=5, lifetime_seconds=5)),
            "mx.example.test",
            0.3,
            counted.append,
            lambda: 1000.0,
            Logger("test", write=lambda line: lines.append(str(line))),
        )
        trio.run(test, greylist, counted, book)


def test_who_waits(tmp_path: Path) -> None:
    async def test(greylist: Greylist, counted: list[str], book: GreylistBook) -> None:
        for sender in ("someone@plain.test", "someone@bad.test", "someone@silent.test"):
            reply = await greylist.on_rcpt(mail(stranger(), sender), ALICE)
            assert str(reply) == "451 4.7.1 Not seen before, try again in 300 seconds (greylisting)"
        assert counted == ["greylisted"] * 3

    run(test, tmp_path)


def test_who_need_not_wait(tmp_path: Path) -> None:
    async def test(greylist: Greylist, counted: list[str], book: GreylistBook) -> None:
        assert await greylist.on_rcpt(mail(stranger(), "someone@good.test"), ALICE) is None
        assert await greylist.on_rcpt(mail(stranger(), ""), ALICE) is None  # a bounce, by its HELO name
        assert await greylist.on_rcpt(mail(stranger(standing=Standing(allowed=True))), ALICE) is None
        assert await greylist.on_rcpt(mail(stranger()), Mailbox("Postmaster", "example.test")) is None
        for ip in ("10.0.0.7", "10.9.9.1"):
            assert await greylist.on_rcpt(mail(Client(ip, submission=False)), ALICE) is None
        assert counted == []

    run(test, tmp_path)


def test_an_answer_need_not_wait(tmp_path: Path) -> None:
    async def test(greylist: Greylist, counted: list[str], book: GreylistBook) -> None:
        log = Logger("test", write=lambda line: None)
        note = Correspondents(book, lambda: 500.0, log)
        account = Account(AccountId(1), "alice@example.test", Grant(b""))
        mine = mail(Client("10.0.0.7", submission=True, account=account), "alice@example.test")
        mine.accept_remote(Mailbox("someone", "plain.test"))
        theirs = mail(stranger(), "x@plain.test")
        theirs.accept_remote(Mailbox("other", "plain.test"))
        for each in (mine, theirs):
            assert await note.on_content(Received(each, HeaderFacts(0, True, 0), b"")) is None
        assert await greylist.on_rcpt(mail(stranger(), "Someone@plain.test"), ALICE) is None
        assert await greylist.on_rcpt(mail(stranger(), "other@plain.test"), ALICE) is not None
        book.close()
        assert await note.on_content(Received(mine, HeaderFacts(0, True, 0), b"")) is None

    run(test, tmp_path)


def test_a_book_in_trouble_delays_nobody(tmp_path: Path) -> None:
    async def test(greylist: Greylist, counted: list[str], book: GreylistBook) -> None:
        book.close()
        assert await greylist.on_rcpt(mail(stranger()), ALICE) is None

    run(test, tmp_path)
