"""How much an account may send on one day."""

import time

from services.store.core import Core
from services.store.domain.sending import Account, allowance, day_of, state
from services.store.reads import sending as reads
from services.store.writer import Command
from services.store.writes import sending as writes
from shared.contract.sending_types import SendingAllowance, SendingLimit, SendingState
from shared.errors import BadRequest
from shared.model.ids import Grant
from shared.rpc.server import Call

KNOWN_MAX = 1000
"""Addresses in one question."""


class SendingArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def allowance(self, call: Call, grant: Grant) -> SendingAllowance:
        core, account_id = self._core, self._core.account_of(call, grant)
        account: Account = await core.readers.run(reads.account, account_id)
        return allowance(account, core.sending.defaults, day_of(time.time()))

    async def known(self, call: Call, grant: Grant, addresses: tuple[str, ...]) -> tuple[str, ...]:
        account_id = self._core.account_of(call, grant)
        if len(addresses) > KNOWN_MAX:
            raise BadRequest("too many addresses")
        return await self._core.readers.run(reads.known, account_id, addresses)

    async def refused(self, call: Call, grant: Grant, limit: SendingLimit) -> None:
        core, account_id = self._core, self._core.account_of(call, grant)
        await core.sending.reached(core.readers, core.writer, account_id, limit)

    async def show(self, call: Call, address: str) -> SendingState:
        core = self._core
        account: Account = await core.readers.run(reads.account_named, address)
        return state(account, core.sending.defaults, day_of(time.time()))

    async def set(
        self, call: Call, address: str, messages: int | None, new_recipients: int | None
    ) -> SendingState:
        core = self._core
        arguments = (address, messages, new_recipients, core.sending.defaults)
        found: SendingState = await core.writer.submit(
            Command("sending.set", call.op_id, writes.set_limits, arguments)
        )
        core.log.info("administration", action="sending_set", subject=found.address)
        return found
