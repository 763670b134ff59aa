"""Watches. They are registered before the state is read, so that no change falls between the two."""

import attrs

from services.store.core import Core
from services.store.notify import QUEUE
from services.store.reads import account_changes
from services.store.reads import mailboxes as reads
from shared.contract.types import AccountChanges
from shared.errors import BadRequest
from shared.model.ids import Grant, MailboxId
from shared.rpc.server import Call


class EventsArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def watch_mailbox(self, call: Call, grant: Grant, mailbox_id: MailboxId, watch: int) -> int:
        account = self._core.account_of(call, grant)
        notifier = self._core.notifier
        notifier.watch(call.peer, watch, ("mailbox", mailbox_id))
        try:
            return await self._core.readers.run(reads.highest_modseq, account, mailbox_id)
        except BaseException:
            notifier.unwatch(call.peer, watch)
            raise

    async def watch_account(self, call: Call, grant: Grant, watch: int) -> int:
        account = self._core.account_of(call, grant)
        self._core.notifier.watch(call.peer, watch, ("account", account))
        return self._core.notifier.commits

    async def account_changes(self, call: Call, grant: Grant, after: int, after_name: str) -> AccountChanges:
        account = self._core.account_of(call, grant)
        if after < 0:
            raise BadRequest("account_changes")
        notifier = self._core.notifier
        # taken before the read: what is committed meanwhile is told twice rather than never
        number = notifier.commits
        # a number from the future: the clock went back while the store was restarted
        annotated = notifier.logs.annotations_since(account, after) if 0 < after <= number else []
        changed = notifier.logs.changed_since(account, after) if 0 < after <= number else None
        if changed is None:
            found = await self._core.readers.run(account_changes.everything, account, number, after_name)
        else:
            found = await self._core.readers.run(account_changes.of_mailboxes, account, number, changed)
        if not annotated:
            return found
        return attrs.evolve(found, annotations=await self._core.readers.run(account_changes.seen, account, annotated))

    async def shared_mailboxes(self, call: Call, grant: Grant, after_name: str) -> AccountChanges:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(account_changes.shared, account, self._core.notifier.commits, after_name)

    async def watch_queue(self, call: Call, watch: int) -> int:
        self._core.notifier.watch(call.peer, watch, QUEUE)
        return 0

    async def unwatch(self, call: Call, watch: int) -> None:
        self._core.notifier.unwatch(call.peer, watch)
