"""NAMESPACE, RFC 2342: one's own mailboxes without a prefix, other accounts' under ``shared/``, levels divided by ``/``."""

from services.imap.context import Context
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_ok
from shared.model.namespace import OTHERS_PREFIX


async def handle_namespace(context: Context, command: Command) -> Reply:
    context.client.write(b'* NAMESPACE (("" "/")) (("%b" "/")) NIL\r\n' % OTHERS_PREFIX.encode())
    return build_ok("NAMESPACE completed")
