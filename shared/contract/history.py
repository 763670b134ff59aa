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

    @call(Role.ADMIN)
    async def sent_by(self, account: str, query: str, stories: int) -> History:
        """As ``find``, of what an account submitted only, without where others filed it; an empty query: all of it.

        Raises BadRequest, NotFound.
        """
        ...

    @call(Role.ADMIN)
    async def dialogues(self, numbers: tuple[int, ...]) -> tuple[bytes, ...]:
        """Kept SMTP dialogues (``shared.model.dialogue``) by their numbers, at most MAX_DIALOGUES; empty where one is gone."""
        ...
