"""RCPT of a device that may send to some recipients only, a scanner or a camera: others are refused before anything else is asked."""

from __future__ import annotations

from services.smtp_in.policy.chain import Policy
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Transaction
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
