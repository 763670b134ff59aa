"""The triplets of greylisting, and to whom our accounts wrote, in a small SQLite file: it survives restarts, all workers share it.

Laws: at most ROWS (and some, until the next look) are kept, those that were never confirmed go first; a file that is broken is begun
anew, as losing it costs each sender one more delay and nothing else, for which reason nothing waits for the disk either.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from services.smtp_in.policy.greylist import GreylistRule, Seen

ROWS: Final = 200_000
"""About 7 MB."""
LOOK_EVERY: Final = 512
"""New rows of this process between two looks at how many there are."""
_BUSY_SECONDS: Final = 2.0
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS seen (key BLOB PRIMARY KEY, first REAL NOT NULL, until REAL NOT NULL) WITHOUT ROWID"
)


class GreylistBook:
    """One per process. Its calls may come from any thread."""

    def __init__(self, path: Path, rows: int = ROWS) -> None:
        """Raises OSError."""
        self._path = path
        self._rows = rows
        self._new = 0
        self._lock = threading.Lock()
        try:
            try:
                self._database = self._open()
            except sqlite3.OperationalError:
                raise  # locked, no such directory: nothing is wrong with what is in it
            except sqlite3.DatabaseError:
                self._remove()
                self._database = self._open()
        except sqlite3.Error as error:
            raise OSError(f"{path}: {error}") from None

    def see(self, key: bytes, correspondent: bytes, rule: GreylistRule, now: float) -> float:
        """Apply the rule and remember; the seconds of deferral. Raises OSError: locked for too long, disk full, broken."""
        with self._change():
            known = self._find(correspondent)
            if known is not None and known.until > now:
                return 0.0
            before = self._find(key)
            seen, left = rule.see(before, now)
            self._put([(key, seen.first, seen.until)], now, new=int(before is None))
            return left

    def know(self, correspondents: Sequence[bytes], now: float, until: float) -> None:
        """Remember them. Raises OSError as `see` does."""
        with self._change():
            self._put([(key, now, until) for key in correspondents], now, new=len(correspondents))

    def count(self) -> int:
        """Triplets that are remembered."""
        (number,) = self._database.execute("SELECT count(*) FROM seen").fetchone()
        return int(number)

    def close(self) -> None:
        """The end of its use."""
        self._database.close()

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._lock:
            try:
                # immediate: two workers that see a triplet at once do so one after the other
                self._database.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    self._database.execute("COMMIT")
                finally:
                    if self._database.in_transaction:
                        self._database.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise OSError(f"{self._path}: {error}") from None

    def _find(self, key: bytes) -> Seen | None:
        row = self._database.execute("SELECT first, until FROM seen WHERE key = ?", (key,)).fetchone()
        return Seen(*row) if row else None

    def _put(self, rows: Sequence[tuple[bytes, float, float]], now: float, *, new: int) -> None:
        self._database.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", rows)
        self._new += new
        if self._new >= LOOK_EVERY:
            self._new = 0
            self._forget(now)

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
            # no WAL: workers that begin the file together would get into each other's way
            database.execute("PRAGMA journal_mode=TRUNCATE")
            database.execute("PRAGMA synchronous=OFF")
            database.execute("BEGIN IMMEDIATE")
            database.execute(_TABLE)
            database.execute("COMMIT")
            database.execute("SELECT key, first, until FROM seen LIMIT 1").fetchone()
        except BaseException:
            database.close()
            raise
        return database

    def _remove(self) -> None:
        for suffix in ("", "-journal"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
