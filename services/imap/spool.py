"""Where the messages of an APPEND wait until all of them are there: in memory up to a bound, in one unnamed file beyond it.

One spool for a command, whatever the number of its messages: memory and open files do not grow with it.
"""

import mmap
import tempfile
from pathlib import Path
from typing import IO, Final

import trio

_WRITE_OCTETS: Final = 256 * 1024


class Spool:
    """Octets that are added at the end. Close it when done."""

    def __init__(self, memory_octets: int, directory: Path) -> None:
        self._memory_octets = memory_octets
        self._directory = directory
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._written = 0

    @property
    def octets(self) -> int:
        return self._written + len(self._memory)

    def close(self) -> None:
        """Give the file back; what ``content`` returned stays readable."""
        if self._file is not None:
            self._file.close()

    async def write(self, data: bytes) -> None:
        """Add a piece. Raises OSError where the disk refuses; then what was added is of no use any more."""
        self._memory += data
        if len(self._memory) > self._memory_octets or (self._file is not None and len(self._memory) > _WRITE_OCTETS):
            await trio.to_thread.run_sync(self._write_out)

    def _write_out(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - lives as long as the spool
        self._file.write(self._memory)
        self._written += len(self._memory)
        self._memory.clear()

    def content(self) -> bytes | mmap.mmap:
        """All of it, for reading. Raises OSError."""
        if self._file is None:
            return bytes(self._memory)
        self._write_out()
        self._file.flush()
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
