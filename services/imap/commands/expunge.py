"""EXPUNGE and UID EXPUNGE, RFC 3501 §6.4.3, RFC 4315 §2.1. The EXPUNGE responses are told by the session's updates."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, UidExpungeArguments
from services.imap.protocol.responses import Reply, build_ok
from shared.model.packed import pack_u32, unpack_u32

UIDS_AT_ONCE = 100_000


async def handle_expunge(context: Context, command: Command) -> Reply:
    await _expunge(context, None)
    return build_ok("EXPUNGE completed")


async def handle_uid_expunge(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, UidExpungeArguments)
    uids = context.mailbox.uids_of(context.resolve(arguments.messages, by_uid=True))
    for start in range(0, len(uids), UIDS_AT_ONCE):
        await _expunge(context, pack_u32(uids[start : start + UIDS_AT_ONCE]))
    return build_ok("UID EXPUNGE completed")


async def _expunge(context: Context, uids: bytes | None) -> None:
    result = await context.store.messages.expunge(context.grant, context.mailbox_id, uids, True)
    if result.uids:
        context.view.apply_vanished(unpack_u32(result.uids))
        context.view.note_own(result.modseq)
        context.view.wake_all()
