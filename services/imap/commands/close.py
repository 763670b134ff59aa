"""CLOSE and UNSELECT, RFC 3501 §6.4.2 and RFC 3691. CLOSE expunges without a word; after EXAMINE it does not."""

from services.imap.commands.expunge import expunge_flagged
from services.imap.context import Context
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_ok
from shared.model.rights import Rights


async def handle_close(context: Context, command: Command) -> Reply:
    # RFC 4314 §4: without the right CLOSE only closes
    if not context.mailbox.read_only and context.rights & Rights.EXPUNGE:
        await context.view.refresh()
        await expunge_flagged(context)
    context.close_mailbox()
    return build_ok("CLOSE completed")


async def handle_unselect(context: Context, command: Command) -> Reply:
    context.close_mailbox()
    return build_ok("UNSELECT completed")
