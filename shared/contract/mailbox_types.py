"""What travels in lists of mailboxes."""

from enum import StrEnum

import attrs

from shared.model.ids import MailboxId
from shared.model.rights import ALL_RIGHTS_BITS


class ListOnly(StrEnum):
    """Which names a listing holds."""

    ALL = ""
    """Mailboxes, and the levels above them that are no mailboxes themselves."""
    SUBSCRIBED = "subscribed"
    """Subscribed names, whether or not there is such a mailbox, of other accounts too."""
    SPECIAL_USE = "special use"


@attrs.frozen
class ListScope:
    """What of all names a listing is to hold."""

    only: ListOnly = ListOnly.ALL
    prefix: str = ""
    """Names that begin with it."""
    levels: int = 0
    """ALL: what is deeper than so many levels is left out, but for the levels above it that are no mailboxes; 0: nothing."""


@attrs.frozen
class MailboxInfo:
    mailbox_id: MailboxId
    """0: there is no such mailbox, only names below it, or a subscription."""
    name: str
    """Unicode, levels divided by ``/``; ``INBOX`` in capitals. Other accounts': ``shared/<address>/<mailbox>``."""
    special_use: str
    """``\\Sent`` and the like (RFC 6154 §2), or empty."""
    subscribed: bool
    uidvalidity: int
    has_children: bool = False
    """Whether there are mailboxes below it that the account may see."""
    rights: int = ALL_RIGHTS_BITS
    """What the account may do, see ``shared.model.rights``."""


@attrs.frozen
class MailboxList:
    """``next``: where to go on (``after``); empty: that was all."""

    mailboxes: tuple[MailboxInfo, ...]
    next: str = ""


@attrs.frozen
class MailboxAccess:
    """A mailbox that an account knows of, by its name."""

    mailbox_id: MailboxId
    name: str
    rights: int
    own: bool
    owner: str
    """Address."""
