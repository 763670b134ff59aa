"""Refusals on their way into the history: gathered for a moment, handed to the store together, never waited for by a client.

Laws: memory is bounded by what one minute may bring; whoever guesses addresses by the thousand fills neither the store nor the history
of others: beyond a number a minute refusals are only logged and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from shared.contract.history import HistoryApi
from shared.contract.history_types import MAX_NOTED, Passage
from shared.errors import StoreError
from shared.observe.log import Logger

GATHER_SECONDS: Final = 1.0
MINUTE: Final = 60.0


class Refusals:
    """One per process."""

    def __init__(
        self,
        history: HistoryApi,
        log: Logger,
        most_per_minute: int,
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        self._history = history
        self._log = log
        self._most = most_per_minute
        self._clock = clock
        self._waiting: list[Passage] = []
        self._came = trio.Event()
        self._minute_ends = 0.0
        self._noted = 0
        self.left_out = 0
        """Since the process began."""

    def note(self, passage: Passage) -> None:
        """Keep it, unless there are too many in this minute."""
        now = self._clock()
        if now >= self._minute_ends:
            self._minute_ends, self._noted = now + MINUTE, 0
        if self._noted >= self._most or len(self._waiting) >= self._most:
            if self._noted == self._most > 0:
                self._log.warning("refusals are not noted for a while", most_per_minute=self._most)
            self._noted += 1
            self.left_out += 1
            return
        self._noted += 1
        self._waiting.append(passage)
        self._came.set()

    async def run(self, *, task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED) -> None:
        """Hand them in, until the scope is cancelled."""
        with trio.CancelScope() as scope:
            task_status.started(scope)
            while True:
                await self._came.wait()
                await trio.sleep(GATHER_SECONDS)
                await self.flush()

    async def flush(self) -> None:
        """Hand in what waits. What a store that is away does not take is left out: the log has it."""
        self._came = trio.Event()
        while self._waiting:
            batch = tuple(self._waiting[:MAX_NOTED])
            try:
                await self._history.note(batch)
            except StoreError as error:
                self.left_out += len(batch)
                self._log.warning("refusals not noted", count=len(batch), error=str(error))
            # only now: a flush that is cancelled leaves them to the last one
            del self._waiting[: len(batch)]
