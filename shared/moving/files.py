"""Messages in mbox and .eml files, as they are to be read."""

import mmap
import os
from pathlib import Path
from typing import Final

import attrs

from shared.moving.mbox import MboxError, find_entries
from shared.moving.plan import Source
from shared.moving.tree import TreeError, open_file
from shared.moving.workers import Wanted

MAX_EML_FILES: Final = 1_000_000


@attrs.frozen
class Collected:
    """``Source.place`` says which of the others belongs to it."""

    sources: tuple[Source, ...]
    wanted: tuple[Wanted, ...]
    dates: tuple[int | None, ...]


def _collected(wanted: list[Wanted], dates: list[int | None]) -> Collected:
    sources = tuple(Source(0, "", (), place) for place in range(len(wanted)))
    return Collected(sources, tuple(wanted), tuple(dates))


def read_mbox(path: Path) -> Collected:
    """Raises TreeError, OSError."""
    octets = os.fsencode(path.resolve())
    fd = open_file(octets)
    wanted: list[Wanted] = []
    dates: list[int | None] = []
    try:
        if not os.fstat(fd).st_size:
            return _collected([], [])
        with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as data:
            for entry in find_entries(data):
                wanted.append(Wanted(octets, entry.end - entry.start, entry.start, entry.end - entry.start))
                dates.append(entry.came)
    except MboxError as error:
        raise TreeError(f"{path}: {error}") from None
    finally:
        os.close(fd)
    return _collected(wanted, dates)


def read_eml(path: Path) -> Collected:
    """A file, or all ``.eml`` files below a folder, by name; nothing behind symbolic links. Raises TreeError, OSError."""
    path = path.resolve()
    files = _eml_files(path) if path.is_dir() else [path]
    wanted = [Wanted(os.fsencode(file), file.lstat().st_size) for file in files]
    return _collected(wanted, [None] * len(wanted))


def _eml_files(path: Path) -> list[Path]:
    found: list[Path] = []
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder) / name
            if name.lower().endswith(".eml") and not file.is_symlink():
                found.append(file)
                if len(found) > MAX_EML_FILES:
                    raise TreeError(f"more than {MAX_EML_FILES} files")
    return sorted(found)
