"""What happened to messages: passages, as they are kept for the administrator and for ``pillarbox trace``."""

from enum import StrEnum
from typing import Final

import attrs

from shared.contract.queue_types import QueueItem
from shared.model.ids import AccountId, EntryId, MailboxId, Uid

MAX_TEXT_CHARACTERS: Final = 400
MAX_ADDRESS_CHARACTERS: Final = 320
MAX_LISTED_RECIPIENTS: Final = 20
MAX_NOTED: Final = 200
"""Passages that one call may bring."""
MAX_DIALOGUES: Final = 40
"""That one call may ask for."""


class PassageKind(StrEnum):
    ACCEPTED = "accepted"
    """Taken over, filed and queued: from here on it is ours."""
    REFUSED = "refused"
    """The client was told so, and is to tell the sender."""
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"
    REPORTED = "reported"
    """A delivery report (DSN) was filed or queued for the sender."""
    REMOVED = "removed"
    """Taken out of the queue by an administrator."""
    FILED = "filed"
    """Held until now, then filed for recipients here."""
    RECALLED = "recalled"
    """Taken back before it left."""


@attrs.frozen
class FiledAs:
    """A local copy as it was filed."""

    address: str
    """The recipient that it was filed for."""
    account_id: AccountId
    mailbox_id: MailboxId
    uid: Uid
    email_id: int
    """Stays the same wherever the message is moved to (RFC 8474 §5.1)."""


@attrs.frozen
class Passage:
    """One thing that happened to a message. Texts and lists are cut to the bounds above."""

    trace: str
    kind: PassageKind
    at: float
    """Seconds since 1970."""
    sender: str
    """The reverse-path, empty for ``<>``."""
    recipients: tuple[str, ...]
    recipient_count: int = 0
    octets: int = 0
    client: str = ""
    """Where it came from: address and HELO name."""
    account_id: AccountId | None = None
    """Who submitted it."""
    account: str = ""
    """The same as an address; filled in by the store when it is read."""
    code: int = 0
    """Of the SMTP reply, 0 where there was none."""
    text: str = ""
    """Of the reply; with ACCEPTED: what the checks found."""
    remote: str = ""
    """The host that answered."""
    tls: str = ""
    seconds: float = 0.0
    copies: tuple[FiledAs, ...] = ()
    entries: tuple[EntryId, ...] = ()
    """Of the queue."""
    dialogue: int = 0
    """Number of the kept SMTP dialogue, 0: none."""


@attrs.frozen
class Whereabouts:
    """A local copy as it is now."""

    account: str
    mailbox: str
    uid: Uid
    flags: tuple[str, ...]
    email_id: int


@attrs.frozen
class History:
    """What is known, oldest first, whole stories only."""

    passages: tuple[Passage, ...]
    now: tuple[Whereabouts, ...]
    """Copies that are still there; only when the question was about one message."""
    waiting: tuple[QueueItem, ...]
    """What of it is still in the queue."""
    more: bool
    """Older stories match, too."""
