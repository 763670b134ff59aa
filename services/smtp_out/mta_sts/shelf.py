"""The cache's file: read at the start, replaced as a whole when policies came or went. Blocking; for a worker thread.

Several processes may have the same file: each writes what it knows together with what it finds there, so that at worst
a policy of two simultaneous writers is missing, and is fetched again.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from services.smtp_out.mta_sts.cache import MAX_CACHE_OCTETS, Kept, PolicyCache, build_file, parse_file

_MAX_FILE_OCTETS = 4 * MAX_CACHE_OCTETS  # JSON's marks come to the names

_LEFT_SECONDS = 3600.0  # no writer takes so long


def read_shelf(path: Path) -> list[Kept]:
    """The policies of the file; none where it is missing, too large or no cache. Raises OSError."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_FILE_OCTETS + 1)
    except FileNotFoundError:
        return []
    return parse_file(data) if len(data) <= _MAX_FILE_OCTETS else []


def write_shelf(path: Path, kept: list[Kept], entries: int, now: float) -> None:
    """Write the policies, and those of the file that are as good; whole or not at all. Raises OSError."""
    together = PolicyCache(entries)
    together.merge(read_shelf(path), now)
    together.merge(kept, now)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(path)
    number, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with open(number, "wb") as file:
            file.write(build_file(together))
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _sweep(path: Path) -> None:
    """Remove what writers left that were killed."""
    for left in path.parent.glob(f"{path.name}?*"):
        with suppress(FileNotFoundError):  # it was another writer's, and is in its place by now
            if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                left.unlink()
