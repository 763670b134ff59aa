"""A backup's list of its files with their digests, and the names of backups. What is read is checked: it may come from anywhere."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, Final

import attrs

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
INCOMING: Final = ".incoming-"
DATA: Final = "data"
SETTINGS: Final = "settings/pillarbox.toml"
DATABASE: Final = "data/store/pillarbox.db"
PACKS: Final = "data/store/packs"
MANIFEST_OCTETS: Final = 256 * 1024 * 1024
_NAME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z", re.ASCII)
_NAME_FORMAT: Final = "%Y-%m-%dT%H%M%SZ"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_WHEN: Final = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):?(\d\d)(?::?(\d\d))?Z?)?)?)?", re.ASCII)


class BackupError(Exception):
    """A backup cannot be made, read or trusted; the text is for the person who asked for it."""


@attrs.frozen
class Entry:
    """One file of a backup. ``path`` is relative to its folder, with ``/``; ``digest`` is BLAKE2b-256, in hexadecimal."""

    path: str
    octets: int
    digest: str


@attrs.frozen
class Manifest:
    """What a backup holds. ``damages``: what was wrong with the store already when it was made."""

    name: str
    version: str
    """Of Pillarbox."""
    revision: str
    """Of the database."""
    files: tuple[Entry, ...]
    damages: tuple[str, ...] = ()

    def by_path(self) -> dict[str, Entry]:
        return {entry.path: entry for entry in self.files}


def name_of(at: datetime) -> str:
    """The folder's name of a backup made then (UTC)."""
    return at.astimezone(UTC).strftime(_NAME_FORMAT)


def time_of(name: str) -> datetime | None:
    """When a backup of this name was made; None for what is no such name."""
    if not _NAME.fullmatch(name):
        return None
    try:
        return datetime.strptime(name, _NAME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def end_of(when: str) -> datetime:
    """The last moment that ``2026``, ``2026-11``, ``2026-11-28`` or ``2026-11-28T11:08[:30]`` (UTC) covers. Raises BackupError."""
    match = _WHEN.fullmatch(when.strip())
    if match is None:
        raise BackupError(f"{when}: write 2026-11-28 or 2026-11-28T11:08 (UTC)")
    year = int(match[1])
    month, day, hour, minute, second = (None if part is None else int(part) for part in match.groups()[1:])
    try:
        first = (1 if month is None else month, 1 if day is None else day)
        begin = datetime(year, *first, hour or 0, minute or 0, second or 0, tzinfo=UTC)
        if month is None:
            after = begin.replace(year=begin.year + 1)
        elif day is None:
            after = (begin + timedelta(days=31)).replace(day=1)
        else:
            step = {"days": 1} if hour is None else {"minutes": 1} if second is None else {"seconds": 1}
            after = begin + timedelta(**step)
    except (ValueError, OverflowError):
        raise BackupError(f"{when}: no such time") from None
    return after - timedelta(microseconds=1)


def encode(manifest: Manifest) -> bytes:
    """As it is kept."""
    fields = {"format": FORMAT, **attrs.asdict(manifest)}
    return json.dumps(fields, indent=1).encode() + b"\n"


def decode(data: bytes) -> Manifest:
    """Raises BackupError."""
    try:
        fields: dict[str, Any] = json.loads(data)
        if fields["format"] != FORMAT:
            raise BackupError(f"this backup has format {fields['format']}, known is {FORMAT}")
        files = tuple(_entry(each) for each in fields["files"])
        damages = tuple(str(each) for each in fields["damages"])
        return Manifest(str(fields["name"]), str(fields["version"]), str(fields["revision"]), files, damages)
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(f"not a manifest: {error}") from None


def _entry(fields: dict[str, Any]) -> Entry:
    """Raises BackupError for a path that leads out of the backup."""
    path, octets, digest = str(fields["path"]), int(fields["octets"]), str(fields["digest"])
    parts = PurePosixPath(path).parts
    # never trust a list of files: it says where a restore writes
    if not parts or path.startswith("/") or ".." in parts or "\0" in path or "\\" in path:
        raise BackupError(f"not a path of a backup: {path!r}")
    if octets < 0 or not _DIGEST.fullmatch(digest):
        raise BackupError(f"not an entry of a backup: {path!r}")
    return Entry(path, octets, digest)


def read_manifest(folder: Path) -> Manifest:
    """Raises BackupError."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            manifest = decode(file.read(MANIFEST_OCTETS))
    except OSError as error:
        raise BackupError(f"{folder}: no manifest ({error.strerror})") from None
    return manifest


def backups(root: Path) -> list[str]:
    """Names of the complete backups in a folder, oldest first: those that have a manifest. Raises BackupError."""
    try:
        names = [entry.name for entry in root.iterdir() if time_of(entry.name) and (entry / MANIFEST).is_file()]
    except OSError as error:
        raise BackupError(f"{root}: {error.strerror}") from None
    return sorted(names)


def choose(root: Path, when: str | None) -> Path:
    """The newest backup in a folder (or the folder itself, where it is one), made no later than ``when``. Raises BackupError."""
    if when is None and (root / MANIFEST).is_file():
        return root
    latest = None if when is None else end_of(when)
    names = [name for name in backups(root) if latest is None or _made(name) <= latest]
    if not names:
        raise BackupError(f"there is no backup in {root}" + (f" from {when} or before" if when else ""))
    return root / names[-1]


def _made(name: str) -> datetime:
    made = time_of(name)
    if made is None:
        raise ValueError(name)
    return made
