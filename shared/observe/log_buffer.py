"""Log lines of some milliseconds leave in one write: under load two writes per message were a tenth of an edge's CPU.

Laws: lines keep their order; a warning or error (``Logger`` flushes), and any line from another thread than trio's, leaves at
once with all before it; LINGER_SECONDS and BUFFER_OCTETS wait at the most; an orderly end flushes. A kill -9 may lose the
last LINGER_SECONDS of lines, never more.
"""

import os
import threading
from typing import Final

import trio

LINGER_SECONDS: Final = 0.01
BUFFER_OCTETS: Final = 32 * 1024


class LogBuffer:
    """A ``write`` for ``Logger``. Until ``run`` runs, and after it, every line leaves at once."""

    def __init__(self, fd: int = 2) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._octets = 0
        self._thread: int | None = None
        self._some = trio.Event()

    def write(self, line: str) -> None:
        encoded = line.encode("utf-8", "replace")
        with self._lock:
            self._lines.append(encoded)
            self._octets += len(encoded)
            if self._octets >= BUFFER_OCTETS or self._thread != threading.get_ident():
                self._flush()
                return
        try:
            self._some.set()
        except RuntimeError:
            # trio itself has failed and left ``run`` where it was: the line that says why must not be lost
            self.flush()

    def flush(self) -> None:
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        """With the lock held, so that two threads cannot mix their lines."""
        data, self._lines, self._octets = b"".join(self._lines), [], 0
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            pass  # nobody reads the log any more; the mail goes on

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Flush soon after lines came, until cancelled."""
        self._thread = threading.get_ident()
        task_status.started()
        try:
            while True:
                await self._some.wait()
                await trio.sleep(LINGER_SECONDS)
                self._some = trio.Event()
                self.flush()
        finally:
            self._thread = None
            self.flush()
