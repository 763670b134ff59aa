"""POP3: what a device has seen, and what DELE means. The maildrop itself is ``messages.maildrop``."""

from typing import Protocol

from shared.contract.pop3_types import Pop3Finished, Pop3State
from shared.contract.registry import Role, call
from shared.model.ids import Grant, MailboxId
from shared.model.pop3 import Dele


class Pop3Api(Protocol):
    @call(Role.POP3, write=True)
    async def finish(
        self, grant: Grant, mailbox_id: MailboxId, fetched: bytes, deleted: bytes, messages: int
    ) -> Pop3Finished:
        """A session ends: what it fetched and deleted (packed u32), of so many messages. One transaction, durable on return.

        What ``deleted`` means is the account's to say. UIDs that are gone count as removed. Raises GrantExpired, NoSuchMailbox,
        BadRequest, LimitExceeded (too many scattered hidden messages; nothing is changed then).
        """
        ...

    @call(Role.ADMIN)
    async def show(self, address: str) -> Pop3State:
        """Raises NotFound."""
        ...

    @call(Role.ADMIN, write=True)
    async def set(self, address: str, dele: Dele | None, keep_days: int | None) -> Pop3State:
        """The account's own (None: those of the settings). Raises NotFound, BadRequest."""
        ...
