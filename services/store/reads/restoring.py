"""What an account holds, for who brings back what it does not."""

from typing import Final

from services.store.domain.addresses import InvalidAddressError, normalize_address
from services.store.readers import Snapshot
from services.store.sql.statements import directory, messages
from shared.contract.restore_types import HeldContents
from shared.errors import NotFound

PAGE: Final = 10_000
"""Contents in one answer: 320 KB of digests."""


def held_contents(snapshot: Snapshot, address: str, after: int, *, in_trash: bool) -> HeldContents:
    """Raises NotFound."""
    try:
        account = directory.ACCOUNT_ID.one(snapshot.cursor, normalize_address(address))
    except InvalidAddressError:
        account = None
    if account is None:
        raise NotFound(address)
    statement = messages.HELD_IN_TRASH if in_trash else messages.HELD_ELSEWHERE
    rows = statement.all(snapshot.cursor, account[0], after, PAGE)
    return HeldContents(b"".join(digest for _, digest in rows), rows[-1][0] if len(rows) == PAGE else 0)
