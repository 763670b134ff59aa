"""The writer: one group, one commit; one bad write fails alone; an operation happens once."""

import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from services.store.domain.queue import QueueTimes
from services.store.forwarding import Forwarding
from services.store.news import Changes
from services.store.packs.append import PackAppender
from services.store.packs.encode import Compressor, encode_content
from services.store.packs.paths import pack_path
from services.store.packs.read import PackReader
from services.store.packs.record import PACK_HEADER
from services.store.packs.scan import FoundRecord, scan_pack
from services.store.readers import Readers, Snapshot
from services.store.reads import contents as content_reads
from services.store.reads.directory import Rules
from services.store.sql.database import connect
from services.store.sql.migrate import migrate
from services.store.transaction import Transaction
from services.store.writer import Command, Writer
from services.store.writes import directory, filing
from services.store.writes.filing import Incoming
from shared.contract.types import ContentRange, ContentSource, Delivery, DomainInfo, LocalRecipient
from shared.errors import AlreadyExists, BadRequest, Internal, NotFound, OutOfSpace
from shared.model.ids import AccountId, Uid
from shared.model.message_index import MessageIndex
from shared.observe.log import Level, Logger
from shared.testing import trio_test

INDEX = MessageIndex(1, b"e", b"s", b"b", b"p", b"m")
ACCOUNT = AccountId(1)
RULES = Rules("+", 10, Forwarding(b"k" * 32))
CONDITIONS = filing.Conditions(RULES, QueueTimes(10.0, 5.0))


@attrs.define
class Bench:
    """A writer and readers on a database of the test's own."""

    writer: Writer
    readers: Readers
    packs: Path
    connection: sqlite3.Connection
    changes: list[Changes]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()

    async def together(self, *commands: Command) -> list[Any]:
        """Submit commands so that they share one group: the writer is held until all of them wait."""
        gate, held = threading.Event(), threading.Event()
        results: list[Any] = [None] * len(commands)

        def wait(_: Transaction) -> None:
            held.set()
            gate.wait(10)

        async def run(position: int, command: Command) -> None:
            try:
                results[position] = await self.writer.submit(command)
            except Exception as error:
                results[position] = error

        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.writer.submit, Command("", None, wait, ()))
            await trio.to_thread.run_sync(held.wait, 10)
            for position, command in enumerate(commands):
                nursery.start_soon(run, position, command)
                await trio.testing.wait_all_tasks_blocked()
            gate.set()
        return results


@asynccontextmanager
async def open_bench(directory_path: Path, seal: int = 1 << 26) -> AsyncIterator[Bench]:
    packs = directory_path / "packs"
    packs.mkdir(exist_ok=True)
    database = directory_path / "db"
    migrate(database)
    changes: list[Changes] = []
    writer = Writer(
        connect(database, read_only=False, cache_kib=1024),
        PackAppender(packs, number=1, end=0, seal_octets=seal),
        group_writes=100,
        waiting_writes=1000,
        on_changes=changes.append,
        log=Logger("test", Level.ERROR, write=lambda _: None),
    )
    readers = Readers(
        lambda: connect(database, read_only=True, cache_kib=1024), PackReader(packs, cache_octets=0), threads=1
    )
    writer.start()
    readers.start()
    watching = connect(database, read_only=True, cache_kib=1024)
    try:
        await writer.submit(Command("", None, directory.domain_add, ("example.test",)))
        await writer.submit(Command("", None, directory.account_add, ("a@example.test", "hash")))
        yield Bench(writer, readers, packs, watching, changes)
    finally:
        watching.close()
        await writer.stop()
        await readers.stop()


def deliver(content: bytes, op_id: bytes | None = None, account: int = ACCOUNT) -> Command:
    recipient = LocalRecipient(AccountId(account), "a@example.test")
    delivery = Delivery("t", "s@x.test", (recipient,), (), ContentSource(len(content), inline=content), INDEX)
    arguments = ((Incoming(None, content),), delivery, CONDITIONS)
    return Command(
        "messages.deliver", op_id, filing.deliver, arguments, batch=True, prepare=filing.prepare_contents
    )


def op(number: int) -> bytes:
    return number.to_bytes(16, "big")


@trio_test
async def test_a_group_is_one_transaction(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        groups = bench.writer.statistics.groups
        results = await bench.together(*(deliver(b"message %d" % number, op(number)) for number in range(20)))
        assert [result.copies[0].uid for result in results] == list(range(1, 21))
        assert bench.writer.statistics.groups == groups + 2
        assert bench.rows("SELECT count(*) FROM operation")[0][0] == 20
        assert bench.changes[-1].mailboxes == {1: 21}


@trio_test
async def test_a_refused_write_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        results = await bench.together(
            deliver(b"one", op(1)), deliver(b"two", op(2), account=77), deliver(b"three", op(3)),
            Command("admin.domain_add", op(4), directory.domain_add, ("example.test",)),
            Command("admin.domain_add", op(5), directory.domain_add, ("second.test",)),
        )  # fmt: skip
        assert results[0].copies[0].uid == 1
        assert isinstance(results[1], NotFound)
        assert results[2].copies[0].uid == 2
        assert isinstance(results[3], AlreadyExists)
        assert results[4] == DomainInfo("second.test", 0, 0)
        # what was refused is not recorded: it may be tried again
        assert bench.rows("SELECT op_id FROM operation ORDER BY id") == [(op(1),), (op(3),), (op(5),)]


@trio_test
async def test_an_unforeseen_failure_is_undone_and_stays_alone(tmp_path: Path) -> None:
    def broken(transaction: Transaction, incoming: tuple[Incoming, ...], delivery: Delivery, *rest: Any) -> None:
        filing.deliver(transaction, incoming, delivery, *rest)
        raise ZeroDivisionError

    async with open_bench(tmp_path) as bench:
        bad = deliver(b"bad", op(2))
        bad.run = broken
        results = await bench.together(deliver(b"one", op(1)), bad, deliver(b"three", op(3)))
        assert [result.copies[0].uid for result in (results[0], results[2])] == [1, 2]
        assert isinstance(results[1], Internal)
        assert bench.rows("SELECT uid, octets FROM message") == [(1, 3), (2, 5)]
        assert bench.rows("SELECT messages, octets, uid_next FROM mailbox WHERE id = 1") == [(2, 8, 3)]
        assert bench.rows("SELECT count(*) FROM content") == [(2,)]
        read = await bench.readers.run(content_reads.read, ACCOUNT, 1, (ContentRange(Uid(1)), ContentRange(Uid(2))))
        assert read == (b"one", b"three")


@trio_test
async def test_an_operation_happens_once(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        first = await bench.writer.submit(deliver(b"once", op(9)))
        again = await bench.writer.submit(deliver(b"once", op(9)))
        twice = await bench.together(deliver(b"twin", op(10)), deliver(b"twin", op(10)), deliver(b"once", op(9)))
        assert again == first
        assert twice[0] == twice[1] != first
        assert twice[2] == first
        assert bench.rows("SELECT uid FROM message") == [(1,), (2,)]
        with pytest.raises(BadRequest):
            await bench.writer.submit(Command("admin.domain_add", op(9), directory.domain_add, ("x.test",)))


@trio_test
async def test_a_repeated_refusal_is_refused_again_in_one_group(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        results = await bench.together(deliver(b"x", op(1), account=77), deliver(b"x", op(1), account=77))
        assert all(isinstance(result, NotFound) for result in results)


@trio_test
async def test_equal_contents_are_kept_once(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        await bench.together(*(deliver(b"same") for _ in range(3)))
        await bench.writer.submit(deliver(b"same"))
        assert bench.rows("SELECT octets, refs FROM content") == [(4, 4)]
        records = [item for item in scan_pack(pack_path(bench.packs, 1)) if isinstance(item, FoundRecord)]
        assert [record.header.stored_octets for record in records] == [4, 0, 0, 0]
        (dead,) = bench.rows("SELECT dead_octets FROM pack")
        assert dead == (sum(record.header.record_octets for record in records[1:]),)


@trio_test
async def test_a_full_disk_fails_the_group_and_nothing_of_it_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(tmp_path) as bench:
        await bench.writer.submit(deliver(b"before"))
        ((size,),) = bench.rows("SELECT octets FROM pack")

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            results = await bench.together(deliver(b"lost", op(1)), deliver(b"lost too", op(2)))
        assert all(isinstance(result, OutOfSpace) for result in results)
        assert bench.rows("SELECT count(*) FROM message") == [(1,)]
        assert pack_path(bench.packs, 1).stat().st_size == size
        after = await bench.writer.submit(deliver(b"lost", op(1)))
        assert after.copies[0].uid == 2


@trio_test
async def test_a_failed_fsync_fails_the_group_and_the_next_goes_to_another_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(tmp_path) as bench:
        await bench.writer.submit(deliver(b"before"))

        def broken(_: int) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", broken)
            results = await bench.together(deliver(b"lost"))
        assert isinstance(results[0], OutOfSpace)
        await bench.writer.submit(deliver(b"after"))
        assert bench.rows("SELECT pack FROM content ORDER BY id") == [(1,), (2,)]
        assert [row[0] for row in bench.rows("SELECT number FROM pack ORDER BY number")] == [1, 2]
        read = await bench.readers.run(content_reads.read, ACCOUNT, 1, (ContentRange(Uid(1)), ContentRange(Uid(2))))
        assert read == (b"before", b"after")


@trio_test
async def test_a_commit_that_fails_leaves_its_records_in_the_pack_and_dead(tmp_path: Path) -> None:
    """SQLite's log may hold the whole transaction, and the next start takes it for done: its contents have to be there then."""
    async with open_bench(tmp_path) as bench:
        await bench.writer.submit(deliver(b"before"))

        def bad(transaction: Transaction) -> None:
            transaction.cursor.execute("PRAGMA defer_foreign_keys=ON")
            transaction.cursor.execute("INSERT INTO subscription VALUES (77, 'of nobody')")

        results = await bench.together(deliver(b"lost"), Command("", None, bad, ()))
        assert all(isinstance(result, Internal) for result in results)
        for content in (b"after", b"before"):
            await bench.writer.submit(deliver(content))
        ((octets, dead),) = bench.rows("SELECT octets, dead_octets FROM pack")
        found = [item for item in scan_pack(pack_path(bench.packs, 1), stop=octets) if isinstance(item, FoundRecord)]
        lengths = [item.header.record_octets for item in found]
        # before, lost, after, and a reference to the first
        assert len(found) == 4
        assert dead == lengths[1] + lengths[3]


@trio_test
async def test_octets_of_a_command_that_failed_are_dead_and_those_of_a_refused_group_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(tmp_path) as bench:
        await bench.writer.submit(deliver(b"before"))

        def half(transaction: Transaction) -> None:
            transaction.appender.append(encode_content(b"of no row", Compressor(1)), b"")
            raise ValueError("in the middle")

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", _full)
            await bench.together(deliver(b"refused"), Command("", None, half, ()))
        await bench.together(deliver(b"after"), Command("", None, half, ()))
        ((octets, dead),) = bench.rows("SELECT octets, dead_octets FROM pack")
        live = bench.rows("SELECT sum(length) FROM content")[0][0]
        assert dead > 0
        assert octets - dead - PACK_HEADER.size == live


@trio_test
async def test_a_clock_that_was_put_back_is_told_once(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        time = [1000.0]
        bench.writer._clock = lambda: time[0]
        assert bench.writer.clock_was_put_back(60.0), "nobody knows what was before the start"
        for now, told in ((1000.0, False), (90_000.0, False), (89_970.0, False), (2000.0, True), (2000.0, False)):
            time[0] = now
            await bench.writer.submit(deliver(b"%f" % now))
            assert bench.writer.clock_was_put_back(60.0) is told, now


def _full(*_: object) -> int:
    raise OSError(28, "No space left on device")


@trio_test
async def test_a_caller_that_went_away_is_served_all_the_same(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        gate = threading.Event()

        def wait(_: Transaction) -> None:
            gate.wait(10)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.writer.submit, Command("", None, wait, ()))
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(0.01) as scope:
                await bench.writer.submit(deliver(b"kept", op(1)))
            assert scope.cancelled_caught
            gate.set()
        again = await bench.writer.submit(deliver(b"kept", op(1)))
        assert again.copies[0].uid == 1
        assert bench.rows("SELECT count(*) FROM message") == [(1,)]


@trio_test
async def test_a_command_to_the_end_outlives_its_callers_patience(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        gate, entered = threading.Event(), threading.Event()

        def wait(_: Transaction) -> str:
            entered.set()
            gate.wait(10)
            return "done"

        def release() -> None:
            entered.wait(10)
            gate.set()

        with trio.CancelScope() as scope:
            scope.cancel()
            async with trio.open_nursery() as nursery:
                with trio.CancelScope(shield=True):
                    nursery.start_soon(trio.to_thread.run_sync, release)
                command = Command("", None, wait, (), to_the_end=True)
                assert await bench.writer.submit(command) == "done"


@trio_test
async def test_callers_are_held_back_when_too_many_wait(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        bench.writer._waiting_writes = 3
        gate = threading.Event()

        def wait(_: Transaction) -> None:
            gate.wait(10)

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(bench.writer.submit, Command("", None, wait, ()))
                nursery.start_soon(bench.writer.submit, deliver(b"%d" % number))
            await trio.testing.wait_all_tasks_blocked()
            assert bench.writer.waiting == 3
            gate.set()
        assert bench.rows("SELECT count(*) FROM message") == [(10,)]


@trio_test
async def test_readers_run_side_by_side_and_answer_errors(tmp_path: Path) -> None:
    def fail(_: Snapshot) -> None:
        raise NotFound("x")

    async with open_bench(tmp_path) as bench:
        with pytest.raises(NotFound):
            await bench.readers.run(fail)
        results: list[int] = []

        async def one(number: int) -> None:
            results.append(await bench.readers.run(lambda _: number))

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(one, number)
        assert sorted(results) == list(range(50))


@trio_test
async def test_packs_straddled_by_one_group(tmp_path: Path) -> None:
    async with open_bench(tmp_path, seal=3000) as bench:
        contents = [os.urandom(1000) for _ in range(12)]
        await bench.together(*(deliver(content) for content in contents))
        used = {row[0] for row in bench.rows("SELECT pack FROM content")}
        assert len(used) > 3
        ends = dict(bench.rows("SELECT number, octets FROM pack"))
        assert ends == {number: pack_path(bench.packs, number).stat().st_size for number in used}
        ranges = tuple(ContentRange(Uid(uid)) for uid in range(1, 13))
        assert list(await bench.readers.run(content_reads.read, ACCOUNT, 1, ranges)) == contents
