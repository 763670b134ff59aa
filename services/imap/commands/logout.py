"""LOGOUT, RFC 3501 §6.1.3."""

from services.imap.context import Context
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_ok, build_untagged
from services.imap.protocol.state import State


async def handle_logout(context: Context, command: Command) -> Reply:
    context.client.write(build_untagged("BYE", "Logging out"))
    context.close_mailbox()
    context.state = State.LOGOUT
    return build_ok("LOGOUT completed")
