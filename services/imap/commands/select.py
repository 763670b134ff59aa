"""SELECT and EXAMINE, RFC 3501 §6.3.1 and §6.3.2, RFC 7162 §3.1.2 (HIGHESTMODSEQ) and §3.1.8 (CONDSTORE parameter)."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, SelectArguments
from services.imap.protocol.capability import Extension
from services.imap.protocol.responses import Reply, build_flags, build_ok, build_permanent_flags, build_untagged
from services.imap.updates import Selected
from services.imap.view import Columns
from shared.contract.types import MailboxState
from shared.model.flags import MAX_KEYWORDS, SYSTEM_FLAG_NAMES, SystemFlag


async def handle_select(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, SelectArguments)
    read_only = command.name == "EXAMINE"
    # RFC 3501 §6.3.1: the old mailbox is left even when the new one cannot be opened
    context.close_mailbox()
    if arguments.condstore:
        context.enable(Extension.CONDSTORE)
    state = await context.store.mailboxes.select(context.grant, arguments.mailbox, not read_only)
    view = await context.shared.views.acquire(context.grant, state.mailbox_id, state.uidvalidity)
    selected = context.open_mailbox(view, read_only=read_only, first_recent_uid=state.first_recent_uid)
    context.client.write(_describe(selected, state))
    return build_ok(f"{command.name} completed", "READ-ONLY" if read_only else "READ-WRITE")


def _describe(selected: Selected, state: MailboxState) -> bytes:
    columns = selected.columns
    flags = [*SYSTEM_FLAG_NAMES, *columns.keywords]
    if selected.read_only:
        permanent = build_permanent_flags((), "Nothing can be changed")
    else:
        # RFC 3501 §7.1: "\*" says that new keywords can be made
        more = ("\\*",) if len(columns.keywords) < MAX_KEYWORDS else ()
        permanent = build_permanent_flags([*flags, *more], "Flags that are kept")
    lines = [
        build_flags(flags),
        permanent,
        b"* %d EXISTS\r\n" % len(selected.told),
        b"* %d RECENT\r\n" % selected.recent(),
    ]
    unseen = _first_unseen(columns) if state.unseen else 0
    if unseen:
        lines.append(build_untagged("OK", "First unseen", f"UNSEEN {unseen}"))
    lines.append(build_untagged("OK", "UIDs valid", f"UIDVALIDITY {state.uidvalidity}"))
    lines.append(build_untagged("OK", "Next UID", f"UIDNEXT {columns.uid_next}"))
    lines.append(build_untagged("OK", "Highest", f"HIGHESTMODSEQ {max(1, columns.highest_modseq)}"))
    return b"".join(lines)


def _first_unseen(columns: Columns) -> int:
    seen = SystemFlag.SEEN.value
    return next((number for number, bits in enumerate(columns.flags, 1) if not bits & seen), 0)
