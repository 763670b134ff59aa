"""Mailboxes of the grant's account. Names are Unicode with ``/`` between levels; INBOX in any case."""

from typing import Protocol

from shared.contract.registry import Role, call
from shared.contract.types import MailboxInfo, MailboxList, MailboxState
from shared.model.ids import Grant


class MailboxesApi(Protocol):
    @call(Role.IMAP)
    async def list(self, grant: Grant, after: str) -> MailboxList:
        """Mailboxes by name, those after a name (empty: from the first), cut at MAX_REPLY_OCTETS (``more``)."""
        ...

    @call(Role.IMAP, write=True)
    async def create(self, grant: Grant, name: str, special_use: str) -> MailboxInfo:
        """Make a mailbox and the missing levels above it. Raises MailboxExists, InvalidMailboxName, LimitExceeded."""
        ...

    @call(Role.IMAP, write=True)
    async def delete(self, grant: Grant, name: str) -> None:
        """RFC 3501 §6.3.4. A mailbox with levels below it goes; they stay. Raises NoSuchMailbox, CannotChangeMailbox (INBOX)."""
        ...

    @call(Role.IMAP, write=True)
    async def rename(self, grant: Grant, name: str, new_name: str) -> None:
        """RFC 3501 §6.3.5, with all levels below. INBOX: its messages move, INBOX stays. Raises as create and delete do."""
        ...

    @call(Role.IMAP, write=True)
    async def subscribe(self, grant: Grant, name: str, subscribed: bool) -> None:
        """The name need not exist (RFC 3501 §6.3.6)."""
        ...

    @call(Role.IMAP)
    async def status(self, grant: Grant, name: str) -> MailboxState:
        """Counters, claiming nothing. Raises NoSuchMailbox."""
        ...

    @call(Role.IMAP, write=True)
    async def select(self, grant: Grant, name: str, claim_recent: bool) -> MailboxState:
        """As status; with ``claim_recent`` the messages that no session has seen become this session's \\Recent ones."""
        ...
