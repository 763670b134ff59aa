"""Contents fetched before they are asked for, in batches, so that one call to the store serves many RETRs.

A client that pipelines tells us what comes next; one that does not mostly goes through the maildrop in order. Both are
read ahead: while one batch is being sent, the next is on its way.

Laws:
- Bounded: at most two batches of `BATCH_OCTETS` per session, and what all sessions of the process hold together stays
  below the shared `Budget`; without budget a session reads one message at a time.
- Only messages up to `SMALL_OCTETS`; larger ones are streamed by the session and never held whole.
- A batch that fails fails for those who wait for it, and is forgotten: the next RETR asks again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain
from typing import Final

import trio

from services.pop3.protocol.drop import Drop
from shared.errors import StoreError

SMALL_OCTETS: Final = 128 * 1024
BATCH_OCTETS: Final = 256 * 1024
BATCH_MESSAGES: Final = 256

Read = Callable[[Sequence[tuple[int, int, int]]], Awaitable[list[bytes | None]]]
Wanted = Callable[[], Iterable[int]]


class Budget:
    """Octets that all sessions of a process may hold together."""

    def __init__(self, octets: int) -> None:
        self._left = octets

    def take(self, octets: int) -> bool:
        """Takes so many if they are left."""
        if octets > self._left:
            return False
        self._left -= octets
        return True

    def give_back(self, octets: int) -> None:
        """Returns what was taken."""
        self._left += octets

    @property
    def left(self) -> int:
        """What is left."""
        return self._left


class _Batch:
    """One call under way."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.error: StoreError | None = None


class ReadAhead:
    """What one session has fetched and not yet sent."""

    def __init__(self, read: Read, drop: Drop, nursery: trio.Nursery, budget: Budget) -> None:
        """Batches run in `nursery`, which ends with the session; then call `close`."""
        self._read = read
        self._drop = drop
        self._nursery = nursery
        self._budget = budget
        self._have: dict[int, bytes | None] = {}
        self._pending: dict[int, _Batch] = {}
        self._held = 0  # octets of all in _have and _pending, each by its size in the maildrop
        self._last = 0
        self._in_order = False
        self._dry = False

    def take_ready(self, number: int) -> tuple[bool, bytes | None]:
        """(True, content or None for a message that is gone) if it is there already; (False, None) otherwise."""
        if number not in self._have:
            return False, None
        return True, self._take(number)

    async def get(self, number: int, wanted: Wanted) -> bytes | None:
        """The message, None when it is gone. `wanted` gives the numbers that the client has asked for after it.

        Raises StoreError.
        """
        while number not in self._have:
            batch = self._pending.get(number)
            if batch is None:
                self._forget()
                batch = self._begin_with(number, wanted)
            await batch.done.wait()
            if batch.error is not None:
                raise batch.error
        return self._take(number)

    def look_further(self, wanted: Wanted) -> None:
        """Begins the next batch when there is room and something to fetch."""
        if self._dry or self._pending or self._held > BATCH_OCTETS:
            return
        if not self._in_order and not any(True for _ in wanted()):
            return
        numbers = self._plan(self._last, wanted(), BATCH_OCTETS)
        octets = sum(map(self._drop.size, numbers))
        if numbers and self._budget.take(octets):
            self._begin(numbers, octets)
        else:
            self._dry = True

    def close(self) -> None:
        """Gives the memory and the budget back. The nursery has ended."""
        self._budget.give_back(self._held)
        self._held = 0
        self._have.clear()
        self._pending.clear()

    def _take(self, number: int) -> bytes | None:
        size = self._drop.size(number)
        self._held -= size
        self._budget.give_back(size)
        self._in_order = number == self._last + 1
        self._last = number
        return self._have.pop(number)

    def _forget(self) -> None:
        """The client jumped: what was fetched for it is not what it wants."""
        octets = sum(map(self._drop.size, self._have))
        self._have.clear()
        self._held -= octets
        self._budget.give_back(octets)
        self._dry = False

    def _begin_with(self, number: int, wanted: Wanted) -> _Batch:
        own = self._drop.size(number)
        rest: list[int] = []
        if number == self._last + 1 or any(True for _ in wanted()):
            rest = self._plan(number, wanted(), BATCH_OCTETS - own)
        octets = own + sum(map(self._drop.size, rest))
        if not self._budget.take(octets):
            # this one message is owed; the budget may go below zero by one small message per session
            self._budget.give_back(-own)
            rest, octets = [], own
        return self._begin([number, *rest], octets)

    def _plan(self, number: int, wanted: Iterable[int], octets: int) -> list[int]:
        """What to fetch after `number`: what the client has asked for, then what follows in the maildrop."""
        drop = self._drop
        planned: dict[int, None] = {}
        last = number
        following = (n for n in range(last + 1, len(drop) + 1) if not drop.is_marked(n))
        for candidate in chain(wanted, following):
            if candidate == number or candidate in planned or candidate in self._have or candidate in self._pending:
                continue
            size = drop.size(candidate)
            if size > SMALL_OCTETS:
                continue
            octets -= size
            if octets < 0 or len(planned) >= BATCH_MESSAGES:
                break
            planned[candidate] = None
        return list(planned)

    def _begin(self, numbers: list[int], octets: int) -> _Batch:
        batch = _Batch()
        self._held += octets
        self._pending.update(dict.fromkeys(numbers, batch))
        self._nursery.start_soon(self._fetch, batch, numbers, octets)
        return batch

    async def _fetch(self, batch: _Batch, numbers: list[int], octets: int) -> None:
        try:
            contents = await self._read([(number, 0, -1) for number in numbers])
            self._have.update(zip(numbers, contents, strict=True))
        except StoreError as error:
            batch.error = error
            self._held -= octets
            self._budget.give_back(octets)
        for number in numbers:
            self._pending.pop(number, None)
        batch.done.set()
