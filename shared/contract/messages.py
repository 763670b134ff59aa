"""Messages: filing, reading, flags, copying, expunging. Message sets are packed u32 UIDs, never IMAP sequence sets.

Except where said otherwise, UIDs that are not there are passed over. All calls with a grant raise GrantExpired and NoSuchMailbox.
"""

from typing import Protocol

from shared.contract.append_types import AppendAllResult, AppendNamedResult, NewMessage, Replaced
from shared.contract.contents import Contents
from shared.contract.registry import Role, call
from shared.contract.reject_types import Rejected
from shared.contract.types import (
    AppendResult,
    ChangesPage,
    ContentRange,
    ContentSource,
    CopyResult,
    Delivery,
    DeliveryResult,
    ExpungeResult,
    FlagOperation,
    IndexRow,
    Maildrop,
    StoreFlagsResult,
)
from shared.model.ids import Grant, MailboxId, ModSeq, Uid
from shared.model.message_index import MessageIndex


class MessagesApi(Protocol):
    @call(Role.SMTP_IN, write=True)
    async def deliver(self, delivery: Delivery) -> DeliveryResult:
        """File local copies and queue remote recipients in one transaction; returns when it is durable.

        Raises NoSuchUpload, NotFound where an account is gone, GrantExpired where the submitting device is, OverQuota, OutOfSpace.
        """
        ...

    @call(Role.SMTP_IN, write=True)
    async def keep_rejected(self, rejected: Rejected) -> int:
        """File a message that was refused in the mailbox Rejects of its accounts; of how many. Who has no room for it is passed over.

        It goes by itself after ``smtp_in.keep_rejects_days``. Raises OutOfSpace, BadRequest.
        """
        ...

    @call(Role.IMAP, write=True)
    async def append(
        self,
        grant: Grant,
        mailbox_id: MailboxId,
        flags: tuple[str, ...],
        internal_date: int | None,
        content: ContentSource,
        index: MessageIndex,
    ) -> AppendResult:
        """IMAP APPEND, durable on return. ``internal_date`` None: now. Raises NoSuchUpload, OverQuota, LimitExceeded (keywords)."""
        ...

    @call(Role.IMAP, write=True)
    async def append_named(
        self,
        grant: Grant,
        name: str,
        flags: tuple[str, ...],
        internal_date: int | None,
        content: ContentSource,
        index: MessageIndex,
    ) -> AppendNamedResult:
        """As ``append``, into the mailbox of the account that has the name when the message is filed; not into another account's.

        For a message that is here already: nobody has to ask before who has the name.
        """
        ...

    @call(Role.IMAP, write=True)
    async def append_all(
        self, grant: Grant, mailbox_id: MailboxId, messages: tuple[NewMessage, ...], replaces: Replaced | None
    ) -> AppendAllResult:
        """Several messages (RFC 3502), or some for one that goes (RFC 8508), in one transaction: all or nothing.

        Raises as ``append`` does, and NoSuchMessage where the one to be replaced is gone. The quota sees what comes less what goes.
        """
        ...

    @call(Role.IMAP, Role.ADMIN)
    async def changes(
        self, grant: Grant, mailbox_id: MailboxId, since: ModSeq, after_uid: Uid, limit: int
    ) -> ChangesPage:
        """Messages with modseq above ``since`` and UID above ``after_uid``, at most ``limit`` (and at most 25,000)."""
        ...

    @call(Role.IMAP)
    async def fetch_index(self, grant: Grant, mailbox_id: MailboxId, uids: bytes, fields: int) -> tuple[IndexRow, ...]:
        """Index columns (``IndexField`` bits) of the messages, in the order asked, missing ones left out.

        The reply is cut at MAX_REPLY_OCTETS: at least one row, then as many as fit; the caller asks for what follows the last UID.
        """
        ...

    @call(Role.IMAP, Role.POP3)
    async def read(
        self, grant: Grant, mailbox_id: MailboxId, ranges: tuple[ContentRange, ...]
    ) -> tuple[bytes | None, ...]:
        """Bytes of contents, in the order asked; None for a message that is gone (expunged contents stay readable for a while).

        The reply is cut at MAX_REPLY_OCTETS: fewer answers than ranges mean "ask again for the rest"; a first range that is larger
        alone is answered with its beginning.
        """
        ...

    @call(Role.IMAP, Role.ADMIN)
    async def read_many(
        self, grant: Grant, mailbox_id: MailboxId, uids: bytes, starts: bytes, octets: bytes
    ) -> Contents:
        """As ``read``, for many messages at little cost: UIDs, where to start and how much (all packed u32).

        Empty ``starts``: all from their beginning; empty ``octets``: all to their end. Cut like ``read``: fewer lengths than UIDs
        mean "ask again for the rest", a first range that is larger alone is answered with its beginning.
        """
        ...

    @call(Role.IMAP, Role.ADMIN, write=True)
    async def store_flags(
        self,
        grant: Grant,
        mailbox_id: MailboxId,
        uids: bytes,
        operation: FlagOperation,
        flags: tuple[str, ...],
        unchanged_since: ModSeq | None,
    ) -> StoreFlagsResult:
        """Change flags. Messages that already are so keep their modseq. Raises LimitExceeded (keywords)."""
        ...

    @call(Role.IMAP, write=True)
    async def copy(self, grant: Grant, mailbox_id: MailboxId, uids: bytes, target: MailboxId) -> CopyResult:
        """All or nothing (RFC 3501 §6.4.7). Flags and dates are kept."""
        ...

    @call(Role.IMAP, write=True)
    async def move(self, grant: Grant, mailbox_id: MailboxId, uids: bytes, target: MailboxId) -> CopyResult:
        """RFC 6851, in one transaction. The stored UIDL and EMAILID move along."""
        ...

    @call(Role.IMAP, Role.ADMIN, write=True)
    async def expunge(
        self, grant: Grant, mailbox_id: MailboxId, uids: bytes | None, only_deleted: bool
    ) -> ExpungeResult:
        """Remove messages: of ``uids`` (None: all), and with ``only_deleted`` just those flagged \\Deleted."""
        ...

    @call(Role.POP3)
    async def maildrop(self, grant: Grant, mailbox: str, after_uid: Uid, limit: int) -> Maildrop:
        """A snapshot of a mailbox by name as the grant's device sees it, in pages of at most ``limit`` (and at most 10,000)."""
        ...
