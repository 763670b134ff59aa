"""How much an account may send on one day, so that a stolen password does not burn its address: pure rules.

A day is one of UTC. What counts as a message is a recipient elsewhere: copies for accounts here harm nobody's name outside. A
recipient is new when the account has not sent to the address before; where an alias of ours leads to, its administrator has
chosen, and is never new. A message is taken for all of its recipients or for none.
"""

from collections.abc import Iterable
from typing import Final

import attrs

from services.store.domain.addresses import normalize_address
from shared.contract.sending_types import SendingAllowance, SendingState
from shared.contract.types import RemoteRecipient
from shared.errors import MessagesReached, NewRecipientsReached

DAY_SECONDS: Final = 86400
LIMIT_MAX: Final = 100_000_000


@attrs.frozen
class DailyLimits:
    """0: none."""

    messages: int = 0
    new_recipients: int = 0


@attrs.frozen
class Sent:
    """What was sent on a day."""

    day: int
    messages: int = 0
    new_recipients: int = 0

    def on(self, day: int) -> "Sent":
        """As it stands on a day. Any other day begins anew, also an earlier one: a clock that was wrong locks nobody out."""
        return self if self.day == day else Sent(day)


@attrs.frozen
class Account:
    """An account's counters and its own limits."""

    address: str
    sent: Sent
    told_day: int = 0
    """When its owner was last told that a limit was reached."""
    own_messages: int | None = None
    own_new_recipients: int | None = None

    def limits(self, defaults: DailyLimits) -> DailyLimits:
        return DailyLimits(
            defaults.messages if self.own_messages is None else self.own_messages,
            defaults.new_recipients if self.own_new_recipients is None else self.own_new_recipients,
        )


def day_of(seconds: float) -> int:
    """Days since 1970."""
    return int(seconds // DAY_SECONDS)


def charge(sent: Sent, limits: DailyLimits, messages: int, new_recipients: int) -> Sent:
    """With so much more. Raises MessagesReached, NewRecipientsReached."""
    after = Sent(sent.day, sent.messages + messages, sent.new_recipients + new_recipients)
    if messages and limits.messages and after.messages > limits.messages:
        raise MessagesReached(f"{limits.messages} a day")
    # known recipients are never refused for it, whatever was sent before the limit was lowered
    if new_recipients and limits.new_recipients and after.new_recipients > limits.new_recipients:
        raise NewRecipientsReached(f"{limits.new_recipients} a day")
    return after


def allowance(account: Account, defaults: DailyLimits, day: int) -> SendingAllowance:
    """What is left of a day."""
    sent, limits = account.sent.on(day), account.limits(defaults)
    return SendingAllowance(_left(limits.messages, sent.messages), _left(limits.new_recipients, sent.new_recipients))


def _left(limit: int, used: int) -> int | None:
    return max(limit - used, 0) if limit else None


def state(account: Account, defaults: DailyLimits, day: int) -> SendingState:
    """For the administrator."""
    sent, limits = account.sent.on(day), account.limits(defaults)
    return SendingState(
        account.address,
        sent.messages,
        limits.messages or None,
        sent.new_recipients,
        limits.new_recipients or None,
        account.own_messages,
        account.own_new_recipients,
    )


def chosen_recipients(remote: Iterable[RemoteRecipient]) -> list[str]:
    """Addresses, as compared, that the sender itself has named. Raises InvalidAddressError."""
    return list(dict.fromkeys(normalize_address(recipient.address) for recipient in remote if not recipient.original))
