"""SETACL and DELETEACL, RFC 4314 §3.1 and §3.2. Sessions that have the mailbox selected feel it at once."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.acl_grammar import AclArguments, SetAclArguments
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_no, build_ok
from shared.contract.sharing_types import AclChange
from shared.errors import CannotChangeMailbox, NotFound
from shared.model.rights import NO_RIGHTS, Rights

NOBODY = build_no("Nobody here is called that", "CANNOT")
_CHANGES = {"": AclChange.REPLACE, "+": AclChange.ADD, "-": AclChange.REMOVE}


async def handle_setacl(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, SetAclArguments)
    change = _CHANGES[arguments.mode]
    return await _change(context, command, arguments.mailbox, arguments.identifier, change, arguments.rights)


async def handle_deleteacl(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, AclArguments)
    return await _change(context, command, arguments.mailbox, arguments.identifier, AclChange.REPLACE, NO_RIGHTS)


async def _change(
    context: Context, command: Command, mailbox: str, identifier: str, change: AclChange, rights: Rights
) -> Reply:
    try:
        await context.store.sharing.set_acl(context.grant, mailbox, identifier, change, int(rights))
    except NotFound:
        return NOBODY
    except CannotChangeMailbox:
        # RFC 4314 §2 leaves it to us: an owner who locked himself out would need an administrator
        return build_no("The owner always has all rights", "CANNOT")
    return build_ok(f"{command.name} completed")
