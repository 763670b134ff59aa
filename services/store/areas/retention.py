"""How long mail is kept."""

import time

from services.store.core import Core
from services.store.domain.names import NameLimits
from services.store.reads import retention as reads
from services.store.writer import Command
from services.store.writes import retention as writes
from shared.contract.retention_types import DuePage, Retention, RetentionRule
from shared.model.ids import MailboxId
from shared.rpc.server import Call


class RetentionArea:
    def __init__(self, core: Core) -> None:
        store = core.settings.store
        self._core = core
        self._limits = NameLimits(store.mailbox_name_octets, store.mailbox_depth)

    async def show(self, call: Call) -> Retention:
        return await self._core.readers.run(reads.show, time.time())

    async def set(self, call: Call, rule: RetentionRule) -> RetentionRule:
        arguments = (rule, self._limits, self._core.settings.store.retention_rules)
        kept: RetentionRule = await self._core.writer.submit(
            Command("retention.set", call.op_id, writes.set_rule, arguments)
        )
        self._core.log.info("administration", action="retention_set", subject=kept.address, mailbox=kept.mailbox[:320])
        return kept

    async def remove(self, call: Call, address: str, mailbox: str) -> None:
        arguments = (address, mailbox, self._limits)
        await self._core.writer.submit(Command("retention.remove", call.op_id, writes.remove_rule, arguments))
        self._core.log.info("administration", action="retention_remove", subject=address[:320], mailbox=mailbox[:320])

    async def due(self, call: Call, after: MailboxId) -> DuePage:
        return await self._core.readers.run(reads.due, after, time.time())

    async def expire(self, call: Call, mailbox_id: MailboxId, trust_clock: bool) -> int:
        core = self._core
        now = time.time()
        by_age = trust_clock or (await core.readers.run(reads.clock)).look(now).trusted
        uids = await core.readers.run(reads.due_uids, mailbox_id, now if by_age else 0.0, writes.PIECE)
        command = Command("retention.expire", call.op_id, writes.expire, (mailbox_id, uids, by_age))
        gone: int = await core.writer.submit(command)
        return gone
