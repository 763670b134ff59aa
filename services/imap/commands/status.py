"""STATUS, RFC 3501 §6.3.10, RFC 7162 §3.1.7 (HIGHESTMODSEQ), RFC 9051 §6.3.11 (DELETED), RFC 8438 §2 (SIZE).

RFC 7889 §3.1 (APPENDLIMIT), RFC 8474 §4.3 (MAILBOXID).
"""

from collections.abc import Sequence

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, StatusArguments, StatusItem
from services.imap.protocol.capability import Extension
from services.imap.protocol.responses import Reply, build_ok, build_status, mailbox_object_id
from shared.contract.types import MailboxState
from shared.errors import NoSuchMailbox


def status_line(context: Context, name: str, state: MailboxState, items: Sequence[StatusItem]) -> bytes:
    """The STATUS response for a mailbox."""
    values: dict[StatusItem, int | str] = {
        StatusItem.MESSAGES: state.messages,
        StatusItem.RECENT: state.recent,
        StatusItem.UIDNEXT: state.uid_next,
        StatusItem.UIDVALIDITY: state.uidvalidity,
        StatusItem.UNSEEN: state.unseen,
        StatusItem.HIGHESTMODSEQ: max(1, state.highest_modseq),
        StatusItem.DELETED: state.deleted,
        StatusItem.DELETED_STORAGE: state.deleted_octets,
        StatusItem.SIZE: state.octets,
        StatusItem.APPENDLIMIT: context.limits.message_octets,
        StatusItem.MAILBOXID: f"({mailbox_object_id(state.mailbox_id)})",
    }
    return build_status(name, [(item.value, values[item]) for item in items], utf8=context.utf8_names)


async def handle_status(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, StatusArguments)
    if StatusItem.DELETED_STORAGE in arguments.items:
        (found,) = await context.store.mailboxes.statuses(context.grant, (arguments.mailbox,), True)
        if found is None:
            raise NoSuchMailbox
        state = found
    else:
        state = await context.store.mailboxes.status(context.grant, arguments.mailbox)
    if StatusItem.HIGHESTMODSEQ in arguments.items:
        # RFC 7162 §3.1: an enabling command
        context.enable(Extension.CONDSTORE)
    context.client.write(status_line(context, arguments.mailbox, state, arguments.items))
    return build_ok("STATUS completed")
