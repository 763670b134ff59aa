"""Read ahead of the socket: a source works on the next piece while the last one is being sent."""

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from itertools import chain
from typing import Generic, TypeVar, cast

import trio

T = TypeVar("T")


async def pump(source: AsyncGenerator[T, None], consume: Callable[[T], Awaitable[None]], ahead: int = 1) -> None:
    """Consume everything that a source yields, in order, with at most ``ahead`` pieces waiting.

    The first exception of either side ends both and is raised as it is.
    """
    failure: Exception | None = None
    send, receive = trio.open_memory_channel[T](ahead)

    async def produce() -> None:
        nonlocal failure
        try:
            async with send, aclosing(source):
                async for item in source:
                    await send.send(item)
        except Exception as error:
            failure = failure or error
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(produce)
        try:
            async with receive:
                async for item in receive:
                    await consume(item)
        except Exception as error:
            failure = failure or error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class _Slot(Generic[T]):
    """A job that runs ahead, and what became of it."""

    def __init__(self) -> None:
        self._done = trio.Event()
        self._result: T | None = None
        self._failure: Exception | None = None

    async def run(self, job: Callable[[], Awaitable[T]]) -> None:
        try:
            self._result = await job()
        except Exception as error:
            self._failure = error
        self._done.set()

    async def wait(self) -> T:
        await self._done.wait()
        if self._failure is not None:
            raise self._failure
        return cast("T", self._result)


async def run_ahead(
    jobs: Iterator[Callable[[], Awaitable[T]]], consume: Callable[[T], Awaitable[None]], width: int = 2
) -> None:
    """Consume the results of jobs in their order, while up to ``width`` later ones are under way.

    The first exception, of the jobs in their order or of ``consume``, ends everything and is raised as it is. One job alone runs
    without any machinery.
    """
    first, second = next(jobs, None), next(jobs, None)
    if first is None:
        return
    if second is None:
        await consume(await first())
        return
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        slots: deque[_Slot[T]] = deque()
        try:
            for job in chain((first, second), jobs):
                slot = _Slot[T]()
                slots.append(slot)
                nursery.start_soon(slot.run, job)
                if len(slots) > width:
                    await consume(await slots.popleft().wait())
            while slots:
                await consume(await slots.popleft().wait())
        except Exception as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
