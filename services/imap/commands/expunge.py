"""EXPUNGE and UID EXPUNGE, RFC 3501 §6.4.3, RFC 4315 §2.1, RFC 7162 §3.2.7 and §3.2.9 (HIGHESTMODSEQ in the reply)."""

from array import array

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, UidExpungeArguments
from services.imap.protocol.responses import Reply, build_ok
from services.imap.updating import write_updates
from shared.model.flags import SystemFlag
from shared.model.packed import pack_u32, unpack_u32

UIDS_AT_ONCE = 500
"""In one transaction of the store: some 10 ms, in which nobody else writes."""


async def handle_expunge(context: Context, command: Command) -> Reply:
    gone = await expunge_flagged(context)
    if gone is None:
        # whoever may not expunge is told so; the store knows without looking that there is nothing
        gone = await _expunge(context, None)
    return await reply_with_modseq(context, "EXPUNGE completed", gone=gone)


async def expunge_flagged(context: Context) -> bool | None:
    """Remove the messages that the view knows as \\Deleted; whether any were removed, None when there was none to remove."""
    gone = False
    flagged = context.columns.uids_with(SystemFlag.DELETED)
    for start in range(0, len(flagged), UIDS_AT_ONCE):
        gone |= await _expunge(context, pack_u32(flagged[start : start + UIDS_AT_ONCE]))
    return gone if flagged else None


async def handle_uid_expunge(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, UidExpungeArguments)
    asked = context.mailbox.uids_of(context.resolve(arguments.messages, by_uid=True))
    if len(asked) > context.limits.messages_per_command:
        # RFC 9738 §3: those that would go are counted
        asked = array(asked.typecode, [uid for uid in asked if _is_deleted(context, uid)])
    uids = context.within_limit(asked)
    gone = False
    for start in range(0, len(uids), UIDS_AT_ONCE):
        gone |= await _expunge(context, pack_u32(uids[start : start + UIDS_AT_ONCE]))
    return context.say_limit(await reply_with_modseq(context, "UID EXPUNGE completed", gone=gone), asked, uids)


def _is_deleted(context: Context, uid: int) -> bool:
    position = context.columns.position(uid)
    return position >= 0 and bool(context.columns.flags[position] & SystemFlag.DELETED)


async def _expunge(context: Context, uids: bytes | None) -> bool:
    """Whether anything was removed."""
    with context.view.own_call():
        result = await context.store.messages.expunge(context.grant, context.mailbox_id, uids, True)
        if result.uids:
            context.view.apply_vanished(unpack_u32(result.uids))
            context.view.note_own(result.modseq)
    if result.uids:
        context.view.wake_all()
    return bool(result.uids)


async def reply_with_modseq(context: Context, text: str, *, gone: bool) -> Reply:
    """OK to a command that has ``gone`` or not removed messages; with HIGHESTMODSEQ for whoever resyncs by it."""
    if not gone or not context.qresync:
        return build_ok(text)
    # RFC 7162 §3.2.7: up to where the client knows everything, so the removals are told first
    if context.view.largest_modseq > context.view.highest_modseq:
        await context.view.refresh()
    await write_updates(context, expunge=True, say_modseq=False)
    return build_ok(text, f"HIGHESTMODSEQ {context.mailbox.safe_modseq}")
