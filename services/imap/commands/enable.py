"""ENABLE, RFC 5161: what is unknown is passed over, what was enabled is listed."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, EnableArguments
from services.imap.protocol.capability import ENABLEABLE
from services.imap.protocol.responses import Reply, build_ok


async def handle_enable(context: Context, command: Command) -> Reply:
    wanted = arguments_of(command, EnableArguments).capabilities
    enabled = []
    if "CONDSTORE" in wanted and "CONDSTORE" in ENABLEABLE and not context.condstore:
        # RFC 7162 §3.1: an enabling command
        context.condstore = True
        enabled.append("CONDSTORE")
    context.client.write(" ".join(["* ENABLED", *enabled]).encode() + b"\r\n")
    return build_ok("ENABLE completed")
