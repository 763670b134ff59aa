"""IDLE, RFC 2177: news are told at once, until DONE.

Every two minutes without news the client hears that the server is still there: it keeps NAT tables warm and finds dead connections.
"""

import trio

from services.imap.context import Context
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_bad, build_ok, build_untagged

KEEPALIVE_SECONDS = 120.0
_STILL_HERE = build_untagged("OK", "Still here")


async def handle_idle(context: Context, command: Command) -> Reply:
    context.client.write(b"+ idling\r\n")
    await context.write_updates(expunge=True)
    await context.client.flush()
    line: bytes | None = b""
    failure: Exception | None = None

    async def tell_news() -> None:
        nonlocal failure
        try:
            await _tell_news(context)
        except Exception as error:
            failure = error
        nursery.cancel_scope.cancel()

    context.idling = True
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell_news)
            try:
                line = await context.client.read_line()
            except Exception as error:
                failure = error
            nursery.cancel_scope.cancel()
    finally:
        context.idling = False
    if failure is not None:
        raise failure
    if context.mailbox_lost:
        return build_ok("IDLE ended")
    if line is not None and line.strip().upper() == b"DONE":
        return build_ok("IDLE completed")
    return build_bad("Expected DONE")


async def _tell_news(context: Context) -> None:
    """Until the mailbox is lost. Writes only here while IDLE lasts."""
    while not context.mailbox_lost:
        with trio.move_on_after(KEEPALIVE_SECONDS) as quiet:
            await context.changed.wait()
        if quiet.cancelled_caught:
            context.client.write(_STILL_HERE)
        else:
            context.changed = trio.Event()
            await context.write_updates(expunge=True)
        await context.client.flush()
