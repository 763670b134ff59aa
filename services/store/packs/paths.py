"""Names of packs, and directories that survive a power cut."""

import os
import re
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"([0-9]{8,})\.pack", re.ASCII)


def pack_path(directory: Path, number: int) -> Path:
    return directory / f"{number:08d}.pack"


def pack_numbers(directory: Path) -> list[int]:
    """The numbers of all packs in a directory, ascending; other files are left alone."""
    return sorted(int(match[1]) for name in os.listdir(directory) if (match := _NAME.fullmatch(name)))


def sync_directory(directory: Path) -> None:
    """Make names that were created in or removed from a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
