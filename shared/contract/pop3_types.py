"""What travels about POP3 and what its devices have seen."""

import attrs

from shared.model.pop3 import Dele


@attrs.frozen
class Pop3Finished:
    """How a session's end changed the mailbox."""

    removed: int
    """Messages that are gone from the maildrop now: for good, into the trash, or from this device's view."""
    repeats: bool
    """The device has fetched nearly everything again, this time and the time before."""


@attrs.frozen
class Pop3State:
    """What POP3 does for an account."""

    address: str
    dele: Dele
    keep_days: int
    """After so many days what is hidden is removed; 0: never."""
    own_dele: Dele | None
    """The account's own; None: as the settings say."""
    own_keep_days: int | None
