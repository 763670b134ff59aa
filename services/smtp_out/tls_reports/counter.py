"""From the sessions into the book: counted in memory, written every second and when the process ends.

A crash costs the last second's counts. What went to a domain only to bring it a report is not counted: else two servers would
tell each other of their reports for ever (RFC 8460 §5.3).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import trio

from services.smtp_out.tls_reports.book import Book, day_of
from services.smtp_out.tls_reports.seen import TRACE_PREFIX, Seen
from shared.observe.log import Logger
from shared.observe.trace import TRACE

MAX_WAITING = 5000  # different ones between two writes; more are not counted
_WRITE_PAUSE_SECONDS = 1.0


class SessionCounter:
    """`note` from anywhere; `run` beside it. `now`: seconds since the epoch."""

    def __init__(self, book: Book, log: Logger, now: Callable[[], float]) -> None:
        self._book = book
        self._log = log
        self._now = now
        self._counts: dict[int, Counter[Seen]] = {}
        self._changed = trio.Event()
        self.lost = 0

    def note(self, seen: Seen) -> None:
        """Count one session."""
        if TRACE.get().startswith(TRACE_PREFIX):
            return
        counts = self._counts.setdefault(day_of(self._now()), Counter())
        if seen not in counts and sum(map(len, self._counts.values())) >= MAX_WAITING:
            self.lost += 1
            return
        counts[seen] += 1
        self._changed.set()

    async def run(self) -> None:
        """Write what was counted; for ever."""
        try:
            while True:
                await self._changed.wait()
                await self.write()
                await trio.sleep(_WRITE_PAUSE_SECONDS)
        finally:
            await self.write()

    async def write(self) -> None:
        """Write what was counted until now. What cannot be written is lost, and the log says so."""
        self._changed = trio.Event()
        counts, self._counts = self._counts, {}
        for day, seen in counts.items():
            try:
                # the end of the process must not lose what was counted; it takes milliseconds
                with trio.CancelScope(shield=True):
                    self.lost += await trio.to_thread.run_sync(self._book.add, day, seen)
            except OSError as error:
                self.lost += len(seen)
                self._log.warning("TLS results cannot be written", reason=str(error))
