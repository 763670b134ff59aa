"""Rules of retention over the real socket: set, listed, followed; what goes leaves as any expunged message does."""

import imaplib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.store import layout
from shared.config.paths import DataPaths
from shared.contract.retention_types import MAX_DAYS, MAX_MESSAGES, Due, RetentionRule
from shared.errors import BadRequest, Forbidden, LimitExceeded, NoSuchMailbox, NotFound
from shared.model.ids import MailboxId
from shared.model.packed import pack_u32, unpack_u32
from shared.rpc.store_client import StoreClient
from shared.testing import trio_test
from shared.testing.stack import PASSWORD, Stack

DAY = 86_400
RULES = 8


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {"PILLARBOX_STORE__RETENTION_RULES": str(RULES)}
    with Stack(tmp_path_factory.mktemp("retention") / "data", services=(), settings=settings) as running:
        yield running


def database(stack: Stack) -> Path:
    return layout.database_path(DataPaths(stack.data_dir))


def change(stack: Stack, statement: str, *values: Any) -> None:
    """What only time would do."""
    connection = sqlite3.connect(database(stack), timeout=20, isolation_level=None)
    try:
        connection.execute(statement, values)
    finally:
        connection.close()


def age(stack: Stack, mailbox_id: int, uids: range, days: float) -> None:
    """Have messages come in so many days ago."""
    statement = "UPDATE message SET saved_date = saved_date - ? WHERE mailbox_id = ? AND uid BETWEEN ? AND ?"
    change(stack, statement, int(days * DAY), mailbox_id, uids.start, uids.stop - 1)


async def clear(admin: StoreClient) -> None:
    for rule in (await admin.retention.show()).rules:
        await admin.retention.remove(rule.address, rule.mailbox)


async def due_of(admin: StoreClient, address: str) -> list[Due]:
    due, after = [], MailboxId(0)
    while True:
        page = await admin.retention.due(after)
        due += page.due
        if not page.next:
            return [each for each in due if each.address == address]
        after = page.next


@trio_test
async def test_rules_are_kept(world, stack: Stack) -> None:
    async with world() as w:
        api = w.admin.retention
        await clear(w.admin)
        assert (await api.show()).rules == ()
        assert await api.set(RetentionRule("", "\\TRASH", 30)) == RetentionRule("", "\\Trash", 30)
        upper = w.address.upper()
        assert (await api.set(RetentionRule(upper, "inbox", None, 5))) == RetentionRule(w.address, "INBOX", None, 5)
        await api.set(RetentionRule(w.address, "Archive"))
        await api.set(RetentionRule("", "\\Trash", 14, 100))
        assert (await api.show()).rules == (
            RetentionRule("", "\\Trash", 14, 100), RetentionRule(w.address, "Archive"), RetentionRule(w.address, "INBOX", None, 5)
        )  # fmt: skip
        for wrong in (
            RetentionRule("", "", 0), RetentionRule("", "", MAX_DAYS + 1), RetentionRule("", "", None, 0),
            RetentionRule("", "", None, MAX_MESSAGES + 1), RetentionRule("", "\\Nonsense", 3), RetentionRule("", "a//b", 3),
            RetentionRule("no address", "", 3),
        ):  # fmt: skip
            with pytest.raises(BadRequest):
                await api.set(wrong)
        with pytest.raises(NotFound):
            await api.set(RetentionRule("nobody@example.test", "", 3))
        with pytest.raises(NotFound):
            await api.remove("", "Archive")
        for number in range(RULES - 3):
            await api.set(RetentionRule("", f"m{number}", 3))
        with pytest.raises(LimitExceeded):
            await api.set(RetentionRule("", "more", 3))
        await api.set(RetentionRule("", "m1", 4))
        # they go with their account
        await w.admin.admin.account_remove(w.address)
        assert all(rule.address == "" for rule in (await api.show()).rules)
        await clear(w.admin)


@trio_test
async def test_a_rule_follows_its_mailbox(world) -> None:
    async with world() as w:
        await clear(w.admin)
        for name in ("Old", "Old/a", "Older"):
            await w.imap.mailboxes.create(w.grant, name, "")
            await w.admin.retention.set(RetentionRule(w.address, name))
        await w.admin.retention.set(RetentionRule(w.address, "New/a", 3))
        await w.imap.mailboxes.rename(w.grant, "Old", "New")
        rules = (await w.admin.retention.show()).rules
        assert rules == tuple(RetentionRule(w.address, name) for name in ("New", "New/a", "Older"))
        await clear(w.admin)


@trio_test
async def test_what_is_old_goes(world, stack: Stack) -> None:
    async with world() as w:
        await clear(w.admin)
        trash = await w.mailbox("Trash")
        for _ in range(5):
            await w.deliver()
        await w.imap.messages.move(w.grant, w.inbox, pack_u32(range(1, 6)), trash)
        age(stack, trash, range(1, 3), 31)
        age(stack, trash, range(3, 4), 29)
        assert await due_of(w.admin, w.address) == []
        assert await w.admin.retention.expire(trash, trust_clock=True) == 0
        await w.admin.retention.set(RetentionRule("", "\\Trash", 30))
        (due,) = await due_of(w.admin, w.address)
        assert (due.mailbox_id, due.mailbox, due.messages, due.rule) == (trash, "Trash", 2, RetentionRule("", "\\Trash", 30))
        assert due.octets == 2 * 20
        assert due.oldest <= due.newest < due.oldest + 60
        before = await w.imap.mailboxes.status(w.grant, "Trash")
        assert await w.admin.retention.expire(trash, trust_clock=False) == 2
        assert await w.admin.retention.expire(trash, trust_clock=False) == 0
        # as any expunge: counters, tombstones, modseq, and the octets of the account
        state = await w.imap.mailboxes.status(w.grant, "Trash")
        assert (state.messages, state.unseen, state.uid_next) == (3, 3, before.uid_next)
        page = await w.imap.messages.changes(w.grant, trash, before.highest_modseq, 0, 100)
        assert unpack_u32(page.vanished).tolist() == [1, 2]
        assert (await w.admin.admin.quota_show(w.address)).messages == 3
        recounted = await w.admin.admin.quota_recount(w.address)
        assert recounted.before == recounted.now == await w.admin.admin.quota_show(w.address)
        await clear(w.admin)


@trio_test
async def test_only_the_newest_stay(world) -> None:
    async with world() as w:
        await clear(w.admin)
        for _ in range(7):
            await w.deliver()
        await w.admin.retention.set(RetentionRule(w.address, "", None, 4))
        (due,) = await due_of(w.admin, w.address)
        assert (due.mailbox, due.messages) == ("INBOX", 3)
        assert await w.admin.retention.expire(w.inbox, trust_clock=False) == 3
        page = await w.imap.messages.changes(w.grant, w.inbox, 0, 0, 100)
        assert unpack_u32(page.uids).tolist() == [4, 5, 6, 7]
        await clear(w.admin)


@trio_test
async def test_in_pieces(world, stack: Stack) -> None:
    async with world() as w:
        await clear(w.admin)
        await w.deliver()
        await w.imap.messages.copy(w.grant, w.inbox, pack_u32([1]), w.inbox)
        for _ in range(10):
            uids = pack_u32(range(1, (await w.imap.mailboxes.status(w.grant, "INBOX")).uid_next))
            await w.imap.messages.copy(w.grant, w.inbox, uids, w.inbox)
        age(stack, w.inbox, range(1, 1_200), 3)
        await w.admin.retention.set(RetentionRule(w.address, "INBOX", 2))
        gone = [await w.admin.retention.expire(w.inbox, trust_clock=False) for _ in range(4)]
        assert gone == [500, 500, 199, 0]
        assert (await w.imap.mailboxes.status(w.grant, "INBOX")).messages == 2048 - 1199
        await clear(w.admin)


@trio_test
async def test_whose_call_it_is(world) -> None:
    async with world() as w:
        for client in (w.imap, w.pop3, w.smtp_in, w.smtp_out):
            with pytest.raises(Forbidden):
                await client.retention.expire(w.inbox, trust_clock=True)
        with pytest.raises(NoSuchMailbox):
            await w.admin.retention.expire(MailboxId(10**6), trust_clock=True)


class Session:
    """An IMAP session in IDLE."""

    def __init__(self, stack: Stack, address: str, mailbox: str, *enable: str) -> None:
        self.client = imaplib.IMAP4("127.0.0.1", stack.port("imap"), timeout=20)
        self.client.login(address, PASSWORD)
        for extension in enable:
            self.client.enable(extension)
        self.client.select(mailbox)
        self.client.send(b"i IDLE\r\n")
        self.lines_until(b"+")

    def lines_until(self, begin: bytes) -> list[bytes]:
        lines: list[bytes] = []
        while not (lines and lines[-1].startswith(begin)):
            lines.append(self.client.readline())
            assert lines[-1], "the connection was closed"
        return lines


def test_by_itself_and_not_after_a_jump_of_the_clock(tmp_path: Path) -> None:
    address = "alice@example.test"
    settings = {"PILLARBOX_STORE__RETENTION_SECONDS": "1"}
    with Stack(tmp_path / "data", services=("imap",), settings=settings) as stack:
        stack.add_account(address)
        with imaplib.IMAP4("127.0.0.1", stack.port("imap"), timeout=20) as client:
            client.login(address, PASSWORD)
            for number in range(6):
                client.append("Trash", "", None, b"Subject: %d\r\n\r\nx\r\n" % number)
        box = sqlite3.connect(database(stack)).execute("SELECT id FROM mailbox WHERE name = 'Trash'").fetchone()[0]
        age(stack, box, range(1, 4), 31)
        session, quick = Session(stack, address, "Trash"), Session(stack, address, "Trash", "QRESYNC")

        # two days later by the clock: nothing goes by its age, what is too many goes
        stack["store"].stop()
        seen = "INSERT OR REPLACE INTO meta VALUES ('retention_seen_at', ?)"
        change(stack, seen, int(time.time()) - 2 * DAY)
        change(stack, "INSERT INTO retention (account_id, mailbox, days, messages) VALUES (0, '\\Trash', 30, 5)")
        stack["store"].start()
        assert session.lines_until(b"* 1 EXPUNGE")
        assert quick.lines_until(b"* VANISHED 1")
        assert 0 < stack.administer(lambda store: store.retention.show()).held_until - time.time() <= DAY
        assert stack.administer(lambda store: store.retention.expire(box, trust_clock=False)) == 0

        # the clock is put right
        change(stack, "UPDATE meta SET value = value + ? WHERE name = 'retention_held_since'", 2 * DAY)
        assert b"* 2 EXPUNGE\r\n" in session.lines_until(b"* 1 EXPUNGE")
        assert b"* VANISHED 2:3\r\n" in quick.lines_until(b"* VANISHED")
        assert stack.administer(lambda store: store.retention.show()).held_until == 0
        for each in (session, quick):
            each.client.shutdown()
