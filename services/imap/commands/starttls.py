"""STARTTLS, RFC 3501 §6.2.1. What was pipelined behind it is thrown away, never taken as if it came under TLS."""

from services.imap.context import Context
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_bad, build_ok


async def handle_starttls(context: Context, command: Command) -> Reply | None:
    if context.client.secure:
        return build_bad("TLS is on already")
    if context.shared.tls is None:
        return build_bad("This server has no certificate")
    context.client.write(build_ok("Begin TLS negotiation now").render(command.tag))
    await context.client.start_tls(context.shared.tls(), context.limits.handshake_seconds)
    return None
