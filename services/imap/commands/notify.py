"""NOTIFY, RFC 5465 §3.1. The session tells what happens between commands (``telling``), IDLE while it lasts (§4)."""

from services.imap.context import Context, arguments_of
from services.imap.notifications import Notifications
from services.imap.protocol.arguments import Command
from services.imap.protocol.notify_arguments import NotifyArguments
from services.imap.protocol.responses import Reply, build_no, build_ok
from shared.errors import LimitExceeded


async def handle_notify(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, NotifyArguments)
    notifications = Notifications(context, arguments)
    try:
        await notifications.start()
    except LimitExceeded:
        # RFC 5465 §3.1: what was asked for before stays in force
        return build_no("There are too many mailboxes to be watched", "NOTIFICATIONOVERFLOW")
    context.set_teller(notifications)
    await notifications.write_states(status=arguments.status)
    return build_ok("NOTIFY completed")
