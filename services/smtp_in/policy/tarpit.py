"""A dictionary attack is made slow: who names one unknown recipient after the other waits for each answer.

Laws: a few mistakes an hour cost nothing (`free`); only so many clients are held at once, the others are answered at once, so an attacker
cannot fill the process with connections that wait; the limit of refused recipients of a connection stands beside this.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from services.smtp_in.policy.allowance import Allowance
from services.smtp_in.policy.chain import Policy
from services.smtp_in.policy.pauses import Pauses
from services.smtp_in.policy.strangers import ENTRIES, Strangers
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.transaction import Transaction
from shared.net.networks import client_key

_HOUR = 3600.0
_GUESSES = (replies.USER_UNKNOWN, replies.RELAY_DENIED, replies.BAD_RECIPIENT)


@frozen
class TarpitLimits:
    """From the settings."""

    seconds: float
    """For each refusal beyond `free`; 0: none waits."""
    free: int
    """Refused recipients of a client in an hour that cost nothing."""
    at_once: int
    """Clients that are held."""


class Tarpit(Policy):
    """Stands around the policy that knows the recipients."""

    def __init__(
        self,
        inner: Policy,
        limits: TarpitLimits,
        strangers: Strangers,
        pauses: Pauses,
        count: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._inner = inner
        self._limits = limits
        self._strangers = strangers
        self._pauses = pauses
        self._count = count
        self._mistakes = Allowance(limits.free, _HOUR, ENTRIES, clock)
        self._nothing_free = limits.free == 0
        self.held = 0

    async def on_rcpt(self, transaction: Transaction, recipient: Mailbox) -> Reply | None:
        """The inner policy's reply, late where it says that there is no such recipient. Raises what that one raises."""
        reply = await self._inner.on_rcpt(transaction, recipient)
        client = transaction.client
        if reply not in _GUESSES or client not in self._strangers:
            return reply
        # Where addresses are hidden all count as one: an honest client's answer is late then, no more.
        if self._nothing_free or not self._mistakes.take(client_key(client.ip)):
            await self._hold()
        return reply

    async def _hold(self) -> None:
        if self.held >= self._limits.at_once or self._limits.seconds <= 0:
            return
        self._count("tarpitted")
        self.held += 1
        try:
            await self._pauses.pause(self._limits.seconds)
        finally:
            self.held -= 1
