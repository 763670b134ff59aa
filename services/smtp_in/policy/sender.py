"""MAIL FROM of a submission: the address belongs to the account that logged in (RFC 6409 §6.1).

The null reverse-path is allowed: mail clients send read receipts with it (RFC 8098 §3).
"""

from __future__ import annotations

from services.smtp_in.policy.chain import Policy
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Transaction
from shared.contract.directory import DirectoryApi


class SenderOwnership(Policy):
    """Refuses 553 5.7.1 for an address that is neither the account's own nor an alias that leads to it."""

    def __init__(self, directory: DirectoryApi) -> None:
        self._directory = directory

    async def on_mail(self, transaction: Transaction) -> Reply | None:
        """Raises StoreError."""
        account, sender = transaction.client.account, transaction.mail.sender
        if account is None or sender is None or sender.address == account.address:
            return None
        if await self._directory.may_send_as(account.grant, sender.address):
            return None
        return replies.NOT_YOUR_ADDRESS
