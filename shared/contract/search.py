"""Search in the texts of messages, by the store's index."""

from typing import Protocol

from shared.contract.registry import Role, call
from shared.contract.search_types import SearchAnswer, SearchTerm
from shared.model.ids import Grant, MailboxId, Uid


class SearchApi(Protocol):
    @call(Role.IMAP)
    async def find(
        self, grant: Grant, mailbox_id: MailboxId, term: SearchTerm, first_uid: Uid, last_uid: Uid
    ) -> SearchAnswer:
        """Messages of a mailbox with UIDs in a range that hold a text; those that are not indexed are named and not looked into.

        Raises GrantExpired, NoSuchMailbox, NoPermission, BadRequest (a term that is too long).
        """
        ...
