"""From when on things can be undone, and how what cannot be undone any more is let go, in pieces."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.store.domain.names import DEFAULT_LIMITS
from services.store.domain.queue import QueueTimes
from services.store.forwarding import Forwarding
from services.store.packs.append import PackAppender
from services.store.packs.encode import Compressor, encode_content
from services.store.packs.read import PackReader
from services.store.readers import Snapshot
from services.store.reads import undo as reads
from services.store.reads.directory import Rules
from services.store.reads.undo import history_since
from services.store.sql.database import connect
from services.store.sql.migrate import migrate
from services.store.transaction import Ids, Transaction
from services.store.writes import directory, filing, forgetting, housekeeping, mailboxes, queue, transfer, undo
from services.store.writes.filing import Incoming
from shared.contract.types import ContentSource, Delivery, LocalRecipient, RemoteRecipient
from shared.contract.undo_types import UndoCounts
from shared.model.ids import AccountId
from shared.model.message_index import MessageIndex

ADDRESS = "a@example.test"
INDEX = MessageIndex(1, b"", b"", b"", b"", b"")
CONDITIONS = filing.Conditions(Rules("+", 10, Forwarding(b"k" * 32)), QueueTimes(1e9, 1e9))
COMPRESSOR = Compressor(1)
DAY = 86400.0


class Bench:
    def __init__(self, path: Path) -> None:
        self.path = path
        migrate(path / "db")
        self.connection = connect(path / "db", read_only=False, cache_kib=1024)
        self.cursor = self.connection.cursor()
        self.appender = PackAppender(path, number=1, end=0, seal_octets=1 << 20)
        self.ids = Ids(self.cursor)
        self.now = 100 * DAY
        self.keeps = True
        self.run(directory.domain_add, "example.test")
        self.run(directory.account_add, ADDRESS, "hash")
        self.run(mailboxes.create, 1, "Own", "", DEFAULT_LIMITS)
        self.numbers = dict(self.rows("SELECT name, id FROM mailbox"))

    def run(self, function: Any, *arguments: Any) -> Any:
        self.cursor.execute("BEGIN")
        transaction = Transaction(self.cursor, self.appender, self.ids, self.now, keeps_history=self.keeps)
        transaction.begin_savepoint()
        result = function(transaction, *arguments)
        transaction.release_savepoint()
        transaction.flush()
        self.cursor.execute("COMMIT")
        return result

    def deliver(self, content: bytes, mailbox: str = "INBOX", *, remote: bool = False) -> None:
        recipients = (LocalRecipient(AccountId(1), ADDRESS, mailbox),)
        out = (RemoteRecipient("x@elsewhere.test"),) if remote else ()
        delivery = Delivery("t", "", recipients, out, ContentSource(0, inline=b""), INDEX)
        self.run(filing.deliver, (Incoming(encode_content(content, COMPRESSOR)),), delivery, CONDITIONS)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self.cursor.execute(statement).fetchall()

    def since(self) -> float:
        return history_since(self.cursor)

    def forget(self, cut: float, piece: int) -> list[int]:
        done = [self.run(forgetting.forget, cut, piece)]
        while done[-1] == piece:
            done.append(self.run(forgetting.forget, cut, piece))
        return done


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.connection.close()
    made.appender.close()


def test_since_when(bench: Bench) -> None:
    bench.run(forgetting.begin, True)
    begun = bench.since()
    assert begun == 100 * DAY
    bench.now += DAY
    bench.run(forgetting.begin, True)
    assert bench.since() == begun
    # while it is off, and until it is on again, nothing is kept
    bench.run(forgetting.begin, False)
    bench.now += 50
    bench.run(forgetting.begin, True)
    assert bench.since() == bench.now + 1
    bench.now += 50
    bench.run(forgetting.begin, True)
    assert bench.since() == bench.now - 49
    # it never goes back
    bench.forget(bench.now - DAY, 10)
    assert bench.since() == bench.now - 49


def test_without_history_nothing_is_kept(bench: Bench) -> None:
    bench.keeps = False
    bench.deliver(b"one")
    bench.run(transfer.expunge, "imap", 1, bench.numbers["INBOX"], None, False)
    bench.run(mailboxes.delete, 1, "Own")
    assert bench.rows("SELECT * FROM buried") == bench.rows("SELECT * FROM buried_mailbox") == []
    assert bench.rows("SELECT count(*) FROM content WHERE buried_at IS NOT NULL") == [(0,)]
    bench.now += 10
    assert bench.run(housekeeping.drop_contents, 5.0) == 1


def test_it_goes_in_pieces_and_its_contents_after_it(bench: Bench) -> None:
    bench.run(forgetting.begin, True)
    for number in range(20):
        bench.deliver(b"%d" % number)
        bench.deliver(b"own %d" % number, "Own")
    bench.run(transfer.move, 1, bench.numbers["INBOX"], [1, 2, 5, 6, 9], bench.numbers["Archive"])
    bench.run(transfer.expunge, "imap", 1, bench.numbers["INBOX"], None, False)
    bench.run(mailboxes.delete, 1, "Own")
    first = bench.now
    bench.now += DAY
    bench.run(transfer.expunge, "imap", 1, bench.numbers["Archive"], None, False)
    assert bench.rows("SELECT count(*) FROM buried") == [(45,)]
    assert bench.run(housekeeping.drop_contents, 0.0) == 0
    # what went on the first day: 15 were expunged, 20 were in the mailbox
    done = bench.forget(first + 1, 4)
    assert sum(done) >= 40 + 35
    assert max(done) == 4
    assert bench.rows("SELECT count(*) FROM buried") == [(5,)]
    assert bench.rows("SELECT * FROM buried_mailbox") == []
    assert bench.run(housekeeping.drop_contents, 0.0) == 35
    assert bench.since() == first + 1
    bench.forget(bench.now + 1, 4)
    assert bench.rows("SELECT count(*) FROM buried") == bench.rows("SELECT count(*) FROM journal WHERE account_id > 0") == [(0,)]
    bench.now += 1
    assert bench.run(housekeeping.drop_contents, 0.5) == 5
    # the rows of the journal themselves have a time of their own
    assert bench.rows("SELECT count(*) FROM journal")[0][0] > 40


def test_a_content_that_waits_in_the_queue_outlives_neither(bench: Bench) -> None:
    bench.run(forgetting.begin, True)
    bench.deliver(b"both", remote=True)
    bench.deliver(b"relayed", remote=True)
    bench.run(transfer.expunge, "imap", 1, bench.numbers["INBOX"], [1], False)
    entries = tuple(row[0] for row in bench.rows("SELECT id FROM queue_entry"))
    bench.run(queue.remove, entries)
    bench.now += 10
    # the first was a message and may come back; the second still is one
    assert bench.rows("SELECT refs, unreferenced_at IS NULL, buried_at IS NULL FROM content") == [(0, 1, 0), (1, 1, 1)]
    assert bench.run(housekeeping.drop_contents, 0.0) == 0
    bench.forget(bench.now, 100)
    assert bench.run(housekeeping.drop_contents, 0.0) == 1
    assert bench.rows("SELECT refs FROM content") == [(1,)]


def test_a_message_that_moved_and_died_within_a_second_comes_back_once(bench: Bench) -> None:
    bench.run(forgetting.begin, True)
    bench.deliver(b"one")
    at = bench.now + 0.1
    bench.now += 0.25
    bench.run(transfer.move, 1, bench.numbers["INBOX"], [1], bench.numbers["Archive"])
    bench.now += 0.25
    bench.run(transfer.expunge, "imap", 1, bench.numbers["Archive"], [1], False)
    snapshot = Snapshot(bench.cursor, PackReader(bench.path, cache_octets=0))
    (step,) = reads.plan(snapshot, ADDRESS, at, "", (), bench.now).steps
    assert (step.name, step.counts) == ("INBOX", UndoCounts(back=1))
    assert bench.run(undo.apply, ADDRESS, step, DEFAULT_LIMITS).counts == UndoCounts(back=1)
    assert reads.plan(snapshot, ADDRESS, at, "", (), bench.now).steps == ()
