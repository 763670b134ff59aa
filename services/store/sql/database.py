"""Connections to the database file: one that writes, several that read."""

import sqlite3
from pathlib import Path
from typing import Final

BUSY_MS: Final = 10_000
CHECKPOINT_PAGES: Final = 16_000
"""64 MB of log before a commit copies its pages back itself; ``services.store.checkpoint`` does so long before."""


def connect(path: Path, *, read_only: bool, cache_kib: int) -> sqlite3.Connection:
    """A connection that commits only when told to. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    try:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.execute(f"PRAGMA cache_size=-{cache_kib}")
        cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
    except BaseException:
        connection.close()
        raise
    return connection
