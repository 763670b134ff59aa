"""Read ahead of the socket: a source works on the next piece while the last one is being sent."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

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
