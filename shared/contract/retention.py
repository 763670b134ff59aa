"""How long mail is kept: rules for mailboxes, accounts, and all of them."""

from typing import Protocol

from shared.contract.registry import Role, call
from shared.contract.retention_types import DuePage, Retention, RetentionRule
from shared.model.ids import MailboxId


class RetentionApi(Protocol):
    @call(Role.ADMIN)
    async def show(self) -> Retention: ...

    @call(Role.ADMIN, write=True)
    async def set(self, rule: RetentionRule) -> RetentionRule:
        """Make or replace the rule of an account and mailbox. Raises NotFound (account), BadRequest, LimitExceeded."""
        ...

    @call(Role.ADMIN, write=True)
    async def remove(self, address: str, mailbox: str) -> None:
        """Raises NotFound, BadRequest."""
        ...

    @call(Role.ADMIN)
    async def due(self, after: MailboxId) -> DuePage:
        """What the rules let go now, by mailbox, from the one after the given on; whether the clock is trusted or not."""
        ...

    @call(Role.ADMIN, write=True)
    async def expire(self, mailbox_id: MailboxId, trust_clock: bool) -> int:
        """Remove what a mailbox's rule lets go, a piece of it; how many (0: nothing is left to do).

        Without ``trust_clock`` nothing goes by its age while the clock is not trusted. Raises NoSuchMailbox.
        """
        ...
