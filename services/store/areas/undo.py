"""An account is brought back to how it was."""

import time

from services.store.areas.messages import uid_list
from services.store.core import Core
from services.store.domain.names import NameLimits
from services.store.reads import undo as reads
from services.store.writer import Command
from services.store.writes import undo as writes
from shared.contract.undo_types import UndoDone, UndoPlan, UndoStep
from shared.rpc.server import Call


class UndoArea:
    def __init__(self, core: Core) -> None:
        store = core.settings.store
        self._core = core
        self._limits = NameLimits(store.mailbox_name_octets, store.mailbox_depth, store.mailboxes_per_account)

    async def plan(self, call: Call, address: str, at: float, mailbox: str, uids: bytes) -> UndoPlan:
        return await self._core.readers.run(reads.plan, address, at, mailbox, uid_list(uids), time.time())

    async def apply(self, call: Call, address: str, step: UndoStep) -> UndoDone:
        command = Command("undo.apply", call.op_id, writes.apply, (address, step, self._limits))
        done: UndoDone = await self._core.writer.submit(command)
        self._core.log.info(
            "administration", action="undo", subject=address[:320], mailbox=step.name[:320], messages=done.counts.total
        )
        return done
