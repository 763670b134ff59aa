"""Mailboxes that the grant's account may see. Names are Unicode with ``/`` between levels; INBOX in any case.

Mailboxes of other accounts are called ``shared/<address of the owner>/<mailbox>`` (``shared.model.namespace``). Every call raises
NoSuchMailbox where the account may not know of a mailbox, and NoPermission where it may and lacks the right (RFC 4314 §4, §6).
"""

from typing import Protocol

from shared.contract.mailbox_types import ListScope, MailboxAccess, MailboxInfo, MailboxList
from shared.contract.registry import Role, call
from shared.contract.types import MailboxState
from shared.model.ids import Grant, MailboxId


class MailboxesApi(Protocol):
    @call(Role.IMAP, Role.ADMIN)
    async def list(self, grant: Grant, after: str, scope: ListScope) -> MailboxList:
        """A page of names, INBOX first, then in the order of code points; after where the last page ended (empty: from the first).

        ALL and SPECIAL_USE are of the account's own mailboxes. A level that is no mailbox comes right before the first name below it.
        """
        ...

    @call(Role.IMAP)
    async def list_shared(self, grant: Grant, after: str) -> MailboxList:
        """A page of other accounts' mailboxes that this one may see, with the levels above them; by owner, then name."""
        ...

    @call(Role.IMAP)
    async def infos(self, grant: Grant, names: tuple[str, ...]) -> tuple[MailboxInfo, ...]:
        """What the lists would tell of at most 400 names, in the order asked; number 0: there is no such mailbox to be seen."""
        ...

    @call(Role.IMAP)
    async def locate(self, grant: Grant, name: str) -> MailboxAccess:
        """A mailbox on which the account has any right that shows it (RFC 4314 §4, MYRIGHTS). Raises NoSuchMailbox."""
        ...

    @call(Role.IMAP)
    async def rights(self, grant: Grant, mailbox_id: MailboxId) -> int:
        """What the account may do with a mailbox that it may read. Raises NoSuchMailbox, NoPermission."""
        ...

    @call(Role.IMAP, Role.ADMIN, write=True)
    async def create(self, grant: Grant, name: str, special_use: str) -> MailboxInfo:
        """Make a mailbox and the missing levels above it; rights are taken over from the nearest level above.

        Raises MailboxExists, InvalidMailboxName, LimitExceeded.
        """
        ...

    @call(Role.IMAP, write=True)
    async def delete(self, grant: Grant, name: str) -> None:
        """RFC 3501 §6.3.4. A mailbox with levels below it goes; they stay. Raises NoSuchMailbox, CannotChangeMailbox (INBOX)."""
        ...

    @call(Role.IMAP, write=True)
    async def rename(self, grant: Grant, name: str, new_name: str) -> None:
        """RFC 3501 §6.3.5, with all levels below. INBOX: its messages move, INBOX stays. Raises as create and delete do."""
        ...

    @call(Role.IMAP, Role.ADMIN, write=True)
    async def subscribe(self, grant: Grant, name: str, subscribed: bool) -> None:
        """The name need not exist (RFC 3501 §6.3.6)."""
        ...

    @call(Role.IMAP, Role.ADMIN)
    async def status(self, grant: Grant, name: str) -> MailboxState:
        """Counters, claiming nothing. Raises NoSuchMailbox."""
        ...

    @call(Role.IMAP)
    async def statuses(
        self, grant: Grant, names: tuple[str, ...], deleted_octets: bool
    ) -> tuple[MailboxState | None, ...]:
        """As status, of at most 1,000 mailboxes at once, without their keywords; None: there is none that may be read.

        ``deleted_octets`` are counted where asked for: that looks at the messages.
        """
        ...

    @call(Role.IMAP, write=True)
    async def select(self, grant: Grant, name: str, claim_recent: bool) -> MailboxState:
        """As status; with ``claim_recent`` the messages that no session has seen become this session's \\Recent ones."""
        ...
