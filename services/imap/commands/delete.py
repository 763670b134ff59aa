"""DELETE, RFC 3501 §6.3.4. Whoever else has the mailbox selected is told goodbye (RFC 2180 §3.3)."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, MailboxArguments
from services.imap.protocol.responses import Reply, build_ok


async def handle_delete(context: Context, command: Command) -> Reply:
    name = arguments_of(command, MailboxArguments).mailbox
    is_selected = False
    if context.selected is not None:
        access = await context.store.mailboxes.locate(context.grant, name)
        is_selected = access.mailbox_id == context.mailbox_id
    await context.store.mailboxes.delete(context.grant, name)
    if is_selected:
        context.close_mailbox()
    return build_ok("DELETE completed")
