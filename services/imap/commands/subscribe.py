"""SUBSCRIBE and UNSUBSCRIBE, RFC 3501 §6.3.6 and §6.3.7."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, MailboxArguments
from services.imap.protocol.responses import Reply, build_ok


async def handle_subscribe(context: Context, command: Command) -> Reply:
    name = arguments_of(command, MailboxArguments).mailbox
    await context.store.mailboxes.subscribe(context.grant, name, command.name == "SUBSCRIBE")
    return build_ok(f"{command.name} completed")
