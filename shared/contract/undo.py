"""An account is brought back to how it was at a time."""

from typing import Protocol

from shared.contract.registry import Role, call
from shared.contract.undo_types import UndoDone, UndoPlan, UndoStep


class UndoApi(Protocol):
    @call(Role.ADMIN)
    async def plan(self, address: str, at: float, mailbox: str, uids: bytes) -> UndoPlan:
        """What is to be done to have an account as it was at a time (seconds since 1970). Changes nothing.

        ``mailbox``: only what was in the mailbox that has this name now, or had it then; ``uids`` (packed u32): only these of it.
        What came later stays, and so do the mailboxes made later. Raises NotFound, BadRequest (out of the history's reach).
        """
        ...

    @call(Role.ADMIN, write=True)
    async def apply(self, address: str, step: UndoStep) -> UndoDone:
        """Do a step of a plan, of at most PIECE messages. What was done already is passed over.

        Raises NotFound, BadRequest, LimitExceeded.
        """
        ...
