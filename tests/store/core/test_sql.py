"""Migrations from empty, statements, and housekeeping."""

import os
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from services.store.domain.queue import QueueTimes
from services.store.forwarding import Forwarding
from services.store.packs.append import PackAppender
from services.store.packs.encode import Compressor, encode_content
from services.store.packs.read import PackReader
from services.store.packs.record import PACK_HEADER
from services.store.readers import Snapshot
from services.store.reads import messages as reads
from services.store.reads.directory import Rules
from services.store.recover import open_appender, record_dead, recover_packs
from services.store.sql.database import connect
from services.store.sql.migrate import HEAD, NewerDatabaseError, current_revision, migrate
from services.store.sql.prepared import IN_MAX, Prepared, PreparedIn
from services.store.sql.schema import message
from services.store.sql.schema_relays import relay
from services.store.sql.upgrade import config
from services.store.transaction import Ids, Transaction
from services.store.writes import directory, filing, housekeeping, transfer
from services.store.writes.filing import Incoming
from services.store.writes.flags import store_flags
from shared.contract.types import ContentSource, Delivery, FlagOperation, LocalRecipient
from shared.errors import LimitExceeded
from shared.model.ids import AccountId
from shared.model.message_index import MessageIndex
from shared.model.packed import unpack_u32
from shared.observe.log import Level, Logger

INDEX = MessageIndex(1, b"", b"", b"", b"", b"")
RULES = Rules("+", 10, Forwarding(b"k" * 32))
CONDITIONS = filing.Conditions(RULES, QueueTimes(10.0, 5.0))


def test_migrations_lead_to_the_schema(tmp_path: Path) -> None:
    database = tmp_path / "db"
    migrate(database)
    assert current_revision(database) == HEAD == ScriptDirectory.from_config(config()).get_current_head()
    engine = sa.create_engine("sqlite://", creator=lambda: connect(database, read_only=False, cache_kib=100))
    with engine.connect() as connection:
        # the tables of all schema modules are in one place
        assert compare_metadata(MigrationContext.configure(connection), relay.metadata) == []
    engine.dispose()
    migrate(database)


def at_revision(database: Path, revision: str) -> sqlite3.Connection:
    """A new database as an earlier version had it."""
    from alembic import command

    from services.store.sql.upgrade import config as alembic

    connection = connect(database, read_only=False, cache_kib=1000)
    engine = sa.create_engine("sqlite://", creator=lambda: connection, poolclass=sa.pool.StaticPool)
    with engine.connect() as bound:
        settings = alembic()
        settings.attributes["connection"] = bound
        command.upgrade(settings, revision)
    return connection


def test_what_was_queued_before_shares_has_them(tmp_path: Path) -> None:
    database = tmp_path / "db"
    connection = at_revision(database, "0013")
    message = "INSERT INTO queue_message (id, content_id, trace, sender, octets, skip_octets, smtputf8, eight_bit, queued_at, expires_at"
    message += ", account_id, received_from, entries) VALUES (?, 1, '', '', 1, 0, 0, 0, 0, 1, ?, '', 1)"
    entry = "INSERT INTO queue_entry (id, message_id, recipient, original, destination, due_at, lease_owner, lease_until, attempts"
    entry += ", last_text) VALUES (?, ?, '', '', ?, 0, '', 0, 0, '')"
    for number, account_id in ((1, 7), (2, None)):
        connection.execute(message, (number, account_id))
        connection.execute(entry, (number, number, "b.test"))
    connection.commit()
    connection.close()
    migrate(database)
    connection = connect(database, read_only=True, cache_kib=1000)
    assert connection.execute("SELECT share FROM queue_entry ORDER BY id").fetchall() == [("7@b.test",), ("0@b.test",)]
    connection.close()


def test_a_database_of_the_first_revision_opens(tmp_path: Path) -> None:
    database = tmp_path / "db"
    connection = at_revision(database, "0001")
    execute = connection.execute
    execute("INSERT INTO domain VALUES (1, 'x.test', 1.0)")
    for account_id in (1, 2):
        execute("INSERT INTO account VALUES (?, 1, ?, 'hash', 1.0)", (account_id, f"a{account_id}@x.test"))
    columns = "id, account_id, name, special_use, uidvalidity, uid_next, highest_modseq, first_recent_uid"
    columns += ", messages, unseen, deleted, octets, tombstone_floor"
    boxes = [
        (1, 1, "INBOX", 3, 300), (2, 1, "Sent", 1, 70), (3, 2, "INBOX", 0, 0), (4, 1, "shared", 1, 1), (5, 1, "shared/x", 1, 1),
        (6, 1, "Shared", 0, 0), (7, 1, "sharedx", 0, 0), (8, 2, "shared", 0, 0), (9, 2, "own-shared", 0, 0),
    ]  # fmt: skip
    for box_id, account_id, name, messages, octets in boxes:
        execute(
            f"INSERT INTO mailbox ({columns}) VALUES (?, ?, ?, '', 1, 9, 9, 1, ?, 0, 0, ?, 0)",
            (box_id, account_id, name, messages, octets),
        )
    execute("INSERT INTO subscription VALUES (1, 'shared/x')")
    connection.close()
    migrate(database)
    connection = connect(database, read_only=False, cache_kib=1000)
    found = connection.execute("SELECT mailboxes, messages, octets, quota_messages, quota_octets FROM account").fetchall()
    assert found == [(6, 6, 372, None, None), (3, 0, 0, None, None)]
    names = dict(connection.execute("SELECT id, name FROM mailbox").fetchall())
    # where other accounts' mailboxes are now, one's own have made room; a name that is taken is left alone
    assert names == {
        1: "INBOX", 2: "Sent", 3: "INBOX", 4: "own-shared", 5: "own-shared/x", 6: "Shared", 7: "sharedx", 8: "shared", 9: "own-shared"
    }  # fmt: skip
    assert connection.execute("SELECT name FROM subscription").fetchall() == [("own-shared/x",)]
    assert connection.execute("SELECT acl_version FROM mailbox WHERE id = 1").fetchall() == [(0,)]
    connection.close()


def test_older_changes_are_found_after_the_migration(tmp_path: Path) -> None:
    """A database of the revision that had an index by modseq, with clients that know older modseqs."""
    database = tmp_path / "db"
    connection = at_revision(database, "0005")
    execute = connection.execute
    execute("INSERT INTO domain VALUES (1, 'x.test', 1.0)")
    execute("INSERT INTO account (id, domain_id, address, password_hash, created_at) VALUES (1, 1, 'a@x.test', 'h', 1.0)")
    columns = "id, account_id, name, special_use, uidvalidity, uid_next, highest_modseq, first_recent_uid"
    columns += ", messages, unseen, deleted, octets, tombstone_floor"
    execute(f"INSERT INTO mailbox ({columns}) VALUES (1, 1, 'INBOX', '', 1, 100, 60, 1, 59, 59, 0, 59, 0)")
    for uid in range(1, 60):
        row = (uid, uid, 60 - uid, uid, str(uid))
        execute("INSERT INTO message VALUES (1, ?, ?, ?, 0, 1, 1, 1, 1, 1, ?, ?)", row)
    execute("INSERT INTO tombstone VALUES (1, 70, 60, 1), (1, 71, 20, 1)")
    connection.close()
    bench = Bench(tmp_path, empty=False)
    snapshot = Snapshot(bench.cursor, PackReader(bench.packs, cache_octets=0))
    page = reads.changes(snapshot, 1, 1, 30, 0, 100)
    assert (unpack_u32(page.uids).tolist(), unpack_u32(page.vanished).tolist()) == (list(range(1, 30)), [70])
    assert reads.changes(snapshot, 1, 1, 60, 0, 100).uids == b""
    bench.run(transfer.expunge, "imap", 1, 1, [3, 40], False)
    page = reads.changes(snapshot, 1, 1, 59, 0, 100)
    assert (unpack_u32(page.uids).tolist(), unpack_u32(page.vanished).tolist()) == ([], [3, 40, 70])
    page = reads.changes(snapshot, 1, 1, 60, 0, 100)
    assert unpack_u32(page.vanished).tolist() == [3, 40]
    bench.close()


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "db"
    migrate(database)
    connection = connect(database, read_only=False, cache_kib=100)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(NewerDatabaseError):
        migrate(database)


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from services.store.sql import upgrade

    database = tmp_path / "db"
    connection = connect(database, read_only=False, cache_kib=100)
    # the last table that the first revision makes is there already
    connection.execute("CREATE TABLE meta (x)")
    connection.close()
    with pytest.raises(sa.exc.OperationalError):
        upgrade.upgrade(database, None)
    connection = connect(database, read_only=False, cache_kib=100)
    assert connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [("meta",)]
    connection.close()


def test_the_database_is_durable(tmp_path: Path) -> None:
    connection = connect(tmp_path / "db", read_only=False, cache_kib=100)
    pragmas = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    connection.close()
    reading = connect(tmp_path / "db", read_only=True, cache_kib=100)
    with pytest.raises(sqlite3.OperationalError):
        reading.execute("CREATE TABLE x (y)")
    reading.close()


def test_parameters_in_any_order(tmp_path: Path) -> None:
    connection = connect(tmp_path / "db", read_only=False, cache_kib=100)
    cursor = connection.cursor()
    statement = sa.select(sa.bindparam("b"), sa.bindparam("a"), sa.literal(7), sa.bindparam("b"))
    assert Prepared(statement, "a", "b").all(cursor, 1, 2) == [(2, 1, 7, 2)]
    with pytest.raises(ValueError, match="declared"):
        Prepared(statement, "a")
    with pytest.raises(ValueError, match="declared"):
        Prepared(statement, "a", "b", "c")
    connection.close()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 511, 512, 513, 2000])
def test_lists_of_any_length(tmp_path: Path, count: int) -> None:
    connection = connect(tmp_path / "db", read_only=False, cache_kib=100)
    cursor = connection.cursor()
    cursor.execute("BEGIN")
    cursor.execute("CREATE TABLE message (mailbox_id, uid)")
    cursor.executemany("INSERT INTO message VALUES (?, ?)", [(number % 2, number) for number in range(3000)])
    statement = PreparedIn(
        lambda uids: sa.select(message.c.uid).where(message.c.mailbox_id == sa.bindparam("m"), message.c.uid.in_(uids)),
        "m",
    )
    found = statement.all(cursor, list(range(count)), 1)
    assert sorted(uid for (uid,) in found) == [number for number in range(count) if number % 2]
    assert IN_MAX == 512
    connection.close()


class Bench:
    """A transaction at a time of the test's choice."""

    def __init__(self, root: Path, *, empty: bool = True) -> None:
        self.packs = root / "packs"
        self.packs.mkdir()
        migrate(root / "db")
        self.connection = connect(root / "db", read_only=False, cache_kib=1000)
        self.cursor = self.connection.cursor()
        self.appender = PackAppender(self.packs, number=1, end=0, seal_octets=1 << 20)
        self.ids = Ids(self.cursor)
        self.now = 1000.0
        self.dead: dict[int, int] = {}
        if empty:
            self.run(directory.domain_add, "x.test")
            self.run(directory.account_add, "a@x.test", "hash")

    def run(self, function, *arguments):
        self.cursor.execute("BEGIN")
        transaction = Transaction(self.cursor, self.appender, self.ids, self.now)
        result = function(transaction, *arguments)
        transaction.flush()
        self.cursor.execute("COMMIT")
        self.appender.sync()
        self.dead = transaction.dead
        return result

    def deliver(self, content: bytes) -> None:
        delivery = Delivery(
            "t", "", (LocalRecipient(AccountId(1), "a@x.test"),), (), ContentSource(0, inline=b""), INDEX
        )
        self.run(filing.deliver, (Incoming(encode_content(content, Compressor(1))),), delivery, CONDITIONS)

    def count(self, table: str) -> int:
        return self.cursor.execute(f"SELECT count(*) FROM {table}").fetchone()[0]

    def close(self) -> None:
        self.connection.close()
        self.appender.close()


def test_contents_go_when_nothing_has_referred_to_them_for_a_while(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for content in (b"kept", b"dropped", b"dropped"):
        bench.deliver(content)
    bench.run(transfer.expunge, "imap", 1, 1, [2], False)
    bench.now += 5000
    assert bench.run(housekeeping.drop_contents, 3600.0) == 0
    bench.run(transfer.expunge, "imap", 1, 1, [3], False)
    assert bench.run(housekeeping.drop_contents, 3600.0) == 0
    bench.now += 5000
    length = bench.cursor.execute("SELECT length FROM content WHERE refs = 0").fetchone()[0]
    assert bench.run(housekeeping.drop_contents, 3600.0) == 1
    assert bench.dead == {1: length}
    assert (bench.count("content"), bench.count("content_index")) == (1, 1)
    # ids are never used again: tombstones still name the old one
    bench.deliver(b"new")
    assert bench.cursor.execute("SELECT max(id) FROM content").fetchone()[0] == 3
    bench.close()


def test_a_content_that_comes_back_in_time_is_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.deliver(b"again")
    bench.run(transfer.expunge, "imap", 1, 1, None, False)
    bench.deliver(b"again")
    bench.now += 5000
    assert bench.run(housekeeping.drop_contents, 3600.0) == 0
    assert bench.cursor.execute("SELECT refs, unreferenced_at FROM content").fetchall() == [(1, None)]
    bench.close()


def test_old_operations_and_journal_rows_go_in_pieces(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    rows = [(number, number.to_bytes(16, "big"), float(number), "m", b"") for number in range(1, 5001)]
    bench.cursor.execute("BEGIN")
    bench.cursor.executemany("INSERT INTO operation VALUES (?, ?, ?, ?, ?)", rows)
    bench.cursor.execute("COMMIT")
    bench.now = 4500.0
    counts = [bench.run(housekeeping.prune_operations, 1000.0) for _ in range(4)]
    assert sum(counts) == 3499
    assert counts[0] <= housekeeping.PIECE + 1
    assert counts[-1] == 0
    assert bench.cursor.execute("SELECT min(at) FROM operation").fetchone()[0] == 3500.0
    # that of the account's mailboxes
    assert bench.run(housekeeping.prune_journal, 1000.0) == 6
    bench.deliver(b"x")
    bench.now += 100
    assert bench.run(housekeeping.prune_journal, 1000.0) == 0
    assert bench.run(housekeeping.prune_journal, 50.0) == 1
    bench.close()


def test_the_history_goes_by_age_and_by_number(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.cursor.execute("BEGIN")
    rows = [(number, float(number), f"t{number}", "", b"") for number in range(1, 5001)]
    bench.cursor.executemany("INSERT INTO passage VALUES (?, ?, ?, ?, ?)", rows)
    bench.cursor.execute("COMMIT")
    bench.now = 6000.0
    prune = lambda seconds, most: bench.run(housekeeping.prune_history, seconds, most)  # noqa: E731
    assert [prune(10_000.0, 2500), prune(10_000.0, 2500), prune(10_000.0, 2500)] == [housekeeping.PIECE, 500, 0]
    assert bench.cursor.execute("SELECT min(id), max(id) FROM passage").fetchone() == (2501, 5000)
    assert [prune(2000.0, 2500), prune(2000.0, 2500)] == [1499, 0]
    assert bench.cursor.execute("SELECT min(at) FROM passage").fetchone()[0] == 4000.0
    assert prune(0.0, 2500) == 1001
    assert prune(0.0, 2500) == 0
    bench.close()


def test_each_kind_of_command_is_found_by_those_who_know_the_modseq_before(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    archive = bench.cursor.execute("SELECT id FROM mailbox WHERE name = 'Archive'").fetchone()[0]
    snapshot = Snapshot(bench.cursor, PackReader(bench.packs, cache_octets=0))

    def found(box: int, back: int = 1) -> tuple[list[int], list[int]]:
        modseq = bench.cursor.execute("SELECT highest_modseq FROM mailbox WHERE id = ?", (box,)).fetchone()[0]
        page = reads.changes(snapshot, 1, box, modseq - back, 0, 100)
        return unpack_u32(page.uids).tolist(), unpack_u32(page.vanished).tolist()

    for number in range(60):
        bench.deliver(b"%d" % number)
    assert found(1) == ([60], [])
    bench.run(store_flags, 1, 1, [3, 50], FlagOperation.ADD, ("\\Seen",), None)
    assert found(1) == ([3, 50], [])
    bench.run(store_flags, 1, 1, [50], FlagOperation.ADD, ("\\Deleted",), None)
    assert found(1) == ([50], [])
    assert found(1, 2) == ([3, 50], [])
    bench.run(transfer.copy, 1, 1, [3, 4], archive)
    assert found(archive) == ([1, 2], [])
    bench.run(transfer.move, 1, 1, [5, 30], archive)
    assert (found(archive), found(1)) == (([3, 4], []), ([], [5, 30]))
    bench.run(transfer.expunge, "imap", 1, 1, None, True)
    assert found(1) == ([], [50])
    assert found(1, 3) == ([], [5, 30, 50])
    bench.run(transfer.copy, 1, 1, [7, 8], 1)
    assert found(1) == ([61, 62], [])
    bench.close()


def test_old_tombstones_go_and_whoever_needs_them_begins_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number in range(10):
        bench.deliver(b"%d" % number)
        bench.run(transfer.expunge, "imap", 1, 1, [number + 1], False)
    snapshot = Snapshot(bench.cursor, PackReader(bench.packs, cache_octets=0))
    assert reads.tombstones_above(snapshot, 10) == []
    # the modseqs of the expunges are 3, 5, ... 21
    assert reads.tombstones_above(snapshot, 4) == [(1, 13)]
    assert bench.run(housekeeping.drop_tombstones, 1, 13) == 6
    assert bench.run(housekeeping.drop_tombstones, 1, 13) == 0
    # a floor is never taken back
    assert bench.run(housekeeping.drop_tombstones, 1, 3) == 0
    assert bench.cursor.execute("SELECT uid FROM tombstone").fetchall() == [(7,), (8,), (9,), (10,)]
    with pytest.raises(LimitExceeded):
        reads.changes(snapshot, 1, 1, 12, 0, 100)
    assert unpack_u32(reads.changes(snapshot, 1, 1, 13, 0, 100).vanished).tolist() == [7, 8, 9, 10]
    assert reads.changes(snapshot, 1, 1, 0, 0, 100).vanished == b""
    bench.deliver(b"the floor survives a flush")
    with pytest.raises(LimitExceeded):
        reads.changes(snapshot, 1, 1, 12, 0, 100)
    bench.close()


def recover(bench: Bench) -> tuple[PackAppender, list[str]]:
    lines: list[str] = []
    log = Logger("test", Level.WARNING, as_json=False, write=lines.append)
    bench.appender.close()
    recovered = recover_packs(bench.packs, bench.connection, log)
    record_dead(bench.connection, recovered)
    return open_appender(bench.packs, recovered, 1 << 20), lines


def note_pack(bench: Bench, end: int) -> None:
    bench.cursor.execute("INSERT INTO pack VALUES (1, ?, 0, NULL)", (end,))


def test_recovery_goes_on_behind_the_last_whole_record(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.deliver(b"committed")
    end = bench.appender.end
    note_pack(bench, end)
    whole = bench.appender.append(encode_content(b"not committed", Compressor(1)), b"")
    bench.appender.sync()
    bench.appender.close()  # it takes the zeros behind the last record away
    path = bench.packs / "00000001.pack"
    with path.open("ab") as file:
        file.write(b"PBR1 torn")
    appender, lines = recover(bench)
    assert (appender.number, appender.end) == (1, end + whole.length)
    assert path.stat().st_size == appender.end
    assert any("torn tail" in line for line in lines)
    assert bench.cursor.execute("SELECT octets, dead_octets FROM pack").fetchall() == [(appender.end, whole.length)]
    bench.appender = appender
    # once more: nothing is counted twice
    appender, lines = recover(bench)
    assert lines == []
    assert bench.cursor.execute("SELECT octets, dead_octets FROM pack").fetchall() == [(appender.end, whole.length)]
    appender.close()
    bench.close()


def test_a_torn_pack_that_no_commit_knows_is_left_alone_and_no_damage(tmp_path: Path) -> None:
    """A group that straddles two packs, cut before its commit: of the second, the beginning did not reach the disk."""
    bench = Bench(tmp_path)
    bench.deliver(b"committed")
    end = bench.appender.end
    note_pack(bench, end)
    second = PackAppender(bench.packs, number=2, end=0, seal_octets=1 << 20)
    lost = [second.append(encode_content(b"not committed %d" % n, Compressor(1)), b"") for n in range(2)]
    second.sync()
    second.close()
    path = bench.packs / "00000002.pack"
    torn = path.read_bytes()[: lost[0].offset] + bytes(lost[0].length) + path.read_bytes()[lost[1].offset :]
    path.write_bytes(torn)
    appender, lines = recover(bench)
    assert [("no commit knows is torn" in line, "damaged" in line) for line in lines if "pack=2" in line] == [(True, False)]
    assert (appender.number, appender.end) == (3, PACK_HEADER.size)
    assert bench.cursor.execute("SELECT number, octets, dead_octets FROM pack").fetchall() == [(1, end, 0)]
    assert path.read_bytes() == torn
    appender.close()
    bench.close()


def test_recovery_counts_records_that_no_commit_knows_in_every_pack_once(tmp_path: Path) -> None:
    """A group that straddles two packs, cut before its commit: the first of them is full, and not appended to any more."""
    bench = Bench(tmp_path)
    bench.deliver(b"committed")
    end = bench.appender.end
    note_pack(bench, end)
    bench.appender.close()
    bench.appender = PackAppender(bench.packs, number=1, end=end, seal_octets=end + 1)
    lost = [bench.appender.append(encode_content(b"not committed %d" % n, Compressor(1)), b"") for n in range(2)]
    bench.appender.sync()
    assert [location.pack for location in lost] == [1, 2]
    for _ in range(2):
        appender, _ = recover(bench)
        assert bench.cursor.execute("SELECT number, octets, dead_octets FROM pack").fetchall() == [
            (1, end + lost[0].length, lost[0].length),
            (2, PACK_HEADER.size + lost[1].length, lost[1].length),
        ]
        bench.appender = appender
    bench.close()


def test_recovery_leaves_a_damaged_pack_alone_and_begins_another(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.deliver(b"committed" * 20)
    note_pack(bench, bench.appender.end)
    bench.appender.close()
    path = bench.packs / "00000001.pack"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    appender, lines = recover(bench)
    assert appender.number == 2
    assert path.read_bytes() == bytes(data)
    assert any("damaged" in line for line in lines)
    appender.close()
    bench.close()


def test_recovery_reports_what_is_missing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.deliver(b"committed" * 20)
    note_pack(bench, bench.appender.end)
    bench.cursor.execute("INSERT INTO pack VALUES (7, 100, 0, NULL)")
    appender, lines = recover(bench)
    assert appender.number == 8
    assert any("missing" in line and "pack=7" in line for line in lines)
    appender.close()
    os.truncate(bench.packs / "00000001.pack", 30)
    again, lines = recover(bench)
    assert any("shorter" in line and "pack=1" in line for line in lines)
    again.close()
    bench.close()
