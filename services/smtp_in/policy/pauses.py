"""Waits that we impose on a client: bounded in time, and over at once when the service stops.

A pause holds the connection and the task that it has anyway, nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

_T = TypeVar("_T")


class Pauses:
    """All pauses of the process."""

    def __init__(self) -> None:
        self._scopes: set[trio.CancelScope] = set()
        self.ended = False

    @property
    def waiting(self) -> int:
        """Clients that wait now."""
        return len(self._scopes)

    async def pause(self, seconds: float, until: Callable[[], Awaitable[_T]] = trio.sleep_forever) -> _T | None:
        """Wait for `seconds`, or until `until` returns: then its result. None at the end of the time, or of the service."""
        if self.ended or seconds <= 0:
            return None
        with trio.move_on_after(seconds) as scope:
            self._scopes.add(scope)
            try:
                return await until()
            finally:
                self._scopes.discard(scope)
        return None

    def end(self) -> None:
        """The service stops: nobody is made to wait any more."""
        self.ended = True
        for scope in self._scopes:
            scope.cancel()
