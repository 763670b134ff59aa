"""IDLE, RFC 2177: news are told at once, until DONE. After NOTIFY they are those that it asked for (RFC 5465 §4).

Every two minutes without news the client hears that the server is still there: it keeps NAT tables warm and finds dead connections.
"""

from services.imap.context import Context
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_bad, build_ok
from services.imap.telling import read_and_tell, tell_everything

KEEPALIVE_SECONDS = 120.0


async def handle_idle(context: Context, command: Command) -> Reply:
    context.client.write(b"+ idling\r\n")
    await tell_everything(context, expunge=True)
    await context.client.flush()
    context.idling = True
    try:
        line = await read_and_tell(context, context.client.read_line, expunge=True, quiet_seconds=KEEPALIVE_SECONDS)
    finally:
        context.idling = False
    if context.mailbox_lost:
        return build_ok("IDLE ended")
    if line is not None and line.strip().upper() == b"DONE":
        return build_ok("IDLE completed")
    return build_bad("Expected DONE")
