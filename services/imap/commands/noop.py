"""NOOP and CHECK, RFC 3501 §6.1.2 and §6.4.1. The news themselves are told by the session, as the table says."""

from services.imap.context import Context
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_ok


async def handle_noop(context: Context, command: Command) -> Reply:
    return build_ok(f"{command.name} completed")
