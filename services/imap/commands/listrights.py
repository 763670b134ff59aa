"""LISTRIGHTS, RFC 4314 §3.4: the owner has everything, anybody else may be given each right by itself."""

from services.imap.commands.setacl import NOBODY
from services.imap.context import Context, arguments_of
from services.imap.protocol.acl_grammar import AclArguments, build_list_rights
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_ok
from shared.errors import NotFound


async def handle_listrights(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, AclArguments)
    try:
        fixed = await context.store.sharing.fixed_rights(context.grant, arguments.mailbox, arguments.identifier)
    except NotFound:
        return NOBODY
    # RFC 4314 §3.4: the identifier as the client wrote it
    context.client.write(build_list_rights(arguments.mailbox, arguments.identifier, fixed, utf8=context.utf8_names))
    return build_ok("LISTRIGHTS completed")
