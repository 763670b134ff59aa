"""One backup, made beside a running store or of a stopped one; it counts from the moment its folder has its name.

It only reads the data directory. In DIR it writes into ``.incoming-NAME``, compares what it wrote, and renames the folder: a backup
that was killed leaves nothing but that folder. It deletes what it made itself, and of that only what nobody asked to keep: folders
whose name and manifest are a backup's.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import attrs

from services.store.backup import database
from services.store.backup.files import (
    check,
    copy,
    digest_of,
    make_directories,
    sync_directories,
    sync_directory,
    write_file,
)
from services.store.backup.keep import Keep, superfluous
from services.store.backup.manifest import (
    DATA,
    DATABASE,
    INCOMING,
    MANIFEST,
    SETTINGS,
    BackupError,
    Entry,
    Manifest,
    backups,
    encode,
    name_of,
    read_manifest,
    time_of,
)
from services.store.backup.packs import Earlier, PackGoneError, PackTaker
from services.store.layout import ASIDE, RESTORING
from services.store.layout import DATABASE as DATABASE_NAME
from services.store.pace import Pace
from shared.version import VERSION

LOCK: Final = ".pillarbox-backup.lock"
ATTEMPTS: Final = 5
"""Copies of the database, where packs are compacted away under it."""
_NOT_AT_THE_TOP: Final = frozenset({"run", "spool"})
_NOT_IN_STORE: Final = frozenset({"uploads", "search", "packs", "lock", "verified.json", "backup-tested.json", RESTORING})
"""What is made again, or copied by other ways."""
Report = Callable[[str, int, int], None]
"""Stage, octets done, octets in all."""


@attrs.frozen
class Job:
    """What is to be backed up, and where to."""

    data: Path
    root: Path
    settings_file: Path | None
    """One that lies outside of the data directory."""
    keep: Keep
    octets_per_second: int = 0


@attrs.frozen
class Made:
    """What came of it."""

    name: str
    files: int
    octets: int
    new_octets: int
    """That the backup before did not have."""
    removed: tuple[str, ...]
    """Older backups that nobody asked to keep."""
    damages: tuple[str, ...]
    """Of the store. Nothing was removed then."""


def make_backup(job: Job, now: datetime, report: Report) -> Made:
    """Raises BackupError, OSError, sqlite3.Error."""
    source = job.data / "store" / DATABASE_NAME
    if not source.is_file():
        raise BackupError(f"there is no store in {job.data}")
    if (job.data / "store" / RESTORING).exists():
        raise BackupError(f"a restore into {job.data} was not finished")
    if _inside(job.root, job.data):
        raise BackupError(f"{job.root} lies in the data directory: a backup belongs elsewhere")
    job.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with only_one(job.root):
        _clear(job.root)
        earlier = _newest(job.root)
        name = _free_name(job.root, now)
        incoming = job.root / (INCOMING + name)
        incoming.mkdir(mode=0o700)
        run = _Run(job, incoming, earlier, report)
        manifest = run.fill(name)
        write_file(incoming / MANIFEST, encode(manifest))
        sync_directories(incoming)
        run.compare(manifest)
        incoming.rename(job.root / name)
        sync_directory(job.root)
        removed = () if manifest.damages else _remove(job.root, superfluous(backups(job.root), job.keep))
    octets = sum(entry.octets for entry in manifest.files)
    return Made(name, len(manifest.files), octets, run.new_octets, tuple(removed), manifest.damages)


class _Run:
    """One backup under way."""

    def __init__(self, job: Job, incoming: Path, earlier: Earlier | None, report: Report) -> None:
        self._job = job
        self._incoming = incoming
        self._report = report
        self._pace = Pace(job.octets_per_second)
        self._done = self._total = 0
        self._stage = "database"
        self._packs = PackTaker(job.data / "store" / "packs", incoming, earlier, self._pace, self._progress)
        self._written: set[str] = set()
        self.new_octets = 0

    def _progress(self, octets: int) -> None:
        self._done += octets
        self._report(self._stage, min(self._done, self._total), self._total)

    def _begin(self, stage: str, total: int) -> None:
        self._stage, self._done, self._total = stage, 0, total
        self._report(stage, 0, total)

    def fill(self, name: str) -> Manifest:
        """All files, and the list of them."""
        damages = self._database_and_packs()
        copied = self._incoming / DATABASE
        fd = os.open(copied, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        found = Entry(DATABASE, *digest_of(copied, self._pace, lambda _: None))
        self._written.add(DATABASE)
        damages += [f"the database is damaged: {text}" for text in database.structure(copied)]
        others = [self._take(path, f"{DATA}/{path.relative_to(self._job.data)}") for path in _others(self._job.data)]
        if self._job.settings_file is not None:
            others.append(self._take(self._job.settings_file, SETTINGS))
        self.new_octets = found.octets + sum(entry.octets for entry in others) + self._packs.new_octets
        files = sorted([found, *others, *self._packs.taken.values()], key=lambda entry: entry.path)
        return Manifest(name, VERSION, database.revision(copied), tuple(files), tuple(damages))

    def _database_and_packs(self) -> list[str]:
        """What is wrong with them."""
        source = self._job.data / "store" / DATABASE_NAME
        target = make_directories(self._incoming, DATABASE)
        for _ in range(ATTEMPTS):
            self._begin("database", source.stat().st_size)
            database.copy_database(source, target, self._pace, self._progress)
            ends = database.pack_ends(target)
            self._begin("packs", sum(ends.values()))
            missing: set[int] = set()
            compacted = False
            while not compacted:
                try:
                    return self._packs.take_all(ends, frozenset(missing))
                except PackGoneError as error:
                    with database.open_live(source) as connection:
                        compacted = error.number not in database.ends_of(connection)
                    # one that the database still names is lost: that is said, and the rest is backed up
                    missing.add(error.number)
        raise BackupError("packs go away faster than they can be copied")

    def _take(self, source: Path, path: str) -> Entry:
        self._written.add(path)
        return Entry(path, *copy(source, make_directories(self._incoming, path), self._pace, lambda _: None))

    def compare(self, manifest: Manifest) -> None:
        """Read what was written once more. Raises BackupError."""
        written = self._written | self._packs.written
        entries = [entry for entry in manifest.files if entry.path in written]
        self._begin("comparing", sum(entry.octets for entry in entries))
        for entry in entries:
            check(self._incoming, entry, self._pace, self._progress)


def _inside(path: Path, directory: Path) -> bool:
    return path.resolve().is_relative_to(directory.resolve())


def _others(data: Path) -> Iterator[Path]:
    """Keys, certificates, settings and whatever else is in the data directory and is not made again."""
    for directory, names, files in os.walk(data):
        here = Path(directory)
        relative = here.relative_to(data)
        if relative == Path():
            names[:] = [name for name in names if name not in _NOT_AT_THE_TOP]
        in_store = relative == Path("store")
        names[:] = sorted(name for name in names if not (in_store and name in _NOT_IN_STORE) and ASIDE not in name)
        for name in sorted(files):
            made_again = in_store and (name in _NOT_IN_STORE or name.startswith(DATABASE_NAME))
            # links to files are followed (certificates are often kept so), half-written files are nobody's
            if not made_again and ASIDE not in name and (here / name).is_file() and not name.endswith(".new"):
                yield here / name


@contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Raises BackupError where another backup into this folder is under way."""
    fd = os.open(root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another backup into {root} is under way") from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(fd)


def _clear(root: Path) -> None:
    """Remove what backups left that were killed."""
    for path in root.iterdir():
        if path.name.startswith(INCOMING) and time_of(path.name.removeprefix(INCOMING)) and path.is_dir():
            shutil.rmtree(path)


def _newest(root: Path) -> Earlier | None:
    """The last backup that can be read."""
    for name in reversed(backups(root)):
        try:
            return Earlier(root / name, read_manifest(root / name).by_path())
        except BackupError:
            continue
    return None


def _free_name(root: Path, now: datetime) -> str:
    """The time, or the next second that is free."""
    at = now.astimezone(UTC)
    while (root / name_of(at)).exists():
        at += timedelta(seconds=1)
    return name_of(at)


def _remove(root: Path, names: list[str]) -> list[str]:
    """Remove backups; those of which the manifest does not name the folder stay: they may be somebody's copy."""
    removed = []
    for name in names:
        try:
            if read_manifest(root / name).name != name:
                continue
        except BackupError:
            continue
        # first it is no backup any more, then it is gone: whatever happens between leaves none that is half
        leaving = root / (INCOMING + name)
        (root / name).rename(leaving)
        shutil.rmtree(leaving)
        removed.append(name)
    return removed
