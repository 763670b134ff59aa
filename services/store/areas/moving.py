"""Mailboxes that come from another server, or go to one."""

from services.store.areas.incoming import contents
from services.store.core import Core
from services.store.reads import directory
from services.store.reads import moving as reads
from services.store.writer import Command
from services.store.writes import filing
from services.store.writes import moving as writes
from shared.contract.moving_types import Identities, MovedMessage, MovedResult
from shared.contract.types import LoginResult
from shared.model.ids import Grant, MailboxId, Uid
from shared.rpc.server import Call


class MovingArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def enter(self, call: Call, address: str) -> LoginResult:
        core = self._core
        account, address = await core.readers.run(directory.account_of, address)
        core.log.info("administration", action="moving", subject=address)
        return LoginResult(account, address, core.grants.issue(account, call.role))

    async def adopt(self, call: Call, grant: Grant, mailbox_id: MailboxId, uidvalidity: int) -> int:
        account = self._core.account_of(call, grant)
        command = Command("moving.adopt", call.op_id, writes.adopt, (account, mailbox_id, uidvalidity))
        has: int = await self._core.writer.submit(command)
        return has

    async def identities(self, call: Call, grant: Grant, mailbox_id: MailboxId, after_uid: Uid) -> Identities:
        account = self._core.account_of(call, grant)
        return await self._core.readers.run(reads.identities, account, mailbox_id, after_uid)

    async def file(
        self, call: Call, grant: Grant, mailbox_id: MailboxId, messages: tuple[MovedMessage, ...], uid_next: Uid, over_quota: bool
    ) -> MovedResult:
        account = self._core.account_of(call, grant)
        async with contents(self._core, call, [message.content for message in messages]) as incoming:
            command = Command(
                "moving.file",
                call.op_id,
                writes.file,
                (incoming, account, mailbox_id, messages, uid_next, over_quota),
                prepare=filing.prepare_contents,
                to_the_end=True,
            )
            result: MovedResult = await self._core.writer.submit(command)
            return result
