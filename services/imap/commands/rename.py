"""RENAME, RFC 3501 §6.3.5, RFC 9051 §6.3.6. Sessions that have the mailbox selected keep it; renaming INBOX moves its messages."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, RenameArguments
from services.imap.protocol.responses import Reply, build_ok, build_old_name


async def handle_rename(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, RenameArguments)
    await context.store.mailboxes.rename(context.grant, arguments.mailbox, arguments.new_name)
    if arguments.mailbox == "INBOX" and context.selected is not None:
        await context.view.refresh()
    if context.rev2 and arguments.mailbox != "INBOX":
        # RFC 9051 §6.3.6, §6.3.9.7
        context.client.write(build_old_name(arguments.new_name, arguments.mailbox, utf8=context.utf8_names))
    return build_ok("RENAME completed")
