"""The triplets of greylisting in a small SQLite file, which survives a restart and is shared by all worker processes.

Laws: at most ROWS (and some, until the next look) are kept, those that were never confirmed go first; a file that is broken is begun
anew, as losing it costs each sender one more delay and nothing else, for which reason nothing waits for the disk either.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from services.smtp_in.policy.greylist import GreylistRule, Seen

ROWS: Final = 200_000
"""About 15 MB."""
LOOK_EVERY: Final = 512
"""New rows of this process between two looks at how many there are."""
_BUSY_SECONDS: Final = 2.0
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS seen (key BLOB PRIMARY KEY, first REAL NOT NULL, until REAL NOT NULL) WITHOUT ROWID"
)


class GreylistBook:
    """One per process. Its calls may come from any thread, one at a time."""

    def __init__(self, path: Path, rows: int = ROWS) -> None:
        """Raises OSError."""
        self._path = path
        self._rows = rows
        self._new = 0
        try:
            try:
                self._database = self._open()
            except sqlite3.DatabaseError:
                self._remove()
                self._database = self._open()
        except sqlite3.Error as error:
            raise OSError(f"{path}: {error}") from None

    def see(self, key: bytes, rule: GreylistRule, now: float) -> float:
        """Apply the rule and remember; the seconds of deferral. Raises OSError: locked for too long, disk full, broken."""
        try:
            # immediate: two workers that see a triplet at once do so one after the other
            self._database.execute("BEGIN IMMEDIATE")
            try:
                row = self._database.execute("SELECT first, until FROM seen WHERE key = ?", (key,)).fetchone()
                seen, left = rule.see(Seen(*row) if row else None, now)
                self._database.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", (key, seen.first, seen.until))
                self._new += row is None
                if self._new >= LOOK_EVERY:
                    self._new = 0
                    self._forget(now)
                self._database.execute("COMMIT")
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
            return left
        except sqlite3.Error as error:
            raise OSError(f"{self._path}: {error}") from None

    def count(self) -> int:
        """Triplets that are remembered."""
        (number,) = self._database.execute("SELECT count(*) FROM seen").fetchone()
        return int(number)

    def close(self) -> None:
        """The end of its use."""
        self._database.close()

    def _forget(self, now: float) -> None:
        self._database.execute("DELETE FROM seen WHERE until <= ?", (now,))
        excess = self.count() - self._rows
        if excess > 0:
            self._database.execute(
                "DELETE FROM seen WHERE key IN (SELECT key FROM seen ORDER BY until LIMIT ?)", (excess,)
            )

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=OFF")
            database.execute(_TABLE)
            database.execute("SELECT key, first, until FROM seen LIMIT 1").fetchone()
        except BaseException:
            database.close()
            raise
        return database

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
