"""CANCELUPDATE, RFC 5267 §4.3.5."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_bad, build_ok
from services.imap.protocol.search_arguments import CancelUpdateArguments


async def handle_cancel_update(context: Context, command: Command) -> Reply:
    contexts = context.contexts
    known = [contexts is not None and contexts.cancel(tag) for tag in arguments_of(command, CancelUpdateArguments).tags]
    return build_ok("No further updates") if all(known) else build_bad("No such context", "CLIENTBUG")
