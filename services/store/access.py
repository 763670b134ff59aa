"""Who may do what with whose mailbox: asked by every read and write that names one.

Laws:
- The owner may do everything; that costs no query.
- For anybody else one indexed look-up says what is given and denied (RFC 4314 §2); nothing is kept, so what is revoked is revoked at once.
- RFC 4314 §6: who may neither see nor open a mailbox is told that there is none (NoSuchMailbox); who may and lacks a right is told
  so (NoPermission).
"""

from typing import Final

import attrs

from services.store.domain.addresses import InvalidAddressError, normalize_address
from services.store.domain.names import lookup_name
from services.store.sql.prepared import Cursor, Row
from services.store.sql.statements import directory, mailboxes, sharing
from shared.errors import NoPermission, NoSuchMailbox
from shared.model.namespace import shared_name, split_shared
from shared.model.rights import ALL_RIGHTS, NO_RIGHTS, Rights, effective

_SHOWN: Final = Rights.LOOKUP | Rights.READ
_OWNER_COLUMN: Final = mailboxes.MAILBOX_COLUMNS.index("account_id")


def rights_on(cursor: Cursor, account_id: int, owner_id: int, mailbox_id: int) -> Rights:
    """What an account may do with a mailbox of an owner."""
    if account_id == owner_id:
        return ALL_RIGHTS
    return effective(sharing.ENTRIES_FOR.all(cursor, mailbox_id, account_id))


def demand(rights: Rights, needed: Rights) -> None:
    """Raises NoPermission, NoSuchMailbox."""
    if needed & ~rights:
        raise NoPermission if rights & _SHOWN else NoSuchMailbox


@attrs.frozen
class Place:
    """Whose mailbox a name means, and what it is called there."""

    owner_id: int
    name: str
    owner: str = ""
    """Address; empty for one's own."""

    @property
    def full_name(self) -> str:
        return shared_name(self.owner, self.name) if self.owner else self.name


def place_of(cursor: Cursor, account_id: int, name: str) -> Place | None:
    """None: a name among other accounts' mailboxes that nobody can have."""
    name = lookup_name(name)
    split = split_shared(name)
    if split is None:
        return Place(account_id, name)
    try:
        address = normalize_address(split[0])
    except InvalidAddressError:
        return None
    found = directory.ACCOUNT_ID.one(cursor, address)
    # one's own mailboxes are not seen through the window for others
    if found is None or found[0] == account_id:
        return None
    return Place(found[0], lookup_name(split[1]), address)


@attrs.frozen
class Found:
    """A mailbox by name, with what the asking account may do."""

    row: Row
    """Of ``mailboxes.BY_NAME``."""
    rights: Rights
    name: str


def find(cursor: Cursor, account_id: int, name: str, needed: Rights = NO_RIGHTS) -> Found:
    """A mailbox that the account has all ``needed`` rights on. Raises NoSuchMailbox, NoPermission."""
    place = place_of(cursor, account_id, name)
    row = None if place is None else mailboxes.BY_NAME.one(cursor, place.owner_id, place.name)
    if place is None or row is None:
        raise NoSuchMailbox
    rights = rights_on(cursor, account_id, place.owner_id, row[0])
    demand(rights, needed)
    return Found(row, rights, place.full_name)


def find_by_id(cursor: Cursor, account_id: int, mailbox_id: int, needed: Rights) -> Row:
    """The row of ``mailboxes.BY_ID``. Raises NoSuchMailbox, NoPermission."""
    row = mailboxes.BY_ID.one(cursor, mailbox_id)
    if row is None:
        raise NoSuchMailbox
    if row[_OWNER_COLUMN] != account_id:
        demand(rights_on(cursor, account_id, row[_OWNER_COLUMN], mailbox_id), needed)
    return row


def check_readable(cursor: Cursor, account_id: int, mailbox_id: int) -> None:
    """Raises NoSuchMailbox, NoPermission."""
    found = mailboxes.OWNER.one(cursor, mailbox_id)
    if found is None:
        raise NoSuchMailbox
    if found[0] != account_id:
        demand(rights_on(cursor, account_id, found[0], mailbox_id), Rights.READ)
