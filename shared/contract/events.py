"""Watches: the store pushes ``changed [watch, modseq]`` notifications, coalesced, after the commit. They end with the connection."""

from typing import Final, Protocol

from shared.contract.registry import Role, call
from shared.contract.types import AccountChanges
from shared.model.ids import Grant, MailboxId

CHANGED: Final = "changed"
"""Method name of the notification; its parameters: watch number, modseq (mailbox and account watches) or 0 (queue)."""


class EventsApi(Protocol):
    @call(Role.IMAP, Role.POP3)
    async def watch_mailbox(self, grant: Grant, mailbox_id: MailboxId, watch: int) -> int:
        """Watch a mailbox under a number of the caller's choice; its highest modseq now. Raises NoSuchMailbox, LimitExceeded."""
        ...

    @call(Role.IMAP)
    async def watch_account(self, grant: Grant, watch: int) -> int:
        """Watch the account's list of mailboxes and all of its mailboxes' counters, and those of mailboxes that others share with it."""
        ...

    @call(Role.IMAP)
    async def account_changes(self, grant: Grant, after: int, after_name: str) -> AccountChanges:
        """What is different since the commit ``after``: the mailboxes that changed; everything where the store cannot tell, or at 0.

        Watch the account first. ``after_name``: with ``after`` 0, the next page of everything; its first page has the number that counts.
        """
        ...

    @call(Role.IMAP)
    async def shared_mailboxes(self, grant: Grant, after_name: str) -> AccountChanges:
        """The rest of everything: a page of others' mailboxes that the account may see, from ``after_name`` on.

        Ask after ``account_changes`` wherever its answer is ``complete``; the number that counts is that of its first page.
        """
        ...

    @call(Role.SMTP_OUT)
    async def watch_queue(self, watch: int) -> int:
        """Told when entries were queued or made due."""
        ...

    @call(Role.IMAP, Role.POP3, Role.SMTP_OUT)
    async def unwatch(self, watch: int) -> None:
        """End a watch; unknown ones are no error."""
        ...
