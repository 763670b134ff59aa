"""What travels when mailboxes come from another server, or go to one."""

from typing import Final

import attrs

from shared.contract.types import ContentSource
from shared.model.ids import Uid
from shared.model.message_index import MessageIndex

DIGEST_OCTETS: Final = 32
UIDVALIDITY_MOST: Final = 0xF000_0000
"""What a mailbox may be given: the store's own count goes on above it, and needs room (RFC 3501 §2.3.1.1: 32 bits)."""
MAX_MOVED: Final = 2000
"""Messages in one call."""


@attrs.frozen
class MovedMessage:
    """A message with what it had on the other server."""

    uid: Uid
    """0: the next one."""
    flags: tuple[str, ...]
    internal_date: int
    uidl: str
    """1 to 70 characters (RFC 1939 §7), or empty: a new one."""
    content: ContentSource
    index: MessageIndex | None
    """None: it went with the upload (``content.describe_upload``)."""


@attrs.frozen
class MovedResult:
    uids: bytes
    """u32, in the order of the messages"""
    uid_next: Uid


@attrs.frozen
class Identities:
    """By which the messages of a mailbox are known again, by ascending UID."""

    uids: bytes
    """u32"""
    digests: bytes
    """BLAKE2b-256 of each content, one behind the other"""
    uidls: tuple[str, ...]
    vanished: bytes
    """u32: UIDs that were here and are expunged, as far as they are remembered; only on the first page"""
    more: bool
