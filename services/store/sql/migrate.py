"""Bring the database to the newest revision, before anybody else opens it.

Alembic is imported only when there is something to do: it costs every start 100 ms and 10 MB otherwise.
"""

import sqlite3
from pathlib import Path
from typing import Final

from services.store.sql.database import connect

HEAD: Final = "0020"
"""The newest revision in ``migrations/versions``; a test compares."""


class NewerDatabaseError(OSError):
    """The database was made by a newer version; this one would not understand it. An OSError: the operator has to act."""


def current_revision(path: Path) -> str | None:
    """The revision of a database; None for an empty one. Raises sqlite3.Error."""
    connection = connect(path, read_only=False, cache_kib=1024)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return None
    finally:
        connection.close()
    return None if row is None else str(row[0])


def migrate(path: Path) -> None:
    """Run what is missing, all in one transaction. Raises NewerDatabaseError."""
    current = current_revision(path)
    if current != HEAD:
        from services.store.sql.upgrade import upgrade

        upgrade(path, current)
