"""RENAME, RFC 3501 §6.3.5. Sessions that have the mailbox selected keep it; renaming INBOX moves its messages."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, RenameArguments
from services.imap.protocol.responses import Reply, build_ok


async def handle_rename(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, RenameArguments)
    await context.store.mailboxes.rename(context.grant, arguments.mailbox, arguments.new_name)
    if arguments.mailbox == "INBOX" and context.selected is not None:
        await context.view.refresh()
    return build_ok("RENAME completed")
