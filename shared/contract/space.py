"""The space that contents take."""

from typing import Protocol

from shared.contract.registry import Role, call
from shared.contract.space_types import SpaceStatus


class SpaceApi(Protocol):
    @call(Role.ADMIN)
    async def status(self) -> SpaceStatus: ...

    @call(Role.ADMIN)
    async def compact(self) -> SpaceStatus:
        """Look for packs that are worth being written anew now, not only at the next time; nothing that lasts depends on it."""
        ...
