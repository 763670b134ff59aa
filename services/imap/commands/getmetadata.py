"""GETMETADATA and SETMETADATA, RFC 5464 §4.2 and §4.3, for mailboxes and (an empty name) the server."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command
from services.imap.protocol.metadata_grammar import GetMetadataArguments, SetMetadataArguments, build_metadata
from services.imap.protocol.responses import Reply, build_no, build_ok
from shared.contract.sharing_types import Annotation, AnnotationDepth
from shared.errors import LimitExceeded, NoSuchMailbox, TooLarge


async def handle_getmetadata(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, GetMetadataArguments)
    options = arguments.options
    (found,) = await context.store.sharing.get_metadata(
        context.grant, (arguments.mailbox,), arguments.entries, AnnotationDepth(options.depth), options.max_octets
    )
    if found is None:
        raise NoSuchMailbox
    if found.entries:
        values = [(entry.name, entry.value) for entry in found.entries]
        context.client.write(build_metadata(arguments.mailbox, values, utf8=context.utf8_names))
    # RFC 5464 §4.2.1
    code = f"METADATA LONGENTRIES {found.longest}" if found.longest else ""
    return build_ok("GETMETADATA completed", code)


async def handle_setmetadata(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, SetMetadataArguments)
    entries = tuple(Annotation(name, value) for name, value in arguments.values)
    try:
        await context.store.sharing.set_metadata(context.grant, arguments.mailbox, entries)
    except TooLarge as error:
        # RFC 5464 §4.3: the most octets that are accepted
        return build_no("The value is too large", f"METADATA MAXSIZE {error.detail}")
    except LimitExceeded:
        return build_no("There are too many annotations", "METADATA TOOMANY")
    return build_ok("SETMETADATA completed")
