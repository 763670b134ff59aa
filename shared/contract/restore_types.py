"""What travels when messages of a backup come back into a running store."""

import attrs

from shared.contract.types import ContentSource
from shared.model.message_index import MessageIndex


@attrs.frozen
class HeldContents:
    """What an account holds, by content."""

    digests: bytes
    """BLAKE2b-256 of contents, 32 octets each."""
    next: int
    """Ask on after this; 0: there is no more."""


@attrs.frozen
class RestoredMessage:
    """A message as it was, but for its UID."""

    flags: tuple[str, ...]
    internal_date: int
    email_id: int
    thread_id: int
    uidl: str
    content: ContentSource
    index: MessageIndex
