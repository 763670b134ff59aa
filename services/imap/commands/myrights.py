"""MYRIGHTS, RFC 4314 §3.5."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.acl_grammar import build_my_rights
from services.imap.protocol.arguments import Command, MailboxArguments
from services.imap.protocol.responses import Reply, build_ok


async def handle_myrights(context: Context, command: Command) -> Reply:
    name = arguments_of(command, MailboxArguments).mailbox
    access = await context.store.mailboxes.locate(context.grant, name)
    context.client.write(build_my_rights(name, access.rights, utf8=context.utf8_names))
    return build_ok("MYRIGHTS completed")
