"""Waits for the client and tells it the news meanwhile: in IDLE (RFC 2177), and after NOTIFY between commands (RFC 5465 §3.1).

Laws:
- What has been begun is told to its end: when the client says something in the middle of it, its command waits.
- One task writes while the other one reads; nobody else writes meanwhile.
"""

import math
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import trio

from services.imap.context import Context
from services.imap.protocol.responses import build_untagged
from services.imap.updating import write_updates

T = TypeVar("T")
_STILL_HERE: Final = build_untagged("OK", "Still here")


async def read_and_tell(
    context: Context, read: Callable[[], Awaitable[T]], *, expunge: bool, quiet_seconds: float = math.inf
) -> T | None:
    """What ``read`` gives; None when the selected mailbox was lost before.

    ``expunge``: EXPUNGE may be told now. ``quiet_seconds``: after so long without news the client hears that the server is there.
    Raises what ``read`` and the connection raise.
    """
    got: T | None = None
    failure: Exception | None = None

    async def tell() -> None:
        nonlocal failure
        try:
            await _tell_news(context, expunge=expunge, quiet_seconds=quiet_seconds)
        except Exception as error:
            failure = error
        nursery.cancel_scope.cancel()

    # replies that wait would be sent by the reading task, at the same time as the news
    await context.client.flush()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tell)
        try:
            got = await read()
        except Exception as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return got


async def _tell_news(context: Context, *, expunge: bool, quiet_seconds: float) -> None:
    """Until the mailbox is lost."""
    client = context.client
    while not context.mailbox_lost:
        with trio.move_on_after(quiet_seconds) as quiet:
            await context.changed.wait()
        client.telling = True
        try:
            # cut in the middle, a response would spoil the stream; a client that does not read is dropped by the stream
            with trio.CancelScope(shield=True):
                if quiet.cancelled_caught:
                    client.write(_STILL_HERE)
                else:
                    context.changed = trio.Event()
                    await tell_everything(context, expunge=expunge)
                await client.flush()
        finally:
            client.telling = False


async def tell_everything(context: Context, *, expunge: bool) -> None:
    """Of the selected mailbox, and of all others that the client wants to hear of."""
    await write_updates(context, expunge=expunge)
    if context.teller is not None:
        await context.teller.write_news()
