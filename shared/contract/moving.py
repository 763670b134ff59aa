"""Mailboxes come from another server whole, or go to one: UIDVALIDITY, UIDs, UIDLs and dates as they were.

The administrator works on an account with a grant, as its owner would, and here on its own mailboxes alone; the calls on mailboxes and
messages that are needed for it are those of the other areas.
"""

from typing import Protocol

from shared.contract.moving_types import Identities, MovedMessage, MovedResult
from shared.contract.registry import Role, call
from shared.contract.types import LoginResult
from shared.model.ids import Grant, MailboxId, Uid


class MovingApi(Protocol):
    @call(Role.ADMIN)
    async def enter(self, address: str) -> LoginResult:
        """A grant for the administrator. Raises NotFound."""
        ...

    @call(Role.ADMIN, write=True)
    async def adopt(self, grant: Grant, mailbox_id: MailboxId, uidvalidity: int) -> int:
        """Give a mailbox without messages the UIDVALIDITY that it had elsewhere, its UIDs beginning at 1; the one that it has now.

        Nothing happens to a mailbox that holds messages. Raises NoSuchMailbox, BadRequest (0, or above UIDVALIDITY_MOST).
        """
        ...

    @call(Role.ADMIN)
    async def identities(self, grant: Grant, mailbox_id: MailboxId, after_uid: Uid) -> Identities:
        """A page of them, after a UID. Raises NoSuchMailbox."""
        ...

    @call(Role.ADMIN, write=True)
    async def file(
        self, grant: Grant, mailbox_id: MailboxId, messages: tuple[MovedMessage, ...], uid_next: Uid, over_quota: bool
    ) -> MovedResult:
        """File messages in one transaction, all or nothing; none of them is \\Recent. UIDs that are given ascend from UIDNEXT on.

        ``uid_next``: what UIDNEXT is to be at least afterwards. ``over_quota``: the account's limits do not count. Raises NoSuchMailbox,
        NoSuchUpload, OverQuota, LimitExceeded (keywords, UIDs), BadRequest.
        """
        ...
