"""One consistent state of the database, copied while it is written to (SQLite's online backup), and what it says of the packs.

The copy is of one snapshot: a read transaction is held until it is whole, so that no commit makes it begin again. Nobody waits for that;
the log only cannot be given back meanwhile. The copy is a single file, with no log beside it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from services.store.backup.files import Progress
from services.store.backup.manifest import BackupError
from services.store.pace import Pace
from services.store.sql.database import connect

PAGES: Final = 256
"""Copied at a time."""
CACHE_KIB: Final = 4 * 1024
PACKS: Final = "SELECT number, octets FROM pack WHERE retired_at IS NULL ORDER BY number"
REVISION: Final = "SELECT version_num FROM alembic_version"
SNAPSHOT: Final = "SELECT count(*) FROM sqlite_master"


def copy_database(source: Path, target: Path, pace: Pace, progress: Progress, pages: int = PAGES) -> None:
    """Raises sqlite3.Error, OSError."""
    target.unlink(missing_ok=True)
    with (
        closing(connect(source, read_only=True, cache_kib=CACHE_KIB)) as reading,
        closing(sqlite3.connect(target, isolation_level=None)) as writing,
    ):
        target.chmod(0o600)
        page_octets = int(reading.execute("PRAGMA page_size").fetchone()[0])
        # nothing of it counts until it is whole and synced as a file
        writing.execute("PRAGMA synchronous=OFF")
        reading.execute("BEGIN")
        reading.execute(SNAPSHOT).fetchone()

        def copied(_: int, left: int, total: int) -> None:
            octets = min(pages, total - left or pages) * page_octets
            pace.take(octets)
            progress(octets)

        reading.backup(writing, pages=pages, progress=copied, sleep=0)
        reading.execute("COMMIT")
        writing.execute("PRAGMA journal_mode=DELETE")


@contextmanager
def open_copy(path: Path) -> Iterator[sqlite3.Connection]:
    """A database of a backup: read as it is, with nothing made beside it. Raises BackupError."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise BackupError(f"{path}: {error}") from None


@contextmanager
def open_live(path: Path) -> Iterator[sqlite3.Connection]:
    """The store's own database, to read from. Raises sqlite3.Error."""
    with closing(connect(path, read_only=True, cache_kib=CACHE_KIB)) as connection:
        yield connection


def ends_of(connection: sqlite3.Connection) -> dict[int, int]:
    """Where the packs end that a database names."""
    return {int(number): int(octets) for number, octets in connection.execute(PACKS)}


def pack_ends(path: Path) -> dict[int, int]:
    """Where the packs end that a copy names. Raises BackupError."""
    with open_copy(path) as connection:
        return ends_of(connection)


def revision(path: Path) -> str:
    """Of a copy's schema. Raises BackupError."""
    with open_copy(path) as connection:
        row = connection.execute(REVISION).fetchone()
        return "" if row is None else str(row[0])


def structure(path: Path) -> list[str]:
    """What is wrong with a copy's structure. Raises BackupError."""
    with open_copy(path) as connection:
        return [str(text) for (text,) in connection.execute("PRAGMA quick_check(20)") if text != "ok"]
