"""What accounts have sent and may send, and whom they have sent to before."""

from collections.abc import Sequence

from services.store.domain.addresses import InvalidAddressError, normalize_address
from services.store.domain.sending import Account, Sent
from services.store.readers import Snapshot
from services.store.sql.prepared import Cursor
from services.store.sql.statements import directory, sending
from shared.errors import GrantExpired, NotFound


def account_of(cursor: Cursor, account_id: int) -> Account:
    """Raises GrantExpired where the account is gone."""
    row = sending.STATE.one(cursor, account_id)
    if row is None:
        raise GrantExpired
    address, day, messages, new_recipients, told_day, *own = row
    if day is None:
        return Account(address, Sent(0))
    return Account(address, Sent(day, messages, new_recipients), told_day, *own)


def find_account(cursor: Cursor, address: str) -> int:
    """Raises NotFound."""
    try:
        row = directory.ACCOUNT_ID.one(cursor, normalize_address(address))
    except InvalidAddressError:
        row = None
    if row is None:
        raise NotFound(address)
    return int(row[0])


def known_days(cursor: Cursor, account_id: int, addresses: Sequence[str]) -> dict[str, int]:
    """When an account last sent to those of the addresses (as compared) that it has sent to."""
    return dict(sending.KNOWN.all(cursor, addresses, account_id))


def account(snapshot: Snapshot, account_id: int) -> Account:
    """Raises GrantExpired."""
    return account_of(snapshot.cursor, account_id)


def account_named(snapshot: Snapshot, address: str) -> Account:
    """Raises NotFound."""
    return account_of(snapshot.cursor, find_account(snapshot.cursor, address))


def known(snapshot: Snapshot, account_id: int, addresses: Sequence[str]) -> tuple[str, ...]:
    """Those that the account has sent to, as given."""
    normal: dict[str, str] = {}
    for address in addresses:
        try:
            normal[address] = normalize_address(address)
        except InvalidAddressError:
            continue
    found = known_days(snapshot.cursor, account_id, list(set(normal.values())))
    return tuple(address for address in addresses if normal.get(address) in found)


def accounts_with_known_above(snapshot: Snapshot, most: int) -> list[int]:
    """Accounts for which more recipients are remembered than should be."""
    return [row[0] for row in sending.KNOWN_ABOVE.all(snapshot.cursor, most)]
