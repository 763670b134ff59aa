"""UNAUTHENTICATE, RFC 8437: back to the state after the greeting, under the same TLS; what is pipelined behind it is kept."""

from services.imap.context import Context
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_ok


async def handle_unauthenticate(context: Context, command: Command) -> Reply | None:
    context.shared.log.info("login given up", peer=context.client.peer_ip, account=context.login.address)
    context.leave()
    context.client.write(build_ok("Not authenticated any more").render(command.tag))
    # RFC 8437 §4.1: the compression layer ends behind this OK
    await context.client.end_compression()
    return None
