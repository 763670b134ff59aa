"""What travels about how much an account may send on one day."""

from enum import StrEnum

import attrs


class SendingLimit(StrEnum):
    """What was used up."""

    MESSAGES = "messages"
    NEW_RECIPIENTS = "new recipients"


@attrs.frozen
class SendingAllowance:
    """What an account may still send today (None: no limit)."""

    messages: int | None
    """Recipients elsewhere: each gets a message of its own."""
    new_recipients: int | None
    """Of those, addresses that the account has not sent to before."""


@attrs.frozen
class SendingState:
    """What an account has sent today and may send on one day (None: no limit)."""

    address: str
    messages: int
    most_messages: int | None
    new_recipients: int
    most_new_recipients: int | None
    own_messages: int | None
    """The account's own limit (0: none); None: that of the settings."""
    own_new_recipients: int | None
