"""App passwords of accounts, one per device."""

from typing import Protocol

from shared.contract.device_types import DeviceAdded, DeviceInfo, DeviceUse
from shared.contract.registry import Role, call
from shared.model.ids import DeviceId


class DevicesApi(Protocol):
    @call(Role.ADMIN, write=True)
    async def add(
        self,
        address: str,
        name: str,
        uses: tuple[DeviceUse, ...],
        networks: tuple[str, ...],
        recipients: tuple[str, ...],
    ) -> DeviceAdded:
        """Make a device's password. A repeat of the same operation answers with the same password.

        With ``recipients`` (domains and addresses) it may send to these only, and log in to submission alone.

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

    @call(Role.SMTP_IN)
    async def may_send_to(self, device: DeviceId, address: str) -> bool:
        """Whether a device may send to an address, as given at RCPT; ``messages.deliver`` decides again.

        Raises GrantExpired where it is gone.
        """
        ...
