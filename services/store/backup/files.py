"""Files that are copied, linked and compared; each that was written is on the disk before it counts. Raises OSError and BackupError."""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from services.store.backup.manifest import BackupError, Entry
from services.store.pace import Pace

PIECE_OCTETS: Final = 1024 * 1024
DIGEST_OCTETS: Final = 32
SAMPLE_OCTETS: Final = 64 * 1024
_NO_LINKS: Final = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
)
"""Another file system, one without links, somebody else's file, or one that has as many links as it may."""
Progress = Callable[[int], None]
"""Octets that were read or written more."""


def copy(source: Path, target: Path, pace: Pace, progress: Progress, octets: int | None = None) -> tuple[int, str]:
    """Copy a file (its first ``octets``), mode 0600, synced; its octets and digest."""
    digest = hashlib.blake2b(digest_size=DIGEST_OCTETS)
    done = 0
    reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            while octets is None or done < octets:
                piece = os.read(reading, PIECE_OCTETS if octets is None else min(PIECE_OCTETS, octets - done))
                if not piece:
                    break
                pace.take(len(piece))
                digest.update(piece)
                write_all(writing, piece)
                done += len(piece)
                progress(len(piece))
            os.fsync(writing)
            # what is compared afterwards is to come from the disk
            os.posix_fadvise(writing, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(writing)
    finally:
        os.close(reading)
    return done, digest.hexdigest()


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def digest_of(path: Path, pace: Pace, progress: Progress) -> tuple[int, str]:
    """Octets and digest of a file."""
    digest = hashlib.blake2b(digest_size=DIGEST_OCTETS)
    done = 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE_OCTETS):
            pace.take(len(piece))
            digest.update(piece)
            done += len(piece)
            progress(len(piece))
    return done, digest.hexdigest()


def link(source: Path, target: Path) -> bool:
    """A hard link; False where there cannot be one."""
    try:
        os.link(source, target, follow_symlinks=True)
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    return True


def same_samples(one: Path, other: Path) -> bool:
    """Whether two files of one length are one file, or begin and end alike: packs that differ do not."""
    with one.open("rb") as first, other.open("rb") as second:
        mine, theirs = os.fstat(first.fileno()), os.fstat(second.fileno())
        if (mine.st_dev, mine.st_ino) == (theirs.st_dev, theirs.st_ino):
            return True
        for place in (0, max(0, theirs.st_size - SAMPLE_OCTETS)):
            first.seek(place)
            second.seek(place)
            sample = second.read(min(SAMPLE_OCTETS, theirs.st_size))
            if first.read(len(sample)) != sample:
                return False
        return True


def check(folder: Path, entry: Entry, pace: Pace, progress: Progress) -> None:
    """Read a file of a backup and compare. Raises BackupError."""
    try:
        found = digest_of(folder / entry.path, pace, progress)
    except OSError as error:
        raise BackupError(f"{folder / entry.path}: {error.strerror}") from None
    if found != (entry.octets, entry.digest):
        raise BackupError(f"{folder / entry.path} is not what was written")


def make_directories(root: Path, relative: str) -> Path:
    """The path of a file below ``root``, its directories made (0700)."""
    path = root / relative
    for directory in reversed(path.relative_to(root).parents):
        (root / directory).mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_file(path: Path, data: bytes) -> None:
    """A new file, mode 0600, synced."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_directories(root: Path) -> None:
    """Make the names in a folder and all below it durable; file systems that cannot say so are believed."""
    for directory, _, _ in os.walk(root):
        sync_directory(Path(directory))


def sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.EROFS}:
            raise
    finally:
        os.close(fd)
