"""What happened to messages, kept for a time (``store.history_days``) so that people can ask where a mail is."""

from typing import Protocol

from shared.contract.history_types import History, Passage
from shared.contract.registry import Role, call


class HistoryApi(Protocol):
    @call(Role.SMTP_IN, write=True)
    async def note(self, passages: tuple[Passage, ...]) -> None:
        """Keep what never reached the store as a message: REFUSED passages, at most MAX_NOTED. Raises BadRequest.

        What the store does itself it notes itself, with the change.
        """
        ...

    @call(Role.ADMIN)
    async def find(self, query: str, stories: int) -> History:
        """The newest stories (at most so many) of a trace id, an address (sender or recipient), or a domain (``@example.org``).

        Raises BadRequest for an empty query or one that is too long.
        """
        ...
