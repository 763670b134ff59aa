"""Search in the texts of messages."""

from services.store.core import Core
from shared.contract.search_types import SearchAnswer, SearchTerm
from shared.model.ids import Grant, MailboxId, Uid
from shared.rpc.server import Call


class SearchArea:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def find(
        self, call: Call, grant: Grant, mailbox_id: MailboxId, term: SearchTerm, first_uid: Uid, last_uid: Uid
    ) -> SearchAnswer:
        account = self._core.account_of(call, grant)
        return await self._core.search.find(account, mailbox_id, term, first_uid, last_uid)
