"""Tells the client of a long search that it is still under way, RFC 9585 §3.

Nothing in the first seconds: most searches never say anything. The clock is given, so that a test needs none.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from services.imap.protocol.search_responses import build_progress

SECONDS: Final = 5.0
"""Between two notes, and before the first."""


class Progress:
    """Of one command. ``total``: messages that may have to be looked at; it never says more than 99 of 100 before the end."""

    def __init__(self, tag: bytes, write: Callable[[bytes], Awaitable[None]], clock: Callable[[], float]) -> None:
        self._tag = tag
        self._write = write
        self._clock = clock
        self._due = clock() + SECONDS
        self._done = 0
        self.total = 0

    async def note(self, messages: int) -> None:
        """So many more messages are done."""
        self._done += messages
        now = self._clock()
        if now >= self._due and self.total:
            self._due = now + SECONDS
            # RFC 9585 §3: progress is below the goal as long as the command runs
            await self._write(build_progress(self._tag, min(self._done, self.total - 1), self.total))
