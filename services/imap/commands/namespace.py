"""NAMESPACE, RFC 2342: one personal namespace without a prefix, levels divided by ``/``."""

from services.imap.context import Context
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_ok


async def handle_namespace(context: Context, command: Command) -> Reply:
    context.client.write(b'* NAMESPACE (("" "/")) NIL NIL\r\n')
    return build_ok("NAMESPACE completed")
