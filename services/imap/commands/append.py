"""APPEND, REPLACE and UID REPLACE.

RFC 3501 §6.3.11, RFC 4315 §3 (APPENDUID), RFC 3502 §1 (several messages), RFC 4469 (CATENATE), RFC 8508 §3 (REPLACE).

Messages stream through: small ones stay in memory, larger ones go to a file of the spool; from there they are indexed and sent to the
store, all of a command in one transaction. OK is said after the store's commit, never before. A restart of the store meanwhile
costs the client nothing.
"""

from array import array
from collections.abc import Sequence
from contextlib import closing
from typing import Final

import trio

from services.imap.commands.copy import find_target
from services.imap.commands.expunge import reply_with_modseq
from services.imap.context import CommandFailed, Context, arguments_of
from services.imap.intake import Intake, Taken
from services.imap.parcel import Parcel
from services.imap.protocol.append_grammar import AppendArguments, CopyUrl
from services.imap.protocol.arguments import Command
from services.imap.protocol.responses import Reply, build_bad, build_no, build_ok, build_untagged, code_append_uids
from services.imap.spool import Spool
from shared.contract.append_types import AppendAllResult, Replaced
from shared.contract.types import MAX_INLINE_OCTETS, ContentSource
from shared.errors import NoSuchMailbox
from shared.mail.index import build_index
from shared.model.ids import MailboxId, Uid
from shared.model.message_index import MessageIndex
from shared.model.namespace import split_shared
from shared.model.packed import U32, unpack_u32

_INDEX_IN_THREAD_OCTETS: Final = 128 * 1024


async def handle_append(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, AppendArguments)
    target = _Target(context, arguments.mailbox)
    if not _is_on_its_way(context, arguments):
        # RFC 3501 §6.3.11: TRYCREATE should be said before the client sends the message
        await target.find()
    with closing(Spool(context.limits.spool_octets, context.shared.spool)) as spool:
        taken = await Intake(context, spool, target.find).run(arguments)
        uidvalidity, uids = await _file(context, target, memoryview(spool.content()), taken)
    if context.selected is not None and context.mailbox_id == target.mailbox_id:
        context.note_filed(uids)
        await context.view.refresh()
    return build_ok("APPEND completed", code_append_uids(uidvalidity, uids))


class _Target:
    """The mailbox that the messages go to. ``mailbox_id``: None until somebody has asked the store."""

    def __init__(self, context: Context, name: str) -> None:
        self._context = context
        self.name = name
        self.mailbox_id: MailboxId | None = None

    async def find(self) -> MailboxId:
        """Ask the store, once. Raises CommandFailed, NoPermission."""
        if self.mailbox_id is None:
            self.mailbox_id = await find_target(self._context, self.name)
        return self.mailbox_id


def _is_on_its_way(context: Context, arguments: AppendArguments) -> bool:
    """Whether the client sends the message without being asked to, and it is small: then to ask for the mailbox before spares nothing.

    Who has the name is then found by the store as it files the message. What an account may do with another's mailbox is asked before.
    """
    if context.message_announced is None or any(isinstance(step, CopyUrl) for step in arguments.steps):
        return False
    octets, synchronizing = context.message_announced
    return not synchronizing and octets <= MAX_INLINE_OCTETS and split_shared(arguments.mailbox) is None


async def handle_replace(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, AppendArguments)
    uid = _replaced_uid(context, arguments.replaces, by_uid=command.name.startswith("UID "))
    target = _Target(context, arguments.mailbox)
    await target.find()
    with closing(Spool(context.limits.spool_octets, context.shared.spool)) as spool:
        taken = await Intake(context, spool, target.find).run(arguments)
        replaces = Replaced(context.mailbox_id, Uid(uid))
        result = await _file_all(context, await target.find(), memoryview(spool.content()), taken, replaces)
    # RFC 8508 §4.3: APPENDUID goes before the EXPUNGE
    code = code_append_uids(result.uidvalidity, unpack_u32(result.uids))
    context.client.write(build_untagged("OK", "The replacement is there", code))
    view = context.view
    view.apply_vanished(array(U32, [uid]))
    view.note_own(result.replaced_modseq)
    view.wake_all()
    if context.mailbox_id == target.mailbox_id:
        context.note_filed(unpack_u32(result.uids))
        await view.refresh()
    # RFC 8508 §4.5: as after a UID EXPUNGE
    return await reply_with_modseq(context, f"{command.name} completed", gone=True)


def _replaced_uid(context: Context, number: int, *, by_uid: bool) -> int:
    """Raises CommandFailed."""
    told = context.mailbox.told
    if number < 0 and told:
        return told[-1]
    if by_uid:
        if context.mailbox.number_of(number):
            return number
        raise CommandFailed(build_no("There is no such message", "NONEXISTENT"))
    if not 0 < number <= len(told):
        # RFC 3501 §9: a message sequence number above the mailbox's size is a client's mistake
        raise CommandFailed(build_bad("No such message", "CLIENTBUG"))
    return told[number - 1]


async def _index_of(content: memoryview) -> MessageIndex:
    if len(content) > _INDEX_IN_THREAD_OCTETS:
        return await trio.to_thread.run_sync(build_index, content)
    return build_index(content)


async def _file(
    context: Context, target: _Target, content: memoryview, taken: Sequence[Taken]
) -> tuple[int, Sequence[int]]:
    """UIDVALIDITY and UIDs."""
    if len(taken) > 1:
        result = await _file_all(context, await target.find(), content, taken, None)
        return result.uidvalidity, unpack_u32(result.uids)
    (message,) = taken
    index = await _index_of(content)
    mailbox_id = target.mailbox_id
    if mailbox_id is None:
        return await _file_named(context, target, content, message, index)

    async def append(source: ContentSource) -> tuple[int, Sequence[int]]:
        done = await context.store.messages.append(
            context.grant, mailbox_id, message.flags, message.internal_date, source, index
        )
        return done.uidvalidity, (done.uid,)

    return await context.store.with_content(content, append)


async def _file_named(
    context: Context, target: _Target, content: memoryview, message: Taken, index: MessageIndex
) -> tuple[int, Sequence[int]]:
    source = ContentSource(len(content), inline=bytes(content))
    try:
        done = await context.store.messages.append_named(
            context.grant, target.name, message.flags, message.internal_date, source, index
        )
    except NoSuchMailbox as error:
        raise CommandFailed(build_no("No such mailbox", "TRYCREATE")) from error
    target.mailbox_id = done.mailbox_id
    return done.uidvalidity, (done.uid,)


async def _file_all(
    context: Context, target: MailboxId, content: memoryview, taken: Sequence[Taken], replaces: Replaced | None
) -> AppendAllResult:
    """All in one call; what does not fit into it is uploaded before, with its index."""
    store = context.store

    async def attempt() -> AppendAllResult:
        parcel = Parcel(store)
        try:
            for message in taken:
                octets = content[message.start : message.stop]
                index = await _index_of(octets)
                await parcel.add(message.flags, message.internal_date, octets, index)
            return await store.messages.append_all(context.grant, target, await parcel.messages(), replaces)
        except BaseException:
            parcel.drop()
            raise

    return await store.again_when_forgotten(attempt)
