"""The queue and admin's view of it, over the real socket.

Each test has a store of its own: the queue is one for all.
"""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from shared.contract.queue_types import HOLDER, QueueFilter
from shared.contract.registry import Role
from shared.contract.types import (
    Bounce,
    ContentRange,
    ContentSource,
    Delivery,
    Outcome,
    OutcomeKind,
    RemoteRecipient,
    ResolutionKind,
)
from shared.errors import BadRequest, NotFound
from shared.model.ids import AccountId, EntryId, Uid
from shared.model.message_index import MessageIndex
from shared.rpc.store_client import StoreClient
from shared.testing import trio_test
from shared.testing.stack import PASSWORD, Stack, open_client

INDEX = MessageIndex(20, b"", b"", b"", b"", b"")


@pytest.fixture(scope="module")
def queue_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("queue") / "data", services=()) as running:
        running.add_account(f"alice@{running.domain}")
        running.add_account(f"bob@{running.domain}")
        yield running


@asynccontextmanager
async def empty_queue(stack: Stack) -> AsyncIterator[tuple[StoreClient, StoreClient, StoreClient]]:
    async with (
        open_client(stack.data_dir, Role.ADMIN) as admin,
        open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
        open_client(stack.data_dir, Role.SMTP_OUT) as smtp_out,
    ):
        items = await admin.admin.queue_list(EntryId(0), 1000)
        if items:
            await admin.admin.queue_remove(tuple(item.entry_id for item in items))
        yield admin, smtp_in, smtp_out


async def submit(store: StoreClient, *addresses: str, content: bytes = b"Return-Path: <>\r\nX: y\r\n\r\n", skip: int = 17,
                 sender: str = "alice@example.test", account: int | None = None) -> tuple[EntryId, ...]:
    remote = tuple(RemoteRecipient(address) for address in addresses)
    source, who = ContentSource(len(content), inline=content), None if account is None else AccountId(account)
    result = await store.messages.deliver(Delivery("t", sender, (), remote, source, INDEX, skip_octets=skip, account_id=who))
    return result.entries


@pytest.fixture
def session(queue_stack: Stack):
    return lambda: empty_queue(queue_stack)


@trio_test
async def test_lease_read_report(session) -> None:
    async with session() as (admin, smtp_in, smtp_out):
        entries = await submit(smtp_in, "a@one.test", "b@one.test", "c@two.test")
        lease = await smtp_out.queue.lease("w", 10, 60.0, ())
        assert sorted(entry.entry_id for entry in lease.entries) == sorted(entries)
        assert [entry.destination for entry in lease.entries] == ["one.test", "one.test", "two.test"]
        assert {entry.octets for entry in lease.entries} == {8}
        assert lease.entries[0].expires_at - lease.entries[0].queued_at == 5 * 86400
        assert (await smtp_out.queue.lease("w", 10, 60.0, ())).entries == ()
        first = lease.entries[0].entry_id
        assert await smtp_out.queue.read_content("w", first, 0, 1000) == b"X: y\r\n\r\n"
        assert await smtp_out.queue.read_content("w", first, 3, 2) == b"y\r"
        assert await smtp_out.queue.read_content("w", first, 8, 2) == b""
        with pytest.raises(NotFound):
            await smtp_out.queue.read_content("other", first, 0, 10)
        await smtp_out.queue.report("w", tuple(Outcome(e.entry_id, OutcomeKind.DELIVERED) for e in lease.entries), ())
        assert await admin.admin.queue_list(EntryId(0), 10) == ()
        with pytest.raises(NotFound):
            await smtp_out.queue.read_content("w", first, 0, 10)


@trio_test
async def test_a_lease_that_ends_comes_back(session) -> None:
    async with session() as (_, smtp_in, smtp_out):
        await submit(smtp_in, "a@one.test")
        lease = await smtp_out.queue.lease("dead", 10, 0.05, ())
        entry = lease.entries[0].entry_id
        assert lease.next_due is not None
        assert lease.next_due <= time.time() + 0.06
        again = ()
        while not again:
            again = (await smtp_out.queue.lease("alive", 10, 60.0, ())).entries
        assert again[0].entry_id == entry
        # what the dead worker still reports does not count
        await smtp_out.queue.report("dead", (Outcome(entry, OutcomeKind.DELIVERED),), ())
        assert await smtp_out.queue.extend("dead", (entry,), 60.0) == ()
        assert await smtp_out.queue.extend("alive", (entry, EntryId(99_999)), 60.0) == (entry,)


@trio_test
async def test_one_accounts_many_messages_delay_no_other_account(session) -> None:
    async with session() as (_, smtp_in, smtp_out):
        for number in range(50):
            await submit(smtp_in, f"n{number}@big.test", account=1)
        await submit(smtp_in, "x@other.test", account=1)
        await submit(smtp_in, "single@big.test", account=2)
        await submit(smtp_in, "forwarded@big.test")
        first = await smtp_out.queue.lease("w", 3, 60.0, ())
        assert [entry.recipient for entry in first.entries] == ["n0@big.test", "single@big.test", "forwarded@big.test"]
        # what is named busy: one account's mail for one destination, everything of an account
        assert (await smtp_out.queue.lease("w", 3, 60.0, ("1@",))).entries == ()
        others = await smtp_out.queue.lease("w", 3, 60.0, ("1@big.test",))
        assert [entry.recipient for entry in others.entries] == ["x@other.test"]
        await submit(smtp_in, "late@big.test", account=2)
        last = await smtp_out.queue.lease("w", 2, 60.0, ())
        assert [entry.recipient for entry in last.entries] == ["n1@big.test", "late@big.test"]


@trio_test
async def test_destinations_take_turns(session) -> None:
    async with session() as (_, smtp_in, smtp_out):
        for number in range(6):
            await submit(smtp_in, f"d{number}@dead.test")
        await submit(smtp_in, "x@alive.test")
        await submit(smtp_in, "y@third.test")
        first = await smtp_out.queue.lease("w", 3, 60.0, ())
        assert sorted(entry.destination for entry in first.entries) == ["alive.test", "dead.test", "third.test"]
        second = await smtp_out.queue.lease("w", 3, 60.0, ("dead.test",))
        assert second.entries == ()
        third = await smtp_out.queue.lease("w", 3, 60.0, ())
        assert [entry.recipient for entry in third.entries] == ["d1@dead.test", "d2@dead.test", "d3@dead.test"]


@trio_test
async def test_recipients_of_a_message_stay_together(session) -> None:
    async with session() as (_, smtp_in, smtp_out):
        await submit(smtp_in, *(f"r{number:03}@list.test" for number in range(130)))
        await submit(smtp_in, "later@list.test")
        first = await smtp_out.queue.lease("w", 1, 60.0, ())
        assert len(first.entries) == 100
        assert len({entry.message_id for entry in first.entries}) == 1
        second = await smtp_out.queue.lease("w", 1, 60.0, ())
        assert len(second.entries) == 30
        third = await smtp_out.queue.lease("w", 1, 60.0, ())
        assert [entry.recipient for entry in third.entries] == ["later@list.test"]


@trio_test
async def test_deferred_entries_wait_and_keep_their_history(session) -> None:
    async with session() as (admin, smtp_in, smtp_out):
        (entry,) = await submit(smtp_in, "a@one.test")
        await smtp_out.queue.lease("w", 10, 60.0, ())
        later = time.time() + 1000
        outcome = Outcome(entry, OutcomeKind.DEFERRED, later, 451, "4.3.0", "x" * 2000, "mx [192.0.2.1]", "TLSv1.3", 1.5)
        await smtp_out.queue.report("w", (outcome,), ())
        lease = await smtp_out.queue.lease("w", 10, 60.0, ())
        assert lease.entries == ()
        assert lease.next_due == later
        item = await admin.admin.queue_show(entry)
        assert (item.attempts, item.due_at, item.leased_by, len(item.last_text)) == (1, later, "", 1000)
        (attempt,) = item.history
        assert (attempt.kind, attempt.code, attempt.enhanced, attempt.remote) == (
            OutcomeKind.DEFERRED, 451, "4.3.0", "mx [192.0.2.1]",
        )  # fmt: skip
        assert await admin.admin.queue_retry((entry,)) == 1
        assert len((await smtp_out.queue.lease("w", 10, 60.0, ())).entries) == 1
        await smtp_out.queue.report("w", (Outcome(entry, OutcomeKind.RELEASED),), ())
        again = await smtp_out.queue.lease("w", 10, 60.0, ())
        assert again.entries[0].attempts == 1


@trio_test
async def test_a_bounce_goes_into_the_senders_inbox(session) -> None:
    async with session() as (_, smtp_in, smtp_out):
        (entry,) = await submit(smtp_in, "a@one.test")
        await smtp_out.queue.lease("w", 10, 60.0, ())
        bounce = Bounce("ALICE@example.test", ContentSource(6, inline=b"bounce"), INDEX, "t")
        await smtp_out.queue.report("w", (Outcome(entry, OutcomeKind.FAILED, code=550),), (bounce,))
    async with session() as (admin, _, _):
        assert await admin.admin.queue_list(EntryId(0), 10) == ()


async def inbox_messages(stack: Stack) -> list[bytes | None]:
    async with open_client(stack.data_dir, Role.IMAP) as imap:
        grant = (await imap.auth.login(f"alice@{stack.domain}", PASSWORD, "127.0.0.1")).grant
        state = await imap.mailboxes.status(grant, "INBOX")
        ranges = tuple(ContentRange(Uid(uid)) for uid in range(1, state.uid_next))
        return list(await imap.messages.read(grant, state.mailbox_id, ranges))


@trio_test
async def test_a_report_that_comes_again_files_its_bounce_once(session, queue_stack: Stack) -> None:
    """A worker repeats a report whose answer it never got, under another operation id."""
    before = len(await inbox_messages(queue_stack))
    async with session() as (_, smtp_in, smtp_out):
        (entry,) = await submit(smtp_in, "a@one.test")
        await smtp_out.queue.lease("w", 10, 60.0, ())
        bounce = Bounce("alice@example.test", ContentSource(6, inline=b"bounce"), INDEX, "t")
        for _ in range(2):
            await smtp_out.queue.report("w", (Outcome(entry, OutcomeKind.FAILED, code=550),), (bounce,))
    assert len(await inbox_messages(queue_stack)) == before + 1


@trio_test
async def test_bounces_elsewhere_and_to_nobody(session, queue_stack: Stack) -> None:
    async with session() as (admin, smtp_in, smtp_out):
        entries = await submit(smtp_in, "a@one.test", "b@one.test", "c@one.test")
        await smtp_out.queue.lease("w", 10, 60.0, ())
        contents = [ContentSource(8, inline=b"bounce %d" % number) for number in range(3)]
        bounces = tuple(
            Bounce(recipient, content, INDEX, "t")
            for recipient, content in zip(("", "far@away.test", "nobody@example.test"), contents, strict=True)
        )
        await smtp_out.queue.report("w", tuple(Outcome(entry, OutcomeKind.FAILED) for entry in entries), bounces)
        (item,) = await admin.admin.queue_list(EntryId(0), 10)
        # RFC 5321 §4.5.5: the null sender
        assert (item.sender, item.recipient, item.octets) == ("", "far@away.test", 8)
        (leased,) = (await smtp_out.queue.lease("w", 10, 60.0, ())).entries
        assert await smtp_out.queue.read_content("w", leased.entry_id, 0, 100) == b"bounce 1"
        assert b"bounce" in await inbox_messages(queue_stack)
        assert b"bounce 0" not in await inbox_messages(queue_stack)


@trio_test
async def test_admin_lists_and_removes(session) -> None:
    async with session() as (admin, smtp_in, smtp_out):
        entries = await submit(smtp_in, *(f"r{number}@one.test" for number in range(5)))
        listed = await admin.admin.queue_list(EntryId(0), 3)
        rest = await admin.admin.queue_list(listed[-1].entry_id, 3)
        assert [item.entry_id for item in (*listed, *rest)] == list(entries)
        assert await admin.admin.queue_remove((entries[0], entries[4], EntryId(99_999))) == 2
        with pytest.raises(NotFound):
            await admin.admin.queue_show(entries[0])
        with pytest.raises(NotFound):
            await admin.admin.queue_remove(())
        left = (await smtp_out.queue.lease("w", 10, 60.0, ())).entries
        assert [entry.recipient for entry in left] == ["r1@one.test", "r2@one.test", "r3@one.test"]
        status = await admin.admin.status()
        assert (status.queue_entries, status.queue_due) == (3, 3)


@trio_test
async def test_wrong_leases(session) -> None:
    async with session() as (_, _, smtp_out):
        for limit, seconds in ((0, 60.0), (1, 0.0), (1, 100_000.0)):
            with pytest.raises(BadRequest):
                await smtp_out.queue.lease("w", limit, seconds, ())


@trio_test
async def test_what_is_held_waits_for_its_release(session) -> None:
    async with session() as (admin, smtp_in, smtp_out):
        first, second = await submit(smtp_in, "a@one.test", "b@one.test")
        third, = await submit(smtp_in, "c@two.test")
        leased = (await smtp_out.queue.lease("w", 1, 60.0, ("one.test",))).entries
        assert [entry.entry_id for entry in leased] == [third]
        # what is under way may be delivered already: it is not held
        assert await admin.admin.queue_hold((first, second, third, EntryId(99_999))) == 2
        assert await admin.admin.queue_hold((first,)) == 0
        lease = await smtp_out.queue.lease("w", 10, 60.0, ())
        assert lease.entries == ()
        assert lease.next_due is not None
        assert lease.next_due < time.time() + 61
        await admin.admin.queue_retry(())
        assert (await smtp_out.queue.lease("w", 10, 60.0, ())).entries == ()
        assert [item.leased_by for item in await admin.admin.queue_list(EntryId(0), 10)] == [HOLDER, HOLDER, "w"]
        # nobody else speaks for it
        for call in (
            smtp_out.queue.lease(HOLDER, 1, 60.0, ()),
            smtp_out.queue.extend(HOLDER, (first,), 60.0),
            smtp_out.queue.report(HOLDER, (Outcome(first, OutcomeKind.DELIVERED),), ()),
        ):
            with pytest.raises(BadRequest):
                await call
        await smtp_out.queue.report("w", (Outcome(third, OutcomeKind.DELIVERED),), ())
        assert (await smtp_out.queue.lease("w", 10, 60.0, ())).next_due is None
        assert await admin.admin.queue_release((first, third)) == 1
        assert [entry.entry_id for entry in (await smtp_out.queue.lease("w", 10, 60.0, ())).entries] == [first]
        assert await admin.admin.queue_remove((second,)) == 1


@trio_test
async def test_entries_are_found_by_what_is_known_of_them(session) -> None:
    async with session() as (admin, smtp_in, smtp_out):
        await submit(smtp_in, "Ann_e@one.test", "bob@one.test", sender="Me@here.test")
        await submit(smtp_in, "anne@two.test", sender="")
        leased = (await smtp_out.queue.lease("w", 10, 60.0, ())).entries
        bob = next(entry.entry_id for entry in leased if entry.recipient == "bob@one.test")
        released = [Outcome(entry.entry_id, OutcomeKind.RELEASED) for entry in leased if entry.entry_id != bob]
        later = time.time() + 900
        await smtp_out.queue.report("w", (Outcome(bob, OutcomeKind.DEFERRED, later, text="100% Full_up"), *released), ())
        await admin.admin.queue_hold((bob,))

        async def found(**wanted: object) -> list[str]:
            items = await admin.admin.queue_find(QueueFilter(**wanted), EntryId(0), 100)
            return [item.recipient.partition("@")[0] for item in items]

        assert await found() == ["Ann_e", "bob", "anne"]
        assert await found(sender="me@*") == ["Ann_e", "bob"]
        assert await found(sender="<>") == ["anne"]
        assert await found(sender="me") == await found(recipient="bo_@one.test") == await found(recipient="%") == []
        assert await found(recipient="ANN_E@*") == ["Ann_e"]
        assert await found(recipient="*one.test") == await found(destination="one.test") == ["Ann_e", "bob"]
        assert await found(reason="0% full_") == await found(held=True) == ["bob"]
        assert await found(older_seconds=3600.0) == []
        assert await found(sender="me@*", destination="two.*") == []
        with pytest.raises(BadRequest):
            await found(recipient="x" * 401)
        page = await admin.admin.queue_find(QueueFilter(), EntryId(0), 1)
        rest = await admin.admin.queue_find(QueueFilter(), page[0].entry_id, 5)
        assert [len(page), len(rest)] == [1, 2]


@trio_test
async def test_the_queue_wakes_its_watcher(session) -> None:
    async with session() as (admin, smtp_in, smtp_out), smtp_out.watch_queue() as watch:
        await watch.wait()
        (entry,) = await submit(smtp_in, "a@one.test")
        await watch.wait()
        await admin.admin.queue_retry(())
        await watch.wait()
        assert (await smtp_out.queue.lease("w", 10, 60.0, ())).entries[0].entry_id == entry


@trio_test
async def test_not_an_address(session) -> None:
    async with session() as (_, smtp_in, _):
        for address in ("nobody", "a@", "@b", "a@b..c"):
            with pytest.raises(BadRequest):
                await submit(smtp_in, address)
        assert (await smtp_in.directory.resolve("a@one.test")).kind is ResolutionKind.NOT_LOCAL
