"""Everything of a backup into a data directory, every digest compared on the way.

The directory must be empty (folders without files, a ``pillarbox.toml`` and a restore that was not finished do not count). With ``force``
what is there is put aside, under names with ``.before-restore-``, and nothing is deleted. While it goes on the file ``.restoring`` keeps a
store from starting; the database gets its name last.

What was given out after the backup was made is lost, and must not be given out again for something else: UIDs (clients know messages by
them, RFC 3501 §2.3.1.1), modseqs, ids of accounts, devices and mailboxes (grants name them). So these go on a step behind where the backup
was; UIDVALIDITY and every UID that is there stay.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import attrs

from services.store.backup.files import copy, make_directories, sync_directories, sync_directory, write_file
from services.store.backup.manifest import DATA, DATABASE, SETTINGS, BackupError, Entry, Manifest, read_manifest
from services.store.layout import ASIDE, RESTORING, lock_directory
from services.store.layout import DATABASE as DATABASE_NAME
from services.store.pace import Pace
from services.store.sql.migrate import HEAD
from shared.config.load import FILE_NAME
from shared.config.paths import DataPaths
from shared.model.ids import UID_MAX

STEP: Final = 100_000
"""What is skipped of UIDs and ids: more than came in between two backups."""
MODSEQ_STEP: Final = 1_000_000
FORWARD: Final[tuple[tuple[str, tuple[int, ...]], ...]] = (
    (
        "UPDATE mailbox SET uid_next = min(uid_next + ?, ?), highest_modseq = highest_modseq + ?",
        (STEP, UID_MAX, MODSEQ_STEP),
    ),
    # RFC 7162 §3.2.5: what was expunged in between is not known, so whoever asks since then begins again
    ("UPDATE mailbox SET tombstone_floor = highest_modseq", ()),
    ("UPDATE sqlite_sequence SET seq = seq + ? WHERE name <> 'content'", (STEP,)),
)
QUEUED: Final = "SELECT count(*) FROM queue_entry"
_IN_THE_WAY: Final = ("packs", "search", "verified.json", "backup-tested.json")
"""In ``store``, besides the database: what means another database's ids."""
_NOTHING: Final = frozenset({Path(FILE_NAME), Path("store/lock"), Path("run/up.lock"), Path("run/store.sock")})
"""Files that an empty data directory may have."""
_FILLING: Final = b"filling\n"
"""In RESTORING from when on all that is in the store's folder comes from the restore."""
Report = Callable[[str, int, int], None]


@attrs.frozen
class Restored:
    """What came of it."""

    name: str
    files: int
    octets: int
    queued: int
    """Queue entries of then: some of them may have been delivered since."""
    aside: tuple[str, ...]
    """What was put aside, by its new name."""


def restore(folder: Path, data: Path, now: datetime, report: Report, *, force: bool) -> Restored:
    """Raises BackupError, OSError, sqlite3.Error."""
    manifest = read_manifest(folder)
    if manifest.revision > HEAD:
        raise BackupError(f"{folder} was made by Pillarbox {manifest.version}, which is newer than this one")
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker = data / "store" / RESTORING
    unfinished = marker.exists()
    if not (force or unfinished) and _holds_files(data):
        raise BackupError(f"{data} is not empty (--force puts aside what is there)")
    paths = DataPaths(data)
    paths.store.mkdir(mode=0o700, exist_ok=True)
    lock = lock_directory(paths)
    try:
        stamp = ASIDE + now.astimezone(UTC).strftime("%Y-%m-%dT%H%M%SZ")
        aside: list[str] = []
        if unfinished and marker.read_bytes() == _FILLING:
            shutil.rmtree(paths.store / "packs", ignore_errors=True)
        else:
            write_file(marker, b"")
            sync_directory(paths.store)
            aside = _put_store_aside(data, stamp)
            sync_directory(paths.store)
            write_file(marker, _FILLING)
        aside += _fill(folder, manifest, data, report, stamp)
        queued = _finish(data)
        sync_directories(data)
        marker.unlink()
        sync_directory(paths.store)
    finally:
        os.close(lock)
    octets = sum(entry.octets for entry in manifest.files)
    return Restored(manifest.name, len(manifest.files), octets, queued, tuple(aside))


def _holds_files(data: Path) -> bool:
    files = {(Path(directory) / name).relative_to(data) for directory, _, names in os.walk(data) for name in names}
    return bool(files - _NOTHING)


def _put_store_aside(data: Path, stamp: str) -> list[str]:
    """What of the store must not meet the files of the backup."""
    store = data / "store"
    names = [path.name for path in store.iterdir() if path.name in _IN_THE_WAY or path.name.startswith(DATABASE_NAME)]
    aside = []
    for name in sorted(names):
        path = store / name
        if ASIDE in name or (path.is_dir() and not any(path.iterdir())):
            continue
        path.rename(store / (name + stamp))
        aside.append(f"store/{name}{stamp}")
    return aside


def _fill(folder: Path, manifest: Manifest, data: Path, report: Report, stamp: str) -> list[str]:
    """Copy all files, the database under another name; what was put aside for them."""
    total = sum(entry.octets for entry in manifest.files)
    done = 0
    aside: list[str] = []

    def progress(octets: int) -> None:
        nonlocal done
        done += octets
        report("restoring", done, total)

    has_settings = any(entry.path == f"{DATA}/{FILE_NAME}" for entry in manifest.files)
    for entry in manifest.files:
        relative = _place(entry, has_settings=has_settings)
        if relative is None:
            continue
        target = make_directories(data, relative)
        if entry.path == DATABASE:
            target = target.with_name(DATABASE_NAME + RESTORING)
        _copy(folder, entry, target, progress, stamp, aside)
    return aside


def _place(entry: Entry, *, has_settings: bool) -> str | None:
    """Where a file of the backup goes, relative to the data directory."""
    if entry.path == SETTINGS:
        return None if has_settings else FILE_NAME
    return entry.path.removeprefix(f"{DATA}/") if entry.path.startswith(f"{DATA}/") else None


def _copy(folder: Path, entry: Entry, target: Path, progress: Callable[[int], None], stamp: str, aside: list[str]) -> None:
    """Copy one file under another name, compare, and put it in its place. Raises BackupError."""
    incoming = target.with_name(f".{target.name}{RESTORING}")
    try:
        found = copy(folder / entry.path, incoming, Pace(0), progress)
    except FileNotFoundError as error:
        raise BackupError(f"{folder / entry.path} is missing") from error
    if found != (entry.octets, entry.digest):
        incoming.unlink()
        raise BackupError(f"{folder / entry.path} is damaged: it is not what was backed up")
    if target.is_file() and not _same(target, incoming):
        target.rename(target.with_name(target.name + stamp))
        aside.append(target.name + stamp)
    incoming.rename(target)


def _same(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()


def _finish(data: Path) -> int:
    """Move the database's counters on and give it its name; how many entries its queue holds."""
    incoming = data / "store" / (DATABASE_NAME + RESTORING)
    with closing(sqlite3.connect(incoming, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for statement, values in FORWARD:
            connection.execute(statement, values)
        queued = int(connection.execute(QUEUED).fetchone()[0])
        connection.execute("COMMIT")
    (data / "store" / "packs").mkdir(mode=0o700, exist_ok=True)
    incoming.rename(data / "store" / DATABASE_NAME)
    return queued
