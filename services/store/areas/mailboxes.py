"""Mailboxes that the grant's account may see."""

from collections.abc import Callable
from typing import Any

from services.store.core import Core
from services.store.domain.names import NameLimits
from services.store.reads import listing
from services.store.reads import mailboxes as reads
from services.store.writer import Command
from services.store.writes import mailboxes as writes
from shared.contract.mailbox_types import ListScope, MailboxAccess, MailboxInfo, MailboxList
from shared.contract.types import MailboxState
from shared.model.ids import Grant, MailboxId
from shared.rpc.server import Call


class MailboxesArea:
    def __init__(self, core: Core) -> None:
        self._core = core
        store = core.settings.store
        self._limits = NameLimits(store.mailbox_name_octets, store.mailbox_depth, store.mailboxes_per_account)

    async def _write(self, call: Call, method: str, run: Callable[..., Any], *arguments: object) -> Any:
        return await self._core.writer.submit(Command(f"mailboxes.{method}", call.op_id, run, arguments))

    async def list(self, call: Call, grant: Grant, after: str, scope: ListScope) -> MailboxList:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(listing.list_mailboxes, account, after, scope)

    async def list_shared(self, call: Call, grant: Grant, after: str) -> MailboxList:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(listing.list_shared, account, after)

    async def infos(self, call: Call, grant: Grant, names: tuple[str, ...]) -> tuple[MailboxInfo, ...]:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(listing.infos, account, names)

    async def locate(self, call: Call, grant: Grant, name: str) -> MailboxAccess:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(reads.locate, account, name)

    async def rights(self, call: Call, grant: Grant, mailbox_id: MailboxId) -> int:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(reads.rights, account, mailbox_id)

    async def create(self, call: Call, grant: Grant, name: str, special_use: str) -> MailboxInfo:
        account = self._core.account_of(call, grant)
        made: MailboxInfo = await self._write(call, "create", writes.create, account, name, special_use, self._limits)
        return made

    async def delete(self, call: Call, grant: Grant, name: str) -> None:
        await self._write(call, "delete", writes.delete, self._core.account_of(call, grant), name)

    async def rename(self, call: Call, grant: Grant, name: str, new_name: str) -> None:
        account = self._core.account_of(call, grant)
        await self._write(call, "rename", writes.rename, account, name, new_name, self._limits)

    async def subscribe(self, call: Call, grant: Grant, name: str, subscribed: bool) -> None:
        account = self._core.account_of(call, grant)
        await self._write(call, "subscribe", writes.subscribe, account, name, subscribed, self._limits)

    async def status(self, call: Call, grant: Grant, name: str) -> MailboxState:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(reads.status, account, name)

    async def statuses(
        self, call: Call, grant: Grant, names: tuple[str, ...], deleted_octets: bool
    ) -> tuple[MailboxState | None, ...]:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(reads.statuses, account, names, deleted_octets)

    async def select(self, call: Call, grant: Grant, name: str, claim_recent: bool) -> MailboxState:
        account = self._core.account_of(call, grant)
        # most SELECTs have nothing to claim, and need not wait for the disk
        state = await self._core.readers.run(reads.select_unclaimed, account, name, claim_recent, call.op_id)
        if state is None:
            state = await self._write(call, "select", writes.select, account, name, claim_recent)
        return state
