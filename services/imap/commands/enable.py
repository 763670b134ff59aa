"""ENABLE, RFC 5161: what is unknown is passed over, what was enabled is listed."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, EnableArguments
from services.imap.protocol.capability import find_extension
from services.imap.protocol.responses import Reply, build_ok


async def handle_enable(context: Context, command: Command) -> Reply:
    wanted = arguments_of(command, EnableArguments).capabilities
    known = filter(None, map(find_extension, wanted))
    enabled = [extension.value for extension in known if context.enable(extension)]
    context.client.write(" ".join(["* ENABLED", *enabled]).encode() + b"\r\n")
    return build_ok("ENABLE completed")
