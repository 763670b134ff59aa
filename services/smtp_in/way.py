"""From what MAIL and the header ask for to the wishes that the store keeps. The clock is passed in.

Laws
- A message is held until the later of what its sender asks for and `hold_seconds`, in which what accounts submit can be taken back.
- The time of BY runs from when the message may leave.
- TLS-Required counts only without REQUIRETLS, and for everybody's mail (RFC 8689 §4.1).
"""

from __future__ import annotations

from collections.abc import Callable

from services.smtp_in.policy.chain import Policy
from services.smtp_in.protocol import replies
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.protocol.way import Asked
from services.smtp_in.transaction import Transaction
from shared.contract.wishes_types import NO_WISHES, ByMode, TlsWish, Wishes


def wishes_of(asked: Asked, now: float, *, hold_seconds: float, tls_optional: bool) -> Wishes:
    """``hold_seconds``: of what the account submits; ``tls_optional``: the header says TLS-Required: No."""
    until = asked.hold_until or (now + asked.hold_seconds if asked.hold_seconds else 0.0)
    if hold_seconds:
        until = max(until, now + hold_seconds)
    tls = TlsWish.REQUIRED if asked.require_tls else TlsWish.OPTIONAL if tls_optional else TlsWish.ANY
    if not (until or asked.by_mode or tls):
        return NO_WISHES
    by = max(now, until) + asked.by_seconds if asked.by_mode else 0.0
    return Wishes(tls, until, by, ByMode(asked.by_mode), asked.by_trace)


class HoldLimit(Policy):
    """Refuses a HOLDUNTIL that is over, or too far off (RFC 4865)."""

    def __init__(self, clock: Callable[[], float], most_seconds: float) -> None:
        self._clock = clock
        self._most_seconds = most_seconds

    async def on_mail(self, transaction: Transaction) -> Reply | None:
        """Never raises."""
        until = transaction.mail.asked.hold_until
        if until is None:
            return None
        now = self._clock()
        if until <= now:
            return replies.HELD_UNTIL_PAST
        return replies.HELD_TOO_LONG if until > now + self._most_seconds else None
