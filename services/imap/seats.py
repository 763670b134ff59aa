"""Who sits at a view: sessions of its owner and of accounts that it is shared with, each with its own grant and rights.

Laws:
- The view asks the store with the grant of one of its sessions. When that grant no longer opens the mailbox, its sessions are lost,
  the others go on with another grant: one guest's leaving disturbs nobody.
- When the store says that the mailbox's rights have changed (``acl_version``), each guest's are asked for again: who may no longer read
  is lost at once, who may do more or less is told so (RFC 4314 §5.1.1).
"""

from collections.abc import Iterable

import attrs

from shared.errors import GrantExpired, NoPermission, NoSuchMailbox, StoreError
from shared.model.ids import Grant
from shared.model.rights import ALL_RIGHTS, READ_WRITE_RIGHTS, Rights

GONE = (NoSuchMailbox, NoPermission, GrantExpired)
"""What a grant that opens a mailbox no longer is answered with."""


@attrs.define(eq=False)
class Seat:
    """One session at a view. ``own``: of the mailbox's owner, whose rights never change."""

    grant: Grant
    own: bool = True
    rights: Rights = ALL_RIGHTS
    acl_version: int = 0
    """When ``rights`` were asked for."""
    told: Rights = attrs.field(init=False)
    """What the client knows of ``rights``, by PERMANENTFLAGS."""
    lost: StoreError | None = None
    """Why the session must leave."""

    def __attrs_post_init__(self) -> None:
        self.told = self.rights

    @property
    def may_write(self) -> bool:
        """RFC 4314 §5.2: READ-WRITE."""
        return bool(self.rights & READ_WRITE_RIGHTS)


def expel(seats: Iterable[Seat], grant: Grant, error: StoreError) -> Grant | None:
    """A grant opens the mailbox no longer: its seats are lost. Another one to go on with; None: nobody is left."""
    others = None
    for seat in seats:
        if seat.grant == grant:
            seat.lost = error
        elif seat.lost is None:
            others = seat.grant
    return others
