"""Space is given back by the real store: files go, every message keeps its bytes, UID and UIDL; links to the files stay whole."""

import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from services.store.packs.scan import Damage, scan_pack
from shared.contract.registry import Role
from shared.contract.space_types import SpaceStatus
from shared.contract.types import ContentRange, ContentSource, Delivery, DeliveryResult, LocalRecipient
from shared.errors import Forbidden
from shared.model.ids import Grant, MailboxId, Uid
from shared.model.message_index import MessageIndex
from shared.model.packed import pack_u32, unpack_u32
from shared.rpc.store_client import StoreClient
from shared.testing import trio_test
from shared.testing.stack import PASSWORD, Stack, open_client

INDEX = MessageIndex(1, b"e", b"s", b"b", b"p", b"m")
ADDRESS = "alice@example.test"
SETTINGS = {
    "PILLARBOX_STORE__PACK_OCTETS": "200000",
    "PILLARBOX_STORE__HOUSEKEEPING_SECONDS": "0.1",
    "PILLARBOX_STORE__EXPUNGED_SECONDS": "0",
    "PILLARBOX_STORE__UNDO_DAYS": "0",
    "PILLARBOX_STORE__COMPACT_SECONDS": "0.1",
    "PILLARBOX_STORE__COMPACT_KEEP_SECONDS": "0.5",
    "PILLARBOX_STORE__COMPACT_OCTETS_PER_SECOND": "100000000",
    "PILLARBOX_STORE__SEARCH_INDEX": "false",
}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path / "data", services=(), settings=SETTINGS) as running:
        running.add_account(ADDRESS)
        yield running


def content(number: int) -> bytes:
    """One is too long for a piece, some are framed, most are small."""
    octets = 900_000 if number == 7 else 300_000 if number % 40 == 3 else 9000
    return b"message %d\r\n" % number + random.Random(number).randbytes(octets)


async def deliver(store: StoreClient, numbers: range) -> None:
    account = (await store.directory.resolve(ADDRESS)).accounts[0]

    async def one(number: int) -> None:
        async def use(source: ContentSource) -> DeliveryResult:
            return await store.messages.deliver(
                Delivery("t", "s@x.test", (LocalRecipient(account, ADDRESS),), (), source, INDEX)
            )

        await store.with_content(content(number), use)

    for number in numbers:
        await one(number)


async def read(store: StoreClient, grant: Grant, mailbox: MailboxId, uid: int) -> bytes:
    found = b""
    while True:
        (piece,) = await store.messages.read(grant, mailbox, (ContentRange(Uid(uid), len(found)),))
        if not piece:
            return found
        found += piece


async def read_on(store: StoreClient, grant: Grant, mailbox: MailboxId, uids: list[int]) -> None:
    """Whoever reads meanwhile never notices. Until cancelled."""
    while True:
        for uid in uids:
            assert await read(store, grant, mailbox, uid) == content(uid)


async def wait_for(admin: StoreClient, done: Callable[[SpaceStatus], bool]) -> SpaceStatus:
    with trio.fail_after(30):
        while not done(status := await admin.space.status()):
            await trio.sleep(0.05)
        return status


async def uidls(pop3: StoreClient) -> dict[int, str]:
    grant = (await pop3.auth.login(ADDRESS, PASSWORD, "")).grant
    drop = await pop3.messages.maildrop(grant, "INBOX", Uid(0), 1000)
    return dict(zip(unpack_u32(drop.uids), drop.uidls, strict=True))


def mostly_live(status: SpaceStatus) -> bool:
    """Nothing is left to do (the newest pack is not looked at)."""
    return status.given_back_octets > 0 and not status.at_work and not status.retired and status.packs < 10


def packs(stack: Stack) -> Path:
    return stack.data_dir / "store" / "packs"


@trio_test
async def test_space_is_given_back(stack: Stack, tmp_path: Path) -> None:
    async with (
        open_client(stack.data_dir, Role.ADMIN) as admin,
        open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
        open_client(stack.data_dir, Role.IMAP) as imap,
        open_client(stack.data_dir, Role.POP3) as pop3,
    ):
        await deliver(smtp_in, range(1, 101))
        grant = (await imap.auth.login(ADDRESS, PASSWORD, "")).grant
        inbox = (await imap.mailboxes.status(grant, "INBOX")).mailbox_id
        full = await admin.space.status()
        assert (full.dead_octets, full.retired, full.at_work, full.failure) == (0, 0, 0, "")
        # a backup has links to them
        links = tmp_path / "links"
        links.mkdir()
        for path in packs(stack).iterdir():
            os.link(path, links / path.name)
        newest = max(path.name for path in links.iterdir())
        before = await uidls(pop3)
        kept = [uid for uid in range(1, 101) if uid % 5 == 2]
        await imap.messages.expunge(grant, inbox, pack_u32([uid for uid in range(1, 101) if uid not in kept]), False)
        names = {path.name for path in packs(stack).iterdir()}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_on, imap, grant, inbox, kept)
            left = await wait_for(admin, lambda status: mostly_live(status) and status.octets < full.octets / 2)
            nursery.cancel_scope.cancel()
        assert left.moved_octets > 0
        assert left.octets < full.octets / 2
        assert left.failure == ""
        now = {path.name for path in packs(stack).iterdir()}
        assert len(names - now) > 3
        # what is left is what it was
        for uid in kept:
            assert await read(imap, grant, inbox, uid) == content(uid)
        assert await uidls(pop3) == {uid: before[uid] for uid in kept}
        # and the links were not touched: whole records from end to end
        for path in links.iterdir():
            if path.name != newest:
                assert not any(isinstance(found, Damage) for found in scan_pack(path))
        # the next process starts on it, and says nothing of what is gone
        stack["store"].stop()
        stack["store"].start()
        for uid in kept:
            assert await read(imap, grant, inbox, uid) == content(uid)
    assert not [line for line in stack["store"].lines if '"error"' in line and "pack" in line]


@trio_test
async def test_a_damaged_pack_is_left_alone(stack: Stack) -> None:
    async with (
        open_client(stack.data_dir, Role.ADMIN) as admin,
        open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
        open_client(stack.data_dir, Role.IMAP) as imap,
    ):
        await deliver(smtp_in, range(50, 101))
        grant = (await imap.auth.login(ADDRESS, PASSWORD, "")).grant
        inbox = (await imap.mailboxes.status(grant, "INBOX")).mailbox_id
        first = packs(stack) / "00000001.pack"
        damaged = bytearray(first.read_bytes())
        damaged[20_000] ^= 255
        first.write_bytes(damaged)
        await imap.messages.expunge(grant, inbox, pack_u32(range(2, 49)), False)
        status = await wait_for(admin, lambda status: bool(status.failure) and status.given_back_octets > 0)
        assert status.failure.startswith("pack 1: damaged at ")
        assert first.read_bytes() == bytes(damaged)
        assert await read(imap, grant, inbox, 1) == content(50)
        with pytest.raises(Forbidden):
            await imap.space.compact()


@trio_test
async def test_a_file_that_nobody_knows_stays_and_a_retired_one_goes(stack: Stack) -> None:
    async with open_client(stack.data_dir, Role.SMTP_IN) as smtp_in:
        await deliver(smtp_in, range(60, 110))
    stack["store"].stop()
    connection = sqlite3.connect(stack.data_dir / "store" / "pillarbox.db", isolation_level=None)
    # as a crash leaves it: retired, its file still there, or gone
    connection.execute("DELETE FROM pack WHERE number = 1")
    connection.execute("UPDATE pack SET retired_at = 1.0 WHERE number = 2")
    connection.execute("INSERT INTO pack VALUES (0, 100, 100, 1.0)")
    connection.close()
    stack["store"].start()
    async with open_client(stack.data_dir, Role.ADMIN) as admin:
        await wait_for(admin, lambda status: status.retired == 0)
    assert (packs(stack) / "00000001.pack").exists()
    assert not (packs(stack) / "00000002.pack").exists()
    assert not [line for line in stack["store"].lines if "a pack is missing" in line]
