"""What travels with ``content.add_contents``, ``messages.append_named`` and ``messages.append_all``: a message into a mailbox by its name,
several at once (RFC 3502), or in the place of another (RFC 8508)."""

import attrs

from shared.contract.types import ContentSource
from shared.model.ids import MailboxId, ModSeq, Uid
from shared.model.message_index import MessageIndex


@attrs.frozen
class AppendNamedResult:
    mailbox_id: MailboxId
    """Of the mailbox that has the name."""
    uidvalidity: int
    uid: Uid
    modseq: ModSeq


@attrs.frozen
class SmallContent:
    """One of several messages that share an upload."""

    data: bytes = attrs.field(repr=False)
    index: MessageIndex


@attrs.frozen
class NewMessage:
    """One of several messages of an ``append_all``."""

    flags: tuple[str, ...]
    internal_date: int | None
    """None: now."""
    content: ContentSource
    index: MessageIndex | None
    """None: it went with the upload (``content.describe_upload``, ``content.add_contents``)."""


@attrs.frozen
class Replaced:
    """The message that goes when new ones come (RFC 8508)."""

    mailbox_id: MailboxId
    uid: Uid


@attrs.frozen
class AppendAllResult:
    uidvalidity: int
    uids: bytes
    """u32, in the order of the messages"""
    modseq: ModSeq
    replaced_modseq: ModSeq = ModSeq(0)
    """Of the expunge in the mailbox of the message that was replaced; 0: there was none to replace."""
