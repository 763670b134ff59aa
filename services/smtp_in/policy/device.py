"""Scanners and cameras: their port is for private networks, and what they were made for is all that they may send to.

On that port TLS may be as old as the device, or missing, so nobody else may come to it: neither from elsewhere, nor with another
password than that of a device with recipients of its own (`permits_login`).
"""

from __future__ import annotations

from collections.abc import Container

from services.smtp_in.policy.chain import Policy
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Account, Client, Transaction
from shared.contract.devices import DevicesApi


class DeviceRecipients(Policy):
    """Refuses 550 5.7.1 what the device was not made for; the store decides again when the message is handed in."""

    def __init__(self, devices: DevicesApi) -> None:
        self._devices = devices

    async def on_rcpt(self, transaction: Transaction, recipient: Mailbox) -> Reply | None:
        """Raises StoreError."""
        account = transaction.client.account
        device = account.device if account is not None else None
        if device is None or not device.restricted or await self._devices.may_send_to(device.device_id, recipient.address):
            return None
        return replies.NOT_FOR_DEVICE


class DevicePort(Policy):
    """Refuses 554 5.7.1, instead of the greeting, who comes to the port of devices from elsewhere."""

    def __init__(self, networks: Container[str]) -> None:
        self._networks = networks

    async def on_connect(self, client: Client) -> Reply | None:
        return replies.NOT_FROM_HERE if client.device_port and client.ip not in self._networks else None


def permits_login(client: Client, account: Account) -> bool:
    """Whether whoever gave a right password may log in on the port that it came to."""
    return not client.device_port or (account.device is not None and account.device.restricted)
