"""The log is copied back by a thread of its own, once enough was written, and no writer does it meanwhile."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

from services.store.checkpoint import Checkpointer
from services.store.sql.database import connect
from shared.observe.log import Level, Logger


class Watched:
    """A connection that says when a statement is done; the first ``failures`` of them fail."""

    def __init__(self, connection: sqlite3.Connection, failures: int = 0) -> None:
        self._connection = connection
        self._failures = failures
        self.done = threading.Semaphore(0)

    def execute(self, sql: str) -> Any:
        try:
            if self._failures:
                self._failures -= 1
                raise sqlite3.OperationalError("disk I/O error")
            return self._connection.execute(sql)
        finally:
            self.done.release()

    def close(self) -> None:
        self._connection.close()


def test_enough_rows_start_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "db"
    writer = connect(path, read_only=False, cache_kib=64)
    writer.execute("CREATE TABLE t (x)")
    watched = Watched(connect(path, read_only=False, cache_kib=64), failures=1)
    logged: list[str] = []
    checkpointer = Checkpointer(watched, Logger("test", Level.ERROR, as_json=True, write=logged.append), 100)  # type: ignore[arg-type]
    checkpointer.start()
    writer.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(99)])
    checkpointer.written(writer.total_changes)
    assert checkpointer.checkpoints == 0
    writer.execute("INSERT INTO t VALUES (1)")
    checkpointer.written(writer.total_changes)
    assert watched.done.acquire(timeout=10)
    # a failure is logged, and the next one is tried all the same
    writer.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(100)])
    checkpointer.written(writer.total_changes)
    assert watched.done.acquire(timeout=10)
    checkpointer.stop()
    assert checkpointer.checkpoints == 1
    assert len(logged) == 1
    # everything is in the file itself
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    assert sqlite3.connect(copy).execute("SELECT count(*) FROM t").fetchone() == (200,)
    writer.close()


def test_stopping_twice_or_without_a_start(tmp_path: Path) -> None:
    log = Logger("test", Level.ERROR, as_json=False, write=lambda _: None)
    never = Checkpointer(connect(tmp_path / "db", read_only=False, cache_kib=64), log)
    never.stop()
    once = Checkpointer(connect(tmp_path / "db", read_only=False, cache_kib=64), log)
    once.start()
    once.stop()
    once.stop()
