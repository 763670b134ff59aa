"""What an account lacks comes back into a running store; what it has stays as it is, and nothing is doubled."""

import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest
import trio

from services.store.backup.account import Wanted, restore_account
from services.store.backup.keep import Keep
from services.store.backup.make import Job, make_backup
from services.store.backup.manifest import PACKS, BackupError
from services.store.pace import Pace
from services.store.packs.read import PackReader
from services.store.packs.record import Location
from services.store.verify.checker import verify_files
from shared.contract.mailbox_types import ListScope
from shared.contract.registry import Role
from shared.contract.types import ContentSource, Delivery, FlagOperation, LocalRecipient
from shared.errors import Forbidden, NotFound
from shared.mail.index import build_index
from shared.model.ids import Grant
from shared.model.packed import pack_u32
from shared.rpc.store_client import StoreClient
from shared.testing.process import ROOT, clean_environment
from shared.testing.stack import PASSWORD, Stack

ALICE, BOB = "alice@example.test", "bob@example.test"
NOON = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)
MESSAGES = 30
LARGE = MESSAGES - 1


def mail(number: int) -> bytes:
    """One is larger than what travels inside a call."""
    octets = 400_000 if number == LARGE else 2000
    return b"Subject: letter %d\r\n\r\n%s\r\n" % (number, random.Random(number).randbytes(octets).hex().encode())


@attrs.frozen
class Message:
    """What a person, a POP3 and an IMAP client know of a message, but for its UID."""

    mailbox: str
    number: int
    flags: frozenset[str]
    date: int
    uidl: str
    email_id: int


ROWS = (
    "SELECT b.id, b.name, m.flags, m.internal_date, m.uidl, m.email_id, c.pack, c.\"offset\", c.length, c.octets FROM message m "
    "JOIN mailbox b ON b.id = m.mailbox_id JOIN account a ON a.id = b.account_id JOIN content c ON c.id = m.content_id "
    "WHERE a.address = ? ORDER BY b.name, m.uid"
)


def messages(data: Path, address: str = ALICE) -> list[Message]:
    """All of an account, in the order of mailboxes and UIDs; every octet is compared on the way."""
    packs = PackReader(data / "store" / "packs", cache_octets=0)
    found = []
    with closing(sqlite3.connect(data / "store" / "pillarbox.db")) as connection:
        for box, name, bits, date, uidl, email_id, *place in connection.execute(ROWS, (address,)).fetchall():
            content = packs.read(Location(*place))
            number = int(content.split(b"\r\n")[0].split()[-1])
            assert content == mail(number)
            slots = connection.execute("SELECT slot, name FROM keyword WHERE mailbox_id = ?", (box,)).fetchall()
            flags = {keyword for slot, keyword in slots if bits >> (8 + slot) & 1} | {f"bits {bits & 0xFF}"}
            found.append(Message(name, number, frozenset(flags), date, uidl, email_id))
    packs.close()
    return found


async def fill(stack: Stack) -> None:
    async with stack.client(Role.SMTP_IN) as smtp_in, stack.client(Role.IMAP) as imap:
        login = await imap.auth.login(ALICE, PASSWORD, "127.0.0.1")
        for number in range(MESSAGES):
            content = mail(number)

            async def use(source: ContentSource, content: bytes = content) -> None:
                recipients = (LocalRecipient(login.account_id, ALICE),)
                await smtp_in.messages.deliver(Delivery("t", "s@x.test", recipients, (), source, build_index(content)))

            await smtp_in.with_content(content, use)
        inbox = (await imap.mailboxes.status(login.grant, "INBOX")).mailbox_id
        box = (await imap.mailboxes.create(login.grant, "Projekte/Größe", "")).mailbox_id
        await imap.messages.store_flags(
            login.grant, inbox, pack_u32([1, 3, 5]), FlagOperation.ADD, ("\\Seen", "$Work", "$Later"), None
        )
        await imap.messages.copy(login.grant, inbox, pack_u32([1, 2, 3]), box)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    settings = {"PILLARBOX_STORE__PACK_OCTETS": str(64 * 1024)}
    with Stack(tmp_path / "data", services=(), settings=settings) as running:
        running.add_accounts({ALICE: PASSWORD, BOB: PASSWORD})
        trio.run(fill, running)
        yield running


@pytest.fixture
def folder(stack: Stack, tmp_path: Path) -> Path:
    made = make_backup(Job(stack.data_dir, tmp_path / "backups", None, Keep(0, 0, 0)), NOON, lambda *_: None)
    return tmp_path / "backups" / made.name


def come_back(stack: Stack, folder: Path, *, address: str = ALICE, mailbox: str = "", uid: int = 0) -> tuple[int, int]:
    """How many came back, how many were there."""
    result = restore_account(folder, stack.data_dir, Wanted(address, mailbox, uid), lambda *_: None)
    assert result["damaged"] == []
    return result["restored"], result["there"]


class Owner:
    """Alice at her mail program."""

    def __init__(self, imap: StoreClient, grant: Grant) -> None:
        self.imap, self.grant = imap, grant

    async def expunge(self, name: str, *uids: int) -> None:
        box = (await self.imap.mailboxes.status(self.grant, name)).mailbox_id
        await self.imap.messages.expunge(self.grant, box, pack_u32(uids), False)

    async def move(self, name: str, target: str, *uids: int) -> None:
        source = (await self.imap.mailboxes.status(self.grant, name)).mailbox_id
        to = (await self.imap.mailboxes.status(self.grant, target)).mailbox_id
        await self.imap.messages.move(self.grant, source, pack_u32(uids), to)


def as_alice(stack: Stack, act: object) -> None:
    async def main() -> None:
        async with stack.client(Role.IMAP) as imap:
            login = await imap.auth.login(ALICE, PASSWORD, "127.0.0.1")
            await act(Owner(imap, login.grant))  # type: ignore[operator]

    trio.run(main)


def sound(stack: Stack) -> bool:
    store = stack.data_dir / "store"
    return verify_files(store / "pillarbox.db", store / "packs", Pace(0), lambda _: None).findings.named == []


def test_nothing_is_missing_and_nothing_happens(stack: Stack, folder: Path) -> None:
    before = messages(stack.data_dir)
    assert come_back(stack, folder) == (0, MESSAGES + 3)
    assert messages(stack.data_dir) == before


def test_what_was_deleted_comes_back_as_it_was(stack: Stack, folder: Path) -> None:
    before = messages(stack.data_dir)

    async def lose(alice: Owner) -> None:
        await alice.expunge("INBOX", *range(1, MESSAGES + 1))
        await alice.imap.mailboxes.delete(alice.grant, "Projekte/Größe")

    as_alice(stack, lose)
    assert messages(stack.data_dir) == []
    assert come_back(stack, folder) == (MESSAGES + 3, 0)
    assert messages(stack.data_dir) == before
    assert come_back(stack, folder) == (0, MESSAGES + 3)
    assert messages(stack.data_dir) == before
    assert sound(stack)

    async def look(alice: Owner) -> None:
        """UIDs never come back; what was made again is subscribed."""
        state = await alice.imap.mailboxes.status(alice.grant, "INBOX")
        assert (state.messages, state.uid_next) == (MESSAGES, 2 * MESSAGES + 1)
        page = await alice.imap.mailboxes.list(alice.grant, "", ListScope())
        assert [box.subscribed for box in page.mailboxes if box.name == "Projekte/Größe"] == [True]

    as_alice(stack, look)


def test_what_lives_elsewhere_is_not_doubled_and_what_was_thrown_away_comes_back(stack: Stack, folder: Path) -> None:
    async def act(alice: Owner) -> None:
        await alice.move("INBOX", "Archive", 7, 8)
        await alice.move("INBOX", "Trash", 9)
        await alice.expunge("INBOX", 10)
        await alice.imap.mailboxes.rename(alice.grant, "Projekte/Größe", "Renamed")

    as_alice(stack, act)
    assert come_back(stack, folder) == (2, MESSAGES + 1)
    where = {(m.mailbox, m.number) for m in messages(stack.data_dir) if m.number in range(6, 10)}
    assert where == {("Archive", 6), ("Archive", 7), ("Trash", 8), ("INBOX", 8), ("INBOX", 9)}
    assert not [m for m in messages(stack.data_dir) if m.mailbox.startswith("Projekte/")]
    assert come_back(stack, folder) == (0, MESSAGES + 3)


def test_a_mailbox_and_a_message(stack: Stack, folder: Path) -> None:
    async def lose(alice: Owner) -> None:
        await alice.expunge("INBOX", *range(1, MESSAGES + 1))
        await alice.expunge("Projekte/Größe", 1, 2, 3)

    as_alice(stack, lose)
    assert come_back(stack, folder, mailbox="INBOX", uid=LARGE + 1) == (1, 0)
    assert [m.number for m in messages(stack.data_dir)] == [LARGE]
    assert come_back(stack, folder, mailbox="Projekte/Größe") == (3, 0)
    assert [(m.mailbox, m.number) for m in messages(stack.data_dir)][1:] == [("Projekte/Größe", n) for n in range(3)]
    for wanted in (("Nowhere", 0), ("INBOX", 999)):
        with pytest.raises(BackupError, match="the backup has no"):
            come_back(stack, folder, mailbox=wanted[0], uid=wanted[1])


def test_a_full_account_and_one_that_is_gone(stack: Stack, folder: Path) -> None:
    as_alice(stack, lambda alice: alice.expunge("INBOX", 20, 21))

    async def fill_up(admin: StoreClient) -> None:
        await admin.admin.quota_set(ALICE, 1, 1)

    stack.administer(fill_up)
    assert come_back(stack, folder) == (2, MESSAGES + 1)
    before = messages(stack.data_dir)

    async def remove(admin: StoreClient) -> None:
        await admin.admin.account_remove(ALICE)
        with pytest.raises(NotFound):
            await admin.admin.held_contents(ALICE, False, 0)

    stack.administer(remove)
    with pytest.raises(BackupError, match="pillarbox account add"):
        come_back(stack, folder)
    with pytest.raises(BackupError, match="the store has no account carol"):
        come_back(stack, folder, address="carol@example.test")
    stack.add_account(ALICE)
    assert come_back(stack, folder) == (MESSAGES + 3, 0)
    assert {(m.mailbox, m.number, m.uidl) for m in messages(stack.data_dir)} == {(m.mailbox, m.number, m.uidl) for m in before}
    assert sound(stack)


def test_what_the_backup_has_lost_is_named_and_the_rest_comes_back(stack: Stack, folder: Path) -> None:
    as_alice(stack, lambda alice: alice.expunge("INBOX", *range(1, MESSAGES + 1)))
    pack = folder / PACKS / "00000001.pack"
    bad = bytearray(pack.read_bytes())
    place = bad.index(b"letter 12")
    bad[place] ^= 1
    pack.unlink()
    pack.write_bytes(bad)
    result = restore_account(folder, stack.data_dir, Wanted(ALICE, "INBOX"), lambda *_: None)
    assert (result["restored"], len(result["damaged"])) == (MESSAGES - 4, 1)
    assert "UID 13" in result["damaged"][0]
    assert sound(stack)


@pytest.mark.parametrize("role", [Role.IMAP, Role.POP3, Role.SMTP_IN, Role.SMTP_OUT])
def test_only_the_administrator(stack: Stack, role: Role) -> None:
    async def ask(store: StoreClient) -> None:
        with pytest.raises(Forbidden):
            await store.admin.held_contents(ALICE, False, 0)
        with pytest.raises(Forbidden):
            await store.admin.restore_messages(ALICE, "INBOX", "", ())

    stack.administer(ask, role)


def test_the_command(stack: Stack, folder: Path) -> None:
    def cli(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "shared.cli.main", "--data", str(stack.data_dir), *words]
        environment = {**clean_environment(), "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    before = messages(stack.data_dir)
    as_alice(stack, lambda alice: alice.expunge("INBOX", *range(1, 11)))
    root = str(folder.parent)
    done = cli("restore", root, "--account", ALICE, "--json", "--at", "2026-11-28")
    assert (done.returncode, json.loads(done.stdout)["restored"]) == (0, 7), done
    assert sorted(messages(stack.data_dir), key=str) != sorted(before, key=str)
    assert cli("restore", root, "--account", ALICE, "--force").returncode == 2
    assert cli("restore", root, "--account", ALICE, "--uid", "3").returncode == 2
    assert cli("restore", root, "--mailbox", "INBOX").returncode == 2
    assert cli("restore", root, "--account", "nobody").returncode == 2
    stack["store"].stop()
    assert cli("restore", root, "--account", ALICE).returncode == 3
