"""SELECT and EXAMINE.

RFC 3501 §6.3.1 and §6.3.2; RFC 9051 §6.3.2 (LIST instead of RECENT and UNSEEN, CLOSED); RFC 7162 §3.1.2 (HIGHESTMODSEQ), §3.1.8
(CONDSTORE), §3.2.5 (QRESYNC), §3.2.11 (CLOSED).
"""

from services.imap.context import CommandFailed, Context, arguments_of
from services.imap.protocol.arguments import Command, SelectArguments
from services.imap.protocol.capability import Extension
from services.imap.protocol.responses import (
    Reply,
    build_bad,
    build_list_line,
    build_ok,
    build_old_name,
    build_untagged,
    describe_flags,
    mailbox_object_id,
)
from services.imap.protocol.resync_grammar import Resync
from services.imap.resync import difference_since, last_agreed_uid, tell_vanished
from services.imap.seats import Seat
from services.imap.updates import Selected
from shared.contract.types import MailboxState
from shared.errors import StoreError
from shared.model.flags import SystemFlag
from shared.model.rights import Rights

_CLOSED = build_untagged("OK", "The mailbox that was selected is closed", "CLOSED")


async def handle_select(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, SelectArguments)
    examine = command.name == "EXAMINE"
    if arguments.resync is not None:
        _check_resync(context, arguments.resync)
    if context.selected is not None:
        # RFC 3501 §6.3.1: the old mailbox is left even when the new one cannot be opened; RFC 7162 §3.2.11: CLOSED in any case
        context.close_mailbox()
        context.client.write(_CLOSED)
    if arguments.condstore:
        context.enable(Extension.CONDSTORE)
    state = await context.store.mailboxes.select(context.grant, arguments.mailbox, not examine)
    view = await context.shared.views.acquire(context.grant, state.mailbox_id, state.uidvalidity)
    seat = Seat(context.grant, state.own, Rights(state.rights), state.acl_version)
    # RFC 4314 §5.2: READ-ONLY where nothing may be changed
    read_only = examine or not seat.may_write
    selected = context.open_mailbox(view, read_only=read_only, first_recent_uid=state.first_recent_uid, seat=seat)
    selected.name = state.name
    context.client.write(_describe(context, selected, state))
    try:
        if context.rev2:
            context.client.write(await _list_line(context, state.name, arguments.mailbox))
        # RFC 7162 §3.2.5: where UIDVALIDITY is another one the rest is ignored
        if arguments.resync is not None and arguments.resync.uidvalidity == state.uidvalidity:
            await _tell_difference(context, selected, arguments.resync)
    except StoreError:
        # RFC 3501 §6.3.1: a SELECT that fails leaves no mailbox selected
        context.close_mailbox()
        raise
    return build_ok(f"{command.name} completed", "READ-ONLY" if read_only else "READ-WRITE")


def _check_resync(context: Context, resync: Resync) -> None:
    """Raises CommandFailed (BAD); the mailbox that is selected stays so."""
    if not context.qresync:
        # RFC 7162 §3.2.5
        raise CommandFailed(build_bad("ENABLE QRESYNC first"))
    if context.uidonly and resync.known_pairs is not None:
        # RFC 9586 §3: no message sequence number in any argument
        raise CommandFailed(build_bad("Message sequence numbers are off after ENABLE UIDONLY", "UIDREQUIRED"))


async def _tell_difference(context: Context, selected: Selected, resync: Resync) -> None:
    """RFC 7162 §3.2.5.1: what vanished, then what changed, since the client was here."""
    client = context.client
    pairs = resync.known_pairs
    agreed = last_agreed_uid(pairs, selected.told) if pairs is not None else 0
    difference = await difference_since(context, resync.modseq, resync.known_uids, agreed)
    await tell_vanished(context, difference.vanished)
    keywords = selected.render_keywords()
    if keywords:
        client.write(keywords)
    selected.forget_pending_flags(difference.changed)
    for uid in difference.changed:
        number, position = selected.number_of(uid), selected.columns.position(uid)
        if number and position >= 0:
            client.write(selected.flags_line(number, uid, position))
            await client.drain()


def _describe(context: Context, selected: Selected, state: MailboxState) -> bytes:
    columns = selected.columns
    flags = describe_flags(columns.keywords, context.rights, read_only=selected.read_only)
    lines = [flags, b"* %d EXISTS\r\n" % len(selected.told)]
    if not context.rev2:
        # RFC 9051 appendix E, 11 and 12: neither RECENT nor UNSEEN
        lines.append(b"* %d RECENT\r\n" % selected.recent())
        position = columns.first_without(SystemFlag.SEEN) if state.unseen else -1
        if position >= 0 and not context.uidonly:
            lines.append(build_untagged("OK", "First unseen", f"UNSEEN {position + 1}"))
    # RFC 8474 §4.2
    lines.append(
        build_untagged("OK", "Name of the mailbox for ever", f"MAILBOXID ({mailbox_object_id(state.mailbox_id)})")
    )
    lines.append(build_untagged("OK", "UIDs valid", f"UIDVALIDITY {state.uidvalidity}"))
    lines.append(build_untagged("OK", "Next UID", f"UIDNEXT {columns.uid_next}"))
    lines.append(build_untagged("OK", "Highest", f"HIGHESTMODSEQ {selected.safe_modseq}"))
    return b"".join(lines)


async def _list_line(context: Context, name: str, asked: str) -> bytes:
    """RFC 9051 §6.3.2: LIST with the mailbox's attributes."""
    (info,) = await context.store.mailboxes.infos(context.grant, (name,))
    attributes = ["\\HasChildren" if info.has_children else "\\HasNoChildren"]
    if info.special_use:
        attributes.append(info.special_use)
    if asked != name:
        # RFC 9051 §6.3.2: the name was normalized
        return build_old_name(name, asked, utf8=context.utf8_names, attributes=attributes)
    return build_list_line(b"LIST", attributes, name, utf8=context.utf8_names)
