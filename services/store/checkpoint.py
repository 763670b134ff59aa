"""Copies what the database's log holds back into its file, in a thread of its own.

SQLite would do it inside some commit, 16 MB and two flushes at a time, and everybody who writes would wait for 50 ms. Here the
writer only says how much it has written. (A passive checkpoint holds nobody up, neither who reads nor who writes.) When this thread
cannot keep up, the writer's own limit (``sql.database.CHECKPOINT_PAGES``) bounds the log as before.
"""

import sqlite3
import threading
from typing import Final

from shared.observe.log import Logger

CHANGED_ROWS: Final = 4_000
"""About as many pages at the most: 16 MB."""


class Checkpointer:
    """One thread over one connection; ``written`` may be called from any thread."""

    def __init__(self, connection: sqlite3.Connection, log: Logger, changed_rows: int = CHANGED_ROWS) -> None:
        self._connection = connection
        self._log = log
        self._changed_rows = changed_rows
        self._due = threading.Event()
        self._stopping = False
        self._last = 0
        self._thread = threading.Thread(target=self._run, name="checkpoint")
        self.checkpoints = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish what is under way, close the connection; harmless when called again or never started."""
        self._stopping = True
        self._due.set()
        if self._thread.is_alive():
            self._thread.join()
        self._connection.close()

    def written(self, total_rows: int) -> None:
        """After a commit: rows that the writer's connection has changed in its life."""
        if total_rows - self._last >= self._changed_rows:
            self._last = total_rows
            self._due.set()

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._stopping:
                return
            try:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                self.checkpoints += 1
            except sqlite3.Error as error:
                # the writer will meet the same trouble, and say so to those whom it concerns
                self._log.exception("checkpoint failed", error)
