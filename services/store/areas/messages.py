"""Messages: filing, reading, flags, copying, expunging."""

from collections.abc import Callable
from typing import Any

from services.store.areas.incoming import contents, inline_content
from services.store.core import Core
from services.store.domain.names import NameLimits
from services.store.domain.rejects import RejectLimits
from services.store.reads import contents as content_reads
from services.store.reads import messages as reads
from services.store.reads.maildrop import maildrop
from services.store.sending import limit_of
from services.store.writer import Command
from services.store.writes import appending, filing, rejects, transfer
from services.store.writes.flags import store_flags
from shared.contract.append_types import AppendAllResult, AppendNamedResult, NewMessage, Replaced
from shared.contract.contents import Contents
from shared.contract.reject_types import Rejected
from shared.contract.types import (
    AppendResult,
    ChangesPage,
    ContentRange,
    ContentSource,
    CopyResult,
    Delivery,
    DeliveryResult,
    ExpungeResult,
    FlagOperation,
    IndexRow,
    Maildrop,
    StoreFlagsResult,
)
from shared.errors import BadRequest, GrantExpired, SendingLimitReached
from shared.model.ids import Grant, MailboxId, ModSeq, Uid
from shared.model.message_index import MessageIndex
from shared.model.packed import unpack_u32
from shared.rpc.server import Call


def uid_list(packed: bytes) -> list[int]:
    """Raises BadRequest."""
    try:
        return unpack_u32(packed).tolist()
    except ValueError:
        raise BadRequest("not packed UIDs") from None


class MessagesArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def deliver(self, call: Call, delivery: Delivery) -> DeliveryResult:
        core = self._core
        if delivery.device_id is not None and not core.directory.has_device(delivery.device_id):
            # a session may outlive its password
            raise GrantExpired
        conditions = filing.Conditions(
            core.rules,
            core.queue_times,
            all_limited=not delivery.remote
            and all(core.directory.quotas.is_limited(recipient.account_id) for recipient in delivery.local),
            daily=core.sending.defaults,
        )
        sources = (delivery.content, *(report.content for report in delivery.reports))
        try:
            if all(source.upload is None for source in sources):
                inline = tuple(inline_content(core, source) for source in sources)
                result = await self._deliver(call, inline, delivery, conditions)
            else:
                async with contents(core, call, sources) as incoming:
                    result = await self._deliver(call, incoming, delivery, conditions)
        except SendingLimitReached as error:
            if delivery.account_id is not None:
                await core.sending.reached(core.readers, core.writer, delivery.account_id, limit_of(error))
            raise
        core.deliveries.inc(len(result.copies), "local")
        core.deliveries.inc(len(result.entries), "queued")
        core.log.info(
            "delivered",
            trace=delivery.trace,
            sender=delivery.sender,
            local=len(result.copies),
            queued=len(result.entries),
            octets=delivery.content.octets,
        )
        return result

    async def _deliver(
        self, call: Call, incoming: tuple[filing.Incoming, ...], delivery: Delivery, conditions: filing.Conditions
    ) -> DeliveryResult:
        uploaded = any(source.upload is not None for source in (delivery.content, *(r.content for r in delivery.reports)))
        command = Command(
            "messages.deliver",
            call.op_id,
            filing.deliver,
            (incoming, delivery, conditions),
            batch=True,
            prepare=filing.prepare_contents,
            to_the_end=uploaded,
        )
        result: DeliveryResult = await self._core.writer.submit(command)
        return result

    async def keep_rejected(self, call: Call, rejected: Rejected) -> int:
        store = self._core.settings.store
        limits = RejectLimits(store.rejects_messages, store.rejects_octets)
        names = NameLimits(store.mailbox_name_octets, store.mailbox_depth, store.mailboxes_per_account)
        incoming = (inline_content(self._core, rejected.content),)
        arguments = (incoming, rejected, limits, names)
        command = Command("messages.keep_rejected", call.op_id, rejects.keep, arguments, prepare=filing.prepare_contents)
        kept: int = await self._core.writer.submit(command)
        return kept

    async def append(
        self,
        call: Call,
        grant: Grant,
        mailbox_id: MailboxId,
        flags: tuple[str, ...],
        internal_date: int | None,
        content: ContentSource,
        index: MessageIndex,
    ) -> AppendResult:
        account = self._core.account_of(call, grant)
        arguments = (account, mailbox_id, flags, internal_date, index)
        result: AppendResult = await self._file(call, "messages.append", filing.append, content, arguments)
        return result

    async def append_named(
        self,
        call: Call,
        grant: Grant,
        name: str,
        flags: tuple[str, ...],
        internal_date: int | None,
        content: ContentSource,
        index: MessageIndex,
    ) -> AppendNamedResult:
        account = self._core.account_of(call, grant)
        arguments = (account, name, flags, internal_date, index)
        result: AppendNamedResult = await self._file(
            call, "messages.append_named", filing.append_named, content, arguments
        )
        return result

    async def _file(
        self, call: Call, method: str, write: Callable[..., Any], content: ContentSource, arguments: tuple[Any, ...]
    ) -> Any:
        """One message into one mailbox; ``arguments``: of the write, behind its content."""
        async with contents(self._core, call, (content,)) as incoming:
            return await self._core.writer.submit(
                Command(
                    method,
                    call.op_id,
                    write,
                    (incoming, *arguments),
                    batch=True,
                    prepare=filing.prepare_contents,
                    to_the_end=True,
                )
            )

    async def append_all(
        self,
        call: Call,
        grant: Grant,
        mailbox_id: MailboxId,
        messages: tuple[NewMessage, ...],
        replaces: Replaced | None,
    ) -> AppendAllResult:
        account = self._core.account_of(call, grant)
        async with contents(self._core, call, [message.content for message in messages]) as incoming:
            command = Command(
                "messages.append_all",
                call.op_id,
                appending.append_all,
                (incoming, account, mailbox_id, messages, replaces),
                prepare=filing.prepare_contents,
                to_the_end=True,
            )
            result: AppendAllResult = await self._core.writer.submit(command)
            return result

    async def changes(
        self, call: Call, grant: Grant, mailbox_id: MailboxId, since: ModSeq, after_uid: Uid, limit: int
    ) -> ChangesPage:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(reads.changes, account, mailbox_id, since, after_uid, limit)

    async def fetch_index(
        self, call: Call, grant: Grant, mailbox_id: MailboxId, uids: bytes, fields: int
    ) -> tuple[IndexRow, ...]:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(reads.fetch_index, account, mailbox_id, uid_list(uids), fields)

    async def read(
        self, call: Call, grant: Grant, mailbox_id: MailboxId, ranges: tuple[ContentRange, ...]
    ) -> tuple[bytes | None, ...]:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(content_reads.read, account, mailbox_id, ranges)

    async def read_many(
        self, call: Call, grant: Grant, mailbox_id: MailboxId, uids: bytes, starts: bytes, octets: bytes
    ) -> Contents:
        account = self._core.account_of(call, grant)
        wanted = (uid_list(uids), uid_list(starts), uid_list(octets))
        return await self._core.readers.run(content_reads.read_many, account, mailbox_id, *wanted)

    async def store_flags(
        self,
        call: Call,
        grant: Grant,
        mailbox_id: MailboxId,
        uids: bytes,
        operation: FlagOperation,
        flags: tuple[str, ...],
        unchanged_since: ModSeq | None,
    ) -> StoreFlagsResult:
        account = self._core.account_of(call, grant)
        arguments = (account, mailbox_id, uid_list(uids), operation, flags, unchanged_since)
        command = Command("messages.store_flags", call.op_id, store_flags, arguments)
        result: StoreFlagsResult = await self._core.writer.submit(command)
        return result

    async def copy(self, call: Call, grant: Grant, mailbox_id: MailboxId, uids: bytes, target: MailboxId) -> CopyResult:
        account = self._core.account_of(call, grant)
        arguments = (account, mailbox_id, uid_list(uids), target)
        result: CopyResult = await self._core.writer.submit(
            Command("messages.copy", call.op_id, transfer.copy, arguments)
        )
        return result

    async def move(self, call: Call, grant: Grant, mailbox_id: MailboxId, uids: bytes, target: MailboxId) -> CopyResult:
        account = self._core.account_of(call, grant)
        arguments = (account, mailbox_id, uid_list(uids), target)
        result: CopyResult = await self._core.writer.submit(
            Command("messages.move", call.op_id, transfer.move, arguments)
        )
        return result

    async def expunge(
        self, call: Call, grant: Grant, mailbox_id: MailboxId, uids: bytes | None, only_deleted: bool
    ) -> ExpungeResult:
        account = self._core.account_of(call, grant)
        listed = None if uids is None else uid_list(uids)
        arguments = (str(call.role), account, mailbox_id, listed, only_deleted)
        result: ExpungeResult = await self._core.writer.submit(
            Command("messages.expunge", call.op_id, transfer.expunge, arguments)
        )
        return result

    async def maildrop(self, call: Call, grant: Grant, mailbox: str, after_uid: Uid, limit: int) -> Maildrop:
        account, device = self._core.grants.check_device(grant, call.role)
        means = self._core.pop3_meaning
        return await self._core.readers.run(maildrop, account, device, mailbox, after_uid, limit, means)
