"""CAPABILITY, RFC 3501 §6.1.1."""

from services.imap.context import Context
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_capability, build_ok


async def handle_capability(context: Context, command: Command) -> Reply:
    context.client.write(build_capability(context.capabilities()))
    return build_ok("CAPABILITY completed")
