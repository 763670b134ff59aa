"""RCPT of a submission: what the account may still send today to recipients elsewhere.

The store decides when the message is handed in; asked here, a client hears 450 for the recipient that is too many and may send to the
others. Asked once per transaction; whether a recipient is a known one is asked only when more have come than may be new.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Account, DailyTally, Transaction
from shared.contract.sending import SendingApi
from shared.contract.sending_types import SendingLimit
from shared.contract.types import RemoteRecipient

KNOWN_AT_ONCE = 1000
"""Addresses in one question to the store."""
_REFUSALS = {
    SendingLimit.MESSAGES: replies.MESSAGES_REACHED,
    SendingLimit.NEW_RECIPIENTS: replies.NEW_RECIPIENTS_REACHED,
}


class DailyAllowance:
    """Asked by whoever is about to take recipients elsewhere."""

    def __init__(self, sending: SendingApi) -> None:
        self._sending = sending

    async def objection(self, transaction: Transaction, remotes: Sequence[RemoteRecipient]) -> Reply | None:
        """450 4.7.1 where they are more than the account may send to today; else they are counted. Raises StoreError."""
        account = transaction.client.account
        added = transaction.not_yet_taken(remotes)
        if account is None or not added or transaction.client.unlimited:
            return None
        tally = transaction.tally
        if tally is None:
            tally = transaction.tally = DailyTally(await self._sending.allowance(account.grant))
        messages = tally.allowance.messages
        if messages is not None and len(transaction.remote) + len(added) > messages:
            return await self._refuse(account, tally, SendingLimit.MESSAGES)
        # where an alias of ours leads to is never new
        for remote in added:
            if not remote.original and not await self._may_be_new(account, tally, remote.address):
                return await self._refuse(account, tally, SendingLimit.NEW_RECIPIENTS)
        return None

    async def _may_be_new(self, account: Account, tally: DailyTally, address: str) -> bool:
        most = tally.allowance.new_recipients
        if most is None:
            return True
        if tally.new + len(tally.unasked) < most:
            tally.unasked.append(address)
            return True
        asked = [*tally.unasked, address]
        known: set[str] = set()
        for start in range(0, len(asked), KNOWN_AT_ONCE):
            known.update(await self._sending.known(account.grant, tuple(asked[start : start + KNOWN_AT_ONCE])))
        tally.new += sum(unasked not in known for unasked in tally.unasked)
        tally.unasked.clear()
        if address in known:
            return True
        if tally.new >= most:
            return False
        tally.new += 1
        return True

    async def _refuse(self, account: Account, tally: DailyTally, limit: SendingLimit) -> Reply:
        if not tally.told:
            tally.told = True
            await self._sending.refused(account.grant, limit)
        return _REFUSALS[limit]
