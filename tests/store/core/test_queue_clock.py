"""The clock was put back: the queue goes on now, and not when the time that it had seen is there again."""

import sqlite3
from pathlib import Path

from services.store.packs.append import PackAppender
from services.store.sql.database import connect
from services.store.sql.migrate import migrate
from services.store.transaction import Ids, Transaction
from services.store.writes import queue_clock
from shared.contract.queue_types import HOLDER

NOW = 1_000_000.0
YEAR = 365 * 86400.0


def queue_of(path: Path) -> sqlite3.Connection:
    migrate(path)
    connection = connect(path, read_only=False, cache_kib=1000)
    connection.execute("PRAGMA foreign_keys=OFF")
    return connection


def add(connection: sqlite3.Connection, entry: int, *, queued_at: float, due_at: float, owner: str = "", until: float = 0) -> None:
    connection.execute(
        "INSERT INTO queue_message (id, content_id, trace, sender, octets, skip_octets, smtputf8, eight_bit, queued_at, expires_at, "
        "received_from, entries) VALUES (?, 1, '', '', 1, 0, 0, 0, ?, ?, '', 1)",
        (entry, queued_at, queued_at + 1000),
    )
    connection.execute(
        "INSERT INTO queue_entry (id, message_id, recipient, original, destination, due_at, lease_owner, lease_until, attempts, "
        "last_text, warn_at) VALUES (?, ?, 'a@b', '', 'b', ?, ?, ?, 0, '', ?)",
        (entry, entry, due_at, owner, until, queued_at + 500),
    )


def bring_back(connection: sqlite3.Connection, packs: Path) -> int:
    packs.mkdir()
    cursor = connection.cursor()
    appender = PackAppender(packs, number=1, end=0, seal_octets=1 << 20)
    moved = queue_clock.bring_back(Transaction(cursor, appender, Ids(cursor), NOW))
    appender.close()
    return moved


def test_what_was_queued_ahead_waits_as_long_as_it_was_to(tmp_path: Path) -> None:
    connection = queue_of(tmp_path / "db")
    add(connection, 1, queued_at=NOW + YEAR, due_at=NOW + YEAR)
    add(connection, 2, queued_at=NOW + YEAR, due_at=NOW + YEAR + 300)
    add(connection, 3, queued_at=NOW - 10, due_at=NOW + 900)
    add(connection, 4, queued_at=NOW + 30, due_at=NOW + 30)
    assert bring_back(connection, tmp_path / "packs") == 2
    rows = connection.execute(
        "SELECT e.id, due_at, warn_at, queued_at, expires_at FROM queue_entry AS e JOIN queue_message AS m ON m.id = message_id"
    ).fetchall()
    assert rows == [
        (1, NOW, NOW + 500, NOW, NOW + 1000),
        (2, NOW + 300, NOW + 500, NOW, NOW + 1000),
        (3, NOW + 900, NOW + 490, NOW - 10, NOW + 990),
        (4, NOW + 30, NOW + 530, NOW + 30, NOW + 1030),
    ]
    connection.close()


def test_what_was_tried_ahead_waits_for_its_pause_alone(tmp_path: Path) -> None:
    connection = queue_of(tmp_path / "db")
    add(connection, 1, queued_at=NOW - 10, due_at=NOW + YEAR + 240)
    add(connection, 2, queued_at=NOW - 10, due_at=NOW + 240)
    for entry, number, at in ((1, 1, NOW - 5), (1, 2, NOW + YEAR), (2, 1, NOW - 5)):
        connection.execute(
            "INSERT INTO queue_attempt (entry_id, number, at, kind, code, enhanced, text, remote, tls, seconds) "
            "VALUES (?, ?, ?, 'deferred', 0, '', '', '', '', 0)",
            (entry, number, at),
        )
    assert bring_back(connection, tmp_path / "packs") == 1
    assert connection.execute("SELECT due_at FROM queue_entry ORDER BY id").fetchall() == [(NOW + 240,), (NOW + 240,)]
    assert connection.execute("SELECT at FROM queue_attempt ORDER BY entry_id, number").fetchall() == [
        (NOW - 5,), (NOW,), (NOW - 5,)
    ]  # fmt: skip
    connection.close()


def test_leases_that_end_later_than_any_may_are_over_and_what_is_held_stays(tmp_path: Path) -> None:
    connection = queue_of(tmp_path / "db")
    for entry, owner, until in ((1, "w", NOW + YEAR), (2, "w", NOW + 3600), (3, HOLDER, 1e12)):
        add(connection, entry, queued_at=NOW - 10, due_at=NOW - 10, owner=owner, until=until)
    assert bring_back(connection, tmp_path / "packs") == 0
    assert connection.execute("SELECT lease_owner, lease_until FROM queue_entry ORDER BY id").fetchall() == [
        ("", 0), ("w", NOW + 3600), (HOLDER, 1e12)
    ]  # fmt: skip
    connection.close()
