"""Outcomes on their way to the store, many in one call: what comes while calls are under way goes with the next one.

Laws
- `record` returns when the store has the outcomes on disk, never before.
- Nobody waits for others to come: the first one leaves as soon as a call is free.
- Outcomes that the store will not have harm only themselves: those that came with them are sent again without them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from shared.contract.types import Outcome
from shared.errors import StoreError, Unavailable

CALLS_AT_ONCE: Final = 2
"""One that is being committed, one that is next."""
OUTCOMES_MAX: Final = 500
"""Of one call; the store takes 1000."""

Call = Callable[[tuple[Outcome, ...]], Awaitable[None]]


class _Batch:
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.done = trio.Event()
        self.error: StoreError | None = Unavailable("the report was broken off")


class Recorder:
    """Of one process. `call` records outcomes in one transaction."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._calls = trio.Semaphore(CALLS_AT_ONCE)
        self._open: _Batch | None = None

    async def record(self, outcomes: tuple[Outcome, ...]) -> None:
        """Raises StoreError."""
        batch = self._open
        if batch is None or len(batch.outcomes) + len(outcomes) > OUTCOMES_MAX:
            batch = self._open = _Batch()
            batch.outcomes += outcomes
            await self._send(batch)
        else:
            batch.outcomes += outcomes
            await batch.done.wait()
        error = batch.error
        if error is not None and not error.temporary and len(batch.outcomes) > len(outcomes):
            await self._call(outcomes)
        elif error is not None:
            raise error

    async def _send(self, batch: _Batch) -> None:
        try:
            async with self._calls:
                if self._open is batch:
                    self._open = None
                await self._call(tuple(batch.outcomes))
                batch.error = None
        except StoreError as error:
            batch.error = error
        finally:
            if self._open is batch:
                self._open = None
            batch.done.set()
