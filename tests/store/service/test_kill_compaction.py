"""kill -9 of the store while mail comes in, goes by its rule, and packs are written anew: what was acknowledged and is not due is there."""

import random
import sqlite3
from pathlib import Path

import attrs
import trio

from shared.contract.registry import Role
from shared.contract.retention_types import RetentionRule
from shared.contract.types import ContentRange, ContentSource, Delivery, DeliveryResult, LocalRecipient
from shared.model.ids import MailboxId, Uid
from shared.model.message_index import MessageIndex
from shared.model.packed import unpack_u32
from shared.rpc.store_client import StoreClient
from shared.testing.stack import PASSWORD, Stack, open_client

INDEX = MessageIndex(1, b"e", b"s", b"b", b"p", b"m")
ALICE, BOB = "alice@example.test", "bob@example.test"
NEWEST = 40
KILLS = 8
DELIVERERS = 6
PACK_OCTETS = 150_000
SETTINGS = {
    "PILLARBOX_STORE__PACK_OCTETS": str(PACK_OCTETS),
    "PILLARBOX_STORE__HOUSEKEEPING_SECONDS": "0.1",
    "PILLARBOX_STORE__EXPUNGED_SECONDS": "0",
    "PILLARBOX_STORE__UNDO_DAYS": "0",
    "PILLARBOX_STORE__RETENTION_SECONDS": "0.1",
    "PILLARBOX_STORE__COMPACT_SECONDS": "0.1",
    "PILLARBOX_STORE__COMPACT_KEEP_SECONDS": "0.1",
    "PILLARBOX_STORE__COMPACT_OCTETS_PER_SECOND": "20000000",
    "PILLARBOX_STORE__SEARCH_INDEX": "false",
}


def content(number: int) -> bytes:
    """Every 16th is longer than a piece of compaction."""
    octets = 600_000 if number % 16 == 9 else random.Random(number).randrange(2000, 12_000)
    return b"message %d\r\n" % number + random.Random(-number).randbytes(octets)


def for_bob(number: int) -> bool:
    """Who keeps everything gets some of what Alice gets."""
    return number % 7 == 2


@attrs.define
class Load:
    """Deliverers that go on until they are told to stop; the UIDs that were acknowledged, by the number of the message."""

    store: StoreClient
    alice: LocalRecipient
    bob: LocalRecipient
    alices: dict[int, int] = attrs.field(factory=dict)
    bobs: dict[int, int] = attrs.field(factory=dict)
    next: int = 0
    stopping: bool = False
    progress: trio.Event = attrs.field(factory=trio.Event)

    async def run(self) -> None:
        while not self.stopping:
            number = self.next
            self.next += 1
            recipients = (self.alice, self.bob) if for_bob(number) else (self.alice,)

            async def use(source: ContentSource, to: tuple[LocalRecipient, ...] = recipients) -> DeliveryResult:
                return await self.store.messages.deliver(Delivery("t", "s@x.test", to, (), source, INDEX))

            result = await self.store.with_content(content(number), use)
            self.alices[number] = result.copies[0].uid
            if for_bob(number):
                self.bobs[number] = result.copies[1].uid
            self.progress.set()

    async def wait_for(self, more: int) -> None:
        goal = len(self.alices) + more
        while len(self.alices) < goal:
            self.progress = trio.Event()
            await self.progress.wait()


def test_kill_while_space_is_given_back(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data", services=(), settings=SETTINGS)
    stack.start()
    try:
        stack.add_accounts({ALICE: PASSWORD, BOB: PASSWORD})
        trio.run(scenario, stack)
        stack["store"].stop()
        check_packs(stack.data_dir / "store")
    finally:
        stack.close()


async def scenario(stack: Stack) -> None:
    rng = random.Random(15)
    with trio.fail_after(100):
        async with open_client(stack.data_dir, Role.ADMIN) as admin:
            await admin.retention.set(RetentionRule(ALICE, "INBOX", None, NEWEST))
        async with open_client(stack.data_dir, Role.SMTP_IN) as store:
            ids = [(await store.directory.resolve(address)).accounts[0] for address in (ALICE, BOB)]
            load = Load(store, LocalRecipient(ids[0], ALICE), LocalRecipient(ids[1], BOB))
            async with trio.open_nursery() as nursery:
                for _ in range(DELIVERERS):
                    nursery.start_soon(load.run)
                for _ in range(KILLS):
                    await load.wait_for(rng.randrange(30, 70))
                    stack["store"].kill()
                    stack["store"].start()
                await load.wait_for(50)
                load.stopping = True
        async with open_client(stack.data_dir, Role.ADMIN) as admin, open_client(stack.data_dir, Role.IMAP) as imap:
            await quiet(admin, stack.data_dir / "store" / "pillarbox.db")
            assert len(set(load.alices.values())) == len(load.alices), "a UID was given twice"
            newest = sorted(load.alices, key=load.alices.__getitem__)[-NEWEST:]
            await check(admin, imap, ALICE, {load.alices[number]: number for number in newest})
            await check(admin, imap, BOB, {uid: number for number, uid in load.bobs.items()})
            assert sum(for_bob(number) for number in load.alices) == len(load.bobs) > NEWEST


def is_clean(database: Path) -> bool:
    """Whether nothing of what was expunged is still waiting for its time, and no sealed pack is mostly dead."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        waiting = connection.execute("SELECT count(*) FROM content WHERE unreferenced_at IS NOT NULL").fetchone()[0]
        packs = connection.execute("SELECT octets, dead_octets FROM pack ORDER BY number").fetchall()[:-1]
    finally:
        connection.close()
    return not waiting and all((octets - dead) * 2 >= octets for octets, dead in packs)


async def quiet(admin: StoreClient, database: Path) -> None:
    """Return when nothing is due and nothing is being given back, now or at the next look."""
    while True:
        status = await admin.space.status()
        due = (await admin.retention.due(MailboxId(0))).due
        if not due and not status.at_work and not status.retired and is_clean(database):
            assert status.failure == ""
            return
        await trio.sleep(0.1)


async def check(admin: StoreClient, imap: StoreClient, address: str, expected: dict[int, int]) -> None:
    """A mailbox holds exactly these messages (number by UID), each with its bytes, and is counted so."""
    grant = (await imap.auth.login(address, PASSWORD, "x")).grant
    state = await imap.mailboxes.status(grant, "INBOX")
    page = await imap.messages.changes(grant, state.mailbox_id, 0, 0, 10_000)
    assert unpack_u32(page.uids).tolist() == sorted(expected), "messages were lost or doubled"
    assert state.messages == state.unseen == len(expected)
    assert state.octets == sum(len(content(number)) for number in expected.values())
    quota = await admin.admin.quota_show(address)
    assert (quota.messages, quota.octets) == (state.messages, state.octets)
    recounted = await admin.admin.quota_recount(address)
    assert recounted.before == recounted.now == quota
    for uid, number in expected.items():
        read = b""
        while piece := (await imap.messages.read(grant, state.mailbox_id, (ContentRange(Uid(uid), len(read)),)))[0]:
            read += piece
        assert read == content(number)


def check_packs(store: Path) -> None:
    """Every file is known and every known one is there; what is counted as dead is what no content lies in."""
    connection = sqlite3.connect(store / "pillarbox.db")
    rows = connection.execute("SELECT number, octets, dead_octets, retired_at FROM pack").fetchall()
    live = dict(connection.execute("SELECT pack, sum(length) FROM content GROUP BY pack").fetchall())
    connection.close()
    known = {f"{number:08d}.pack" for number, _, _, retired in rows if retired is None}
    there = {path.name for path in (store / "packs").iterdir()}
    assert known <= there
    newest = max(number for number, *_ in rows)
    assert len(rows) < newest / 2, "little was given back"
    for number, octets, dead, _ in rows:
        assert octets - dead - 16 == live.get(number, 0), f"pack {number}"
        if number < newest:
            assert live.get(number, 0) * 2 >= octets, f"pack {number}"
    assert there - known <= {f"{newest + 1:08d}.pack"}, "a file that nobody knows"
