"""GETACL, RFC 4314 §3.3: the owner first, then everybody who was given or denied something."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.acl_grammar import build_acl
from services.imap.protocol.arguments import Command, MailboxArguments
from services.imap.protocol.responses import Reply, build_ok


async def handle_getacl(context: Context, command: Command) -> Reply:
    name = arguments_of(command, MailboxArguments).mailbox
    entries = await context.store.sharing.acl(context.grant, name)
    pairs = [(entry.identifier, entry.rights) for entry in entries]
    context.client.write(build_acl(name, pairs, utf8=context.utf8_names))
    return build_ok("GETACL completed")
