"""The end of a session at the store: one call that removes what was deleted and remembers what was fetched.

Laws:
- The store is told once, at QUIT or however else the session ends, never while it goes on.
- Without QUIT nothing is removed, and the call is given little time: what was fetched is worth knowing, not worth waiting for.
"""

from __future__ import annotations

from array import array
from typing import Final

import trio

from services.pop3.maildrop import Maildrop
from shared.contract.pop3_types import Pop3Finished
from shared.errors import StoreError
from shared.observe.log import Logger

REMEMBER_SECONDS: Final = 5.0
"""Below what a supervisor waits for a service to end."""


class Ending:
    """Of one session."""

    def __init__(self, maildrop: Maildrop, log: Logger, address: str, device: str | None) -> None:
        """``device``: name of the app password, None for the main password."""
        self._maildrop = maildrop
        self._log = log
        self._address = address
        self._device = device
        self._told = False

    async def remove(self, uids: array[int]) -> bool:
        """QUIT: whether all of it is durable now."""
        if not uids:
            await self.remember()
            return True
        self._told = True
        try:
            self._hint(await self._maildrop.finish(uids))
        except StoreError as error:
            self._log.error("removal failed", messages=len(uids), error=error)
            return False
        return True

    async def remember(self) -> None:
        """What was fetched, if anything, and unless the store was told. A failure costs no more than that knowledge."""
        if self._told:
            return
        self._told = True
        with trio.move_on_after(REMEMBER_SECONDS, shield=True) as scope:
            try:
                self._hint(await self._maildrop.finish(array("I")))
            except StoreError as error:
                self._log.warning("not remembered what was fetched", account=self._address, error=error)
        if scope.cancelled_caught:
            self._log.warning("not remembered what was fetched", account=self._address, error="the store is away")

    def _hint(self, finished: Pop3Finished | None) -> None:
        if finished is not None and finished.repeats:
            self._log.warning(
                "this device downloads everything again each time",
                account=self._address,
                device=self._device,
                messages=len(self._maildrop.drop),
                hint="have it remember what it has (UIDL), or delete on the server after download, or use IMAP",
            )
