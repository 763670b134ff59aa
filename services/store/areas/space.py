"""The space that contents take."""

from services.store.core import Core
from shared.contract.space_types import SpaceStatus
from shared.rpc.server import Call


class SpaceArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def status(self, call: Call) -> SpaceStatus:
        return await self._core.compactor.status()

    async def compact(self, call: Call) -> SpaceStatus:
        self._core.compactor.wake()
        self._core.log.info("administration", action="compact")
        return await self._core.compactor.status()
