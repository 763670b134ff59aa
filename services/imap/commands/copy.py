"""COPY and MOVE, RFC 3501 §6.4.7, RFC 6851, RFC 4315 §3 (COPYUID).

Many messages go in steps, each a transaction of the store, so that no other session waits for all of them. A copy is all or nothing
nevertheless: when a step fails, what the steps before it made is taken back. (Into another account's mailbox it is one step: whoever
may insert there need not be allowed to remove.)
"""

from array import array

from services.imap.context import CommandFailed, Context, arguments_of
from services.imap.protocol.arguments import Command, CopyArguments
from services.imap.protocol.responses import Reply, build_no, build_ok, build_untagged, code_copy_uid
from shared.contract.types import CopyResult
from shared.errors import NoPermission, NoSuchMailbox, StoreError
from shared.model.ids import MailboxId
from shared.model.namespace import split_shared
from shared.model.packed import U32, pack_u32, unpack_u32
from shared.model.rights import Rights

UIDS_AT_ONCE = 500
"""Some 10 ms, in which nobody else writes."""
UIDS_IN_ONE_STEP = 50_000


async def handle_copy(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, CopyArguments)
    moving = command.name.endswith("MOVE")
    ranges = context.resolve(arguments.messages, by_uid=command.name.startswith("UID "))
    asked = context.mailbox.uids_of(ranges)
    uids = context.within_limit(asked)
    if not moving and len(uids) < len(asked):
        # RFC 9738 §3: a copy is all or nothing
        return build_no("Too many messages for one command", f"MESSAGELIMIT {context.limits.messages_per_command}")
    target = await find_target(context, arguments.mailbox)
    sources: array[int] = array(U32)
    targets: array[int] = array(U32)
    uidvalidity = 0
    step = UIDS_AT_ONCE if moving or split_shared(arguments.mailbox) is None else UIDS_IN_ONE_STEP
    for start in range(0, len(uids), step):
        try:
            result = await _one_step(context, pack_u32(uids[start : start + step]), target, moving=moving)
        except StoreError:
            if targets and not moving:
                # RFC 9051 §6.4.7: the destination must be restored to its state before
                await context.store.messages.expunge(context.grant, target, pack_u32(targets), False)
            raise
        sources.extend(unpack_u32(result.sources))
        targets.extend(unpack_u32(result.targets))
        uidvalidity = result.uidvalidity
    if target == context.mailbox_id:
        context.note_filed(targets)
        await context.view.refresh()
    reply = _reply(context, command, (len(uids), uidvalidity, sources, targets), moving=moving)
    return context.say_limit(reply, asked, uids)


async def _one_step(context: Context, uids: bytes, target: MailboxId, *, moving: bool) -> CopyResult:
    messages = context.store.messages
    if not moving:
        return await messages.copy(context.grant, context.mailbox_id, uids, target)
    with context.view.own_call():
        result = await messages.move(context.grant, context.mailbox_id, uids, target)
        if result.sources:
            context.view.apply_vanished(unpack_u32(result.sources))
            context.view.note_own(result.source_modseq)
    if result.sources:
        context.view.wake_all()
    return result


def _reply(
    context: Context, command: Command, outcome: "tuple[int, int, array[int], array[int]]", *, moving: bool
) -> Reply:
    asked, uidvalidity, sources, targets = outcome
    if not sources:
        # RFC 3501 §6.4.8: UIDs that are not there are ignored; messages that vanished meanwhile: RFC 5530 §3
        return build_no("The messages are gone", "EXPUNGEISSUED") if asked else build_ok("Nothing to do")
    code = code_copy_uid(uidvalidity, sources, targets)
    if moving:
        # RFC 6851 §4.3: COPYUID goes before the EXPUNGEs
        context.client.write(build_untagged("OK", "Moved", code))
        return build_ok(f"{command.name} completed")
    return build_ok(f"{command.name} completed", code)


async def find_target(context: Context, name: str) -> MailboxId:
    """The mailbox that a COPY, MOVE or APPEND goes to. Raises NoPermission, CommandFailed with TRYCREATE (RFC 3501 §6.3.11, §6.4.7)."""
    try:
        access = await context.store.mailboxes.locate(context.grant, name)
    except NoSuchMailbox as error:
        raise CommandFailed(build_no("No such mailbox", "TRYCREATE")) from error
    # RFC 4314 §4: to be refused before the message is sent; the store checks again
    if not access.rights & Rights.INSERT:
        raise NoPermission
    return access.mailbox_id
