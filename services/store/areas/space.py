"""The space that contents take."""

import time

import attrs

from services.store.core import Core
from services.store.reads import undo
from shared.contract.space_types import SpaceStatus
from shared.rpc.server import Call


class SpaceArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def status(self, call: Call) -> SpaceStatus:
        return await self._status()

    async def _status(self) -> SpaceStatus:
        core = self._core
        messages, octets = await core.readers.run(undo.held)
        since = min(await core.readers.run(undo.since), time.time())
        status = await core.compactor.status()
        return attrs.evolve(status, history_messages=messages, history_octets=octets, history_since=since)

    async def compact(self, call: Call) -> SpaceStatus:
        self._core.compactor.wake()
        self._core.log.info("administration", action="compact")
        return await self._status()
