"""What is refused after its content can be kept for some days in the mailbox Rejects of those it was for: a lost sign-up code is found.

Laws: the client's answer is the same 5xx, whatever becomes of this, and waits for it KEEP_SECONDS at the most (a group's commit takes
milliseconds). Kept is what a check of ours refused for good, from somebody who did not log in: not what was malformed, looped or too
large, and never what is for a group that takes mail from few. Bounded: messages that were held in memory, so many a minute in all
and of one client; the store bounds what an account holds of them, and never goes over its quota for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import trio

from services.smtp_in.policy.allowance import Allowance
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.spool import Spooled
from services.smtp_in.transaction import Transaction
from shared.contract.messages import MessagesApi
from shared.contract.reject_types import MAX_REJECT_ACCOUNTS, Rejected
from shared.contract.types import MAX_INLINE_OCTETS, ContentSource
from shared.errors import StoreError
from shared.mail.index import build_index
from shared.observe.log import Logger

KEEP_SECONDS: Final = 1.0
MINUTE: Final = 60.0
SHARE: Final = 6
"""One client's part of what is kept in a minute: none fills it for all others."""
CLIENTS: Final = 10_000
_POLICY: Final = "5.7."
"""RFC 3463 §3.8: enhanced codes of security and policy."""


class Rejects:
    """One per process."""

    def __init__(
        self, messages: MessagesApi, log: Logger, most_per_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._messages = messages
        self._log = log
        self._all = Allowance(most_per_minute, MINUTE, 1, clock)
        self._each = Allowance(max(1, most_per_minute // SHARE), MINUTE, CLIENTS, clock)

    async def keep(self, transaction: Transaction, reply: Reply, spooled: Spooled, at: int) -> None:
        """Keep a message that was refused, if it is one of those; what we say of it goes in at `at`. Never raises but Cancelled."""
        if not is_kept(transaction, reply) or not isinstance(spooled.data, bytes):
            return
        told = f"X-Rejected: {reply}\r\n".encode("ascii", "replace") + transaction.authentication
        data = spooled.data[:at] + told + spooled.data[at:]
        if len(data) > MAX_INLINE_OCTETS:
            return
        if not self._each.take(transaction.client.ip) or not self._all.take(""):
            return
        try:
            with trio.move_on_after(KEEP_SECONDS) as scope:
                await self._hand_in(transaction, data)
            if scope.cancelled_caught:
                self._log.warning("a refused message was not kept", trace=transaction.trace, error="the store took too long")
        except StoreError as error:
            self._log.warning("a refused message was not kept", trace=transaction.trace, error=str(error))
        except Exception as error:  # a mistake of ours: the refusal stands all the same
            self._log.exception("a refused message was not kept", error, trace=transaction.trace)

    async def _hand_in(self, transaction: Transaction, data: bytes) -> None:
        accounts = tuple(transaction.local)[:MAX_REJECT_ACCOUNTS]
        source = ContentSource(len(data), inline=data)
        kept = await self._messages.keep_rejected(Rejected(transaction.trace, accounts, source, build_index(data)))
        if kept:
            note = f"kept in Rejects for {kept}"
            transaction.verdicts = f"{transaction.verdicts}, {note}" if transaction.verdicts else note


def is_kept(transaction: Transaction, reply: Reply) -> bool:
    """Whether this refusal of this message is one after which it is kept."""
    by_policy = reply.code >= 500 and (reply.enhanced.startswith(_POLICY) or reply == replies.SEVERAL_AUTHORS)
    return by_policy and transaction.client.account is None and bool(transaction.local) and not transaction.groups
