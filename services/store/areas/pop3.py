"""POP3: sessions end here, and the administrator says what DELE means."""

from services.store.areas.messages import uid_list
from services.store.core import Core
from services.store.reads import pop3 as reads
from services.store.writer import Command
from services.store.writes import pop3 as writes
from shared.contract.pop3_types import Pop3Finished, Pop3State
from shared.model.ids import Grant, MailboxId
from shared.model.pop3 import Dele
from shared.rpc.server import Call


class Pop3Area:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def finish(
        self, call: Call, grant: Grant, mailbox_id: MailboxId, fetched: bytes, deleted: bytes, messages: int
    ) -> Pop3Finished:
        core = self._core
        account, device = core.grants.check_device(grant, call.role)
        arguments = (account, device, mailbox_id, uid_list(fetched), uid_list(deleted), messages, core.pop3_meaning)
        done: Pop3Finished = await core.writer.submit(Command("pop3.finish", call.op_id, writes.finish, arguments))
        return done

    async def show(self, call: Call, address: str) -> Pop3State:
        return await self._core.readers.run(reads.state_named, address, self._core.pop3_meaning)

    async def set(self, call: Call, address: str, dele: Dele | None, keep_days: int | None) -> Pop3State:
        core = self._core
        arguments = (address, dele, keep_days, core.pop3_meaning)
        found: Pop3State = await core.writer.submit(Command("pop3.set", call.op_id, writes.set_meaning, arguments))
        core.log.info("administration", action="pop3_set", subject=found.address)
        return found
