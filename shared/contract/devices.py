"""App passwords of accounts, one per device."""

from typing import Protocol

from shared.contract.device_types import DeviceAdded, DeviceInfo, DeviceUse
from shared.contract.registry import Role, call


class DevicesApi(Protocol):
    @call(Role.ADMIN, write=True)
    async def add(
        self, address: str, name: str, uses: tuple[DeviceUse, ...], networks: tuple[str, ...]
    ) -> DeviceAdded:
        """Make a device's password. A repeat of the same operation answers with the same password.

        Raises NotFound (account), AlreadyExists (the name), LimitExceeded, BadRequest.
        """
        ...

    @call(Role.ADMIN)
    async def list(self, address: str) -> tuple[DeviceInfo, ...]:
        """Of one account, by name. Raises NotFound."""
        ...

    @call(Role.ADMIN, write=True)
    async def remove(self, address: str, name: str) -> None:
        """End a device's password, and every grant that it gave. Raises NotFound."""
        ...
