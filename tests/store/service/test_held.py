"""Messages that wait for their time: filed and leased then, not before; taken back before; nothing lost by a restart."""

import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from services.store.verify.database import DatabaseCheck
from services.store.verify.findings import Findings
from shared.contract.queue_types import FILED, HERE, NOBODY, QueueFilter, QueueItem
from shared.contract.registry import Role
from shared.contract.types import (
    Bounce,
    ContentSource,
    Delivery,
    DeliveryResult,
    LocalRecipient,
    QueueEntry,
    RemoteRecipient,
)
from shared.contract.wishes_types import ByMode, TlsWish, Wishes
from shared.errors import BadRequest
from shared.model.ids import AccountId, EntryId
from shared.model.message_index import MessageIndex
from shared.model.notify import Notify
from shared.observe.trace import new_trace
from shared.rpc.store_client import StoreClient
from shared.testing import trio_test
from shared.testing.stack import PASSWORD, Stack, open_client

INDEX = MessageIndex(20, b"", b"", b"", b"", b"")
CONTENT = b"Return-Path: <>\r\nX: y\r\n\r\nheld\r\n"
ALICE, BOB = "alice@example.test", "bob@example.test"
SOON_SECONDS = 0.7


@attrs.define
class World:
    stack: Stack
    admin: StoreClient
    smtp_in: StoreClient
    smtp_out: StoreClient
    accounts: dict[str, AccountId]

    async def submit(self, wishes: Wishes, *local: str, remote: tuple[str, ...] = (), **fields: Any) -> tuple[str, DeliveryResult]:
        trace = new_trace()
        notify = fields.pop("notify", 0)
        copies = tuple(LocalRecipient(self.accounts[address], address, notify=notify) for address in local)
        delivery = Delivery(
            trace, fields.pop("sender", ALICE), copies, tuple(RemoteRecipient(address, notify=notify) for address in remote),
            ContentSource(len(CONTENT), inline=CONTENT), INDEX, skip_octets=17, wishes=wishes, **fields,
        )  # fmt: skip
        return trace, await self.smtp_in.messages.deliver(delivery)

    async def queue(self) -> tuple[QueueItem, ...]:
        return await self.admin.admin.queue_list(EntryId(0), 100)

    async def messages_of(self, address: str) -> int:
        return next(info.messages for info in await self.admin.admin.account_list("") if info.address == address)

    async def wait_filed(self, address: str, count: int) -> None:
        while await self.messages_of(address) < count:
            await trio.sleep(0.02)

    async def lease(self) -> list[QueueEntry]:
        return list((await self.smtp_out.queue.lease("w", 100, 60.0, ())).entries)

    async def take_all(self) -> tuple[EntryId, ...]:
        items = await self.queue()
        if items:
            await self.admin.admin.queue_remove(tuple(item.entry_id for item in items))
        return tuple(item.entry_id for item in items)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("held") / "data", services=()) as running:
        for address in (ALICE, BOB):
            running.add_account(address)
        yield running


@asynccontextmanager
async def world(stack: Stack) -> AsyncIterator[World]:
    async with (
        open_client(stack.data_dir, Role.ADMIN) as admin,
        open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
        open_client(stack.data_dir, Role.SMTP_OUT) as smtp_out,
    ):
        accounts = {info.address: info.account_id for info in await admin.admin.account_list("")}
        one = World(stack, admin, smtp_in, smtp_out, accounts)
        await one.take_all()
        yield one


def damages(data_dir: Path) -> list[str]:
    """What the store's own verification says of the counters."""
    (path,) = data_dir.glob("store/*.db")
    with sqlite3.connect(path) as connection:
        findings = Findings()
        DatabaseCheck(connection, findings).run()
    connection.close()
    return [damage.what for damage in findings.named]


def test_nobody_gets_it_before_its_time(stack: Stack) -> None:
    async def scenario() -> None:
        async with world(stack) as w:
            before = await w.messages_of(BOB)
            until = time.time() + SOON_SECONDS
            trace, result = await w.submit(Wishes(held_until=until), BOB, remote=("x@far.test",))
            assert (result.copies, len(result.entries)) == ((), 2)
            items = await w.queue()
            assert sorted((item.recipient, item.destination, item.due_at) for item in items) == [
                (BOB, HERE, until), ("x@far.test", "far.test", until)
            ]  # fmt: skip
            assert {item.wishes.held_until for item in items} == {until}
            # a retry does not shorten it, and no worker sees it
            assert await w.admin.admin.queue_retry(()) == await w.admin.admin.queue_retry(result.entries) == 0
            lease = await w.smtp_out.queue.lease("w", 10, 60.0, ())
            assert (lease.entries, lease.next_due) == ((), until)
            assert await w.messages_of(BOB) == before
            assert time.time() < until
            await w.wait_filed(BOB, before + 1)
            assert time.time() >= until
            (entry,) = await w.lease()
            assert (entry.recipient, entry.wishes.held_until) == ("x@far.test", until)
            assert entry.expires_at >= until + 86400
            assert await w.smtp_out.queue.read_content("w", entry.entry_id, 0, 1000) == CONTENT[17:]
            history = await w.admin.history.find(trace, 1)
            assert [passage.kind.value for passage in history.passages] == ["accepted", "filed"]
            assert "held until 20" in history.passages[0].text
            (place,) = history.now
            assert (place.account, place.mailbox) == (BOB, "INBOX")
            await w.take_all()
            assert damages(stack.data_dir) == []

    trio_test(scenario)()


def test_a_held_copy_is_the_message_as_it_was_handed_in(stack: Stack) -> None:
    async def scenario() -> None:
        async with world(stack) as w, open_client(stack.data_dir, Role.IMAP) as imap:
            before = await w.messages_of(ALICE)
            await w.submit(Wishes(held_until=time.time() + 0.2), ALICE)
            await w.wait_filed(ALICE, before + 1)
            login = await imap.auth.login(ALICE, PASSWORD, "127.0.0.1")
            drop = await imap.mailboxes.select(login.grant, "INBOX", False)
            assert drop.messages == before + 1
            assert await w.queue() == ()

    trio_test(scenario)()


def test_what_waits_is_taken_back(stack: Stack) -> None:
    async def scenario() -> None:
        async with world(stack) as w:
            before = await w.messages_of(BOB)
            trace, _ = await w.submit(Wishes(held_until=time.time() + SOON_SECONDS), BOB, remote=("x@far.test",))
            other, _ = await w.submit(Wishes(held_until=time.time() + 3600), BOB)
            items = await w.admin.admin.queue_find(QueueFilter(trace=trace.upper()), EntryId(0), 10)
            assert {item.trace for item in items} == {trace}
            recalled = await w.admin.admin.queue_recall(tuple(item.entry_id for item in items))
            assert (recalled.taken, recalled.under_way) == (2, ())
            history = await w.admin.history.find(trace, 1)
            assert [passage.kind.value for passage in history.passages] == ["accepted", "recalled", "recalled"]
            await trio.sleep(SOON_SECONDS)
            assert await w.messages_of(BOB) == before
            assert await w.lease() == []
            assert [item.trace for item in await w.queue()] == [other]
            await w.take_all()
            assert damages(stack.data_dir) == []

    trio_test(scenario)()


def test_what_is_under_way_is_not_taken_back(stack: Stack) -> None:
    async def scenario() -> None:
        async with world(stack) as w:
            _, result = await w.submit(Wishes(), remote=("x@far.test", "y@near.test", "z@held.test"))
            held = next(item.entry_id for item in await w.queue() if item.recipient == "z@held.test")
            await w.admin.admin.queue_hold((held,))
            (leased, _) = await w.lease()
            (y,) = (item for item in await w.queue() if item.recipient == "y@near.test")
            recalled = await w.admin.admin.queue_recall(result.entries)
            # what an administrator holds is nobody's work
            assert recalled.taken == 1
            assert [item.entry_id for item in recalled.under_way] == sorted((leased.entry_id, y.entry_id))
            assert len(await w.queue()) == 2
            for wrong in ((), tuple(map(EntryId, range(1, 300)))):
                with pytest.raises(BadRequest):
                    await w.admin.admin.queue_recall(wrong)

    trio_test(scenario)()


def test_the_sender_hears_of_a_success_when_it_is_one_and_of_an_account_that_is_gone(stack: Stack) -> None:
    stack.add_account("gone@example.test")

    async def scenario() -> None:
        async with world(stack) as w:
            until = time.time() + 0.4
            await w.submit(Wishes(held_until=until), BOB, notify=int(Notify.SUCCESS))
            await w.submit(Wishes(held_until=until), "gone@example.test")
            await w.admin.admin.account_remove("gone@example.test")
            entries: list[QueueEntry] = []
            while len(entries) < 2:
                entries += await w.lease()
                await trio.sleep(0.02)
            assert sorted((entry.destination, entry.recipient) for entry in entries) == [
                (FILED, BOB), (NOBODY, "gone@example.test")
            ]  # fmt: skip
            assert time.time() >= until
            await w.take_all()
            assert damages(stack.data_dir) == []

    trio_test(scenario)()


def test_a_message_that_an_alias_sends_on_waits_too(stack: Stack) -> None:
    async def scenario() -> None:
        async with world(stack) as w:
            until = time.time() + 3600
            wishes = Wishes(TlsWish.REQUIRED, until)
            trace = new_trace()
            delivery = Delivery(
                trace, "joe@origin.test", (LocalRecipient(w.accounts[BOB], BOB),), (RemoteRecipient("x@far.test", BOB),),
                ContentSource(len(CONTENT), inline=CONTENT), INDEX, wishes=wishes,
            )  # fmt: skip
            await w.smtp_in.messages.deliver(delivery)
            items = await w.queue()
            assert [(item.destination, item.wishes) for item in items] == [("far.test", wishes), (HERE, wishes)]
            assert {item.sender for item in items} != {"joe@origin.test"}
            await w.take_all()
            assert damages(stack.data_dir) == []

    trio_test(scenario)()


def test_the_queue_keeps_no_flags(stack: Stack) -> None:
    async def scenario() -> None:
        async with world(stack) as w:
            copy = LocalRecipient(w.accounts[BOB], BOB, flags=("\\Seen",))
            delivery = Delivery("t", ALICE, (copy,), (), ContentSource(len(CONTENT), inline=CONTENT), INDEX)
            with pytest.raises(BadRequest):
                await w.smtp_in.messages.deliver(attrs.evolve(delivery, wishes=Wishes(held_until=time.time() + 60)))

    trio_test(scenario)()


def test_when_it_is_late(stack: Stack) -> None:
    async def scenario() -> None:
        async with world(stack) as w:
            by = time.time() + 500
            for mode, notify in ((ByMode.RETURN, 0), (ByMode.NOTIFY, 0), (ByMode.NOTIFY, int(Notify.FAILURE))):
                await w.submit(Wishes(deliver_by=by, by_mode=mode), remote=("x@far.test",), notify=notify)
            returned, warned, unwarned = await w.lease()
            assert (returned.expires_at, warned.expires_at > by) == (by, True)
            assert (warned.warn_at, unwarned.warn_at) == (by, 0.0)
            assert (returned.wishes.by_mode, warned.wishes.by_mode) == (ByMode.RETURN, ByMode.NOTIFY)

    trio_test(scenario)()


def test_a_report_is_protected_as_what_it_tells_of(stack: Stack) -> None:
    async def scenario() -> None:
        async with world(stack) as w:
            bounce = Bounce("x@far.test", ContentSource(6, inline=b"bounce"), INDEX, "t", require_tls=True)
            await w.smtp_out.queue.report("w", (), (bounce,))
            (item,) = await w.queue()
            assert (item.sender, item.wishes.tls) == ("", TlsWish.REQUIRED)

    trio_test(scenario)()


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Stack(data, services=()) as first:
        first.add_account(BOB)

        async def submit() -> None:
            async with world(first) as w:
                await w.submit(Wishes(held_until=time.time() + SOON_SECONDS), BOB)

        trio_test(submit)()
    with Stack(data, services=()) as second:

        async def look() -> None:
            async with world(second) as w:
                await w.wait_filed(BOB, 1)
                assert await w.queue() == ()

        # `world` empties the queue, so look at it only when the copy is there
        async def wait() -> None:
            async with open_client(data, Role.ADMIN) as admin:
                while await admin.admin.queue_list(EntryId(0), 10):
                    await trio.sleep(0.02)

        trio_test(wait)()
        trio_test(look)()
        assert damages(data) == []
