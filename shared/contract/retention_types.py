"""What travels about how long mail is kept."""

from typing import Final

import attrs

from shared.model.ids import MailboxId

MAX_DAYS: Final = 36_500
MAX_MESSAGES: Final = 1_000_000_000
EVERY_ACCOUNT: Final = ""
EVERY_MAILBOX: Final = ""


@attrs.frozen
class RetentionRule:
    """How long messages stay; what any of the three says goes. None of them: for ever."""

    address: str
    """Of the account, or EVERY_ACCOUNT."""
    mailbox: str
    r"""Its name, a special use (``\Trash``), or EVERY_MAILBOX."""
    days: int | None = None
    """Since they came into the mailbox (SAVEDATE), 1 to MAX_DAYS."""
    messages: int | None = None
    """The newest so many, 1 to MAX_MESSAGES."""
    downloaded_days: int | None = None
    """Whole days since some device first fetched them from this mailbox by POP3, 1 to MAX_DAYS."""


@attrs.frozen
class Retention:
    """All rules, and whether the clock is trusted."""

    rules: tuple[RetentionRule, ...]
    looked_at: float
    """When the store last looked for what may go (seconds since 1970; 0: not yet)."""
    held_until: float
    """Until then nothing goes by its age, since the clock jumped (0: it goes)."""


@attrs.frozen
class Due:
    """What a rule lets go of one mailbox now."""

    address: str
    mailbox_id: MailboxId
    mailbox: str
    rule: RetentionRule
    messages: int
    octets: int
    oldest: int
    newest: int
    """Seconds since 1970: when the first and the last of them came into the mailbox."""


@attrs.frozen
class DuePage:
    due: tuple[Due, ...]
    next: MailboxId
    """Ask on after this mailbox; 0: that was all."""
