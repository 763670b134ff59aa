"""ID, RFC 2971. What the client says of itself goes to the log, cut and quoted; it decides nothing."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, IdArguments
from services.imap.protocol.responses import Reply, build_id, build_ok


async def handle_id(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, IdArguments)
    told = {
        name.decode("ascii", "replace").lower(): value.decode("utf-8", "replace")[:80]
        for name, value in arguments.fields
        if value is not None
    }
    context.shared.log.info("client", peer=context.client.peer_ip, name=told.get("name"), version=told.get("version"))
    context.client.write(build_id((("name", "Pillarbox"), ("version", context.shared.version))))
    return build_ok("ID completed")
