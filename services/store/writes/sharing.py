"""Rights and annotations are changed."""

from collections.abc import Sequence
from typing import Final

import attrs

from services.store import access
from services.store.domain.addresses import InvalidAddressError, normalize_address
from services.store.domain.annotations import EntryName, parse_entry
from services.store.reads.sharing import ADMIN_ENTRY, EVERYBODY, SERVER, annotated, grantee_of
from services.store.sql.statements import annotations, directory, sharing
from services.store.transaction import MailboxRow, Transaction
from shared.contract.sharing_types import AclChange, Annotation
from shared.errors import (
    BadRequest,
    CannotChangeMailbox,
    LimitExceeded,
    NoPermission,
    NotFound,
    TooLarge,
)
from shared.model.rights import ALL_RIGHTS_BITS, Rights

ENTRIES_MAX: Final = 1000
"""Of one mailbox's rights."""


@attrs.frozen
class AnnotationLimits:
    """Bounds of the annotations that one account has (or all share) on one mailbox or on the server."""

    value_octets: int
    total_octets: int
    """Of all values and names: a reply has room for the private and the shared ones."""
    entries: int


def set_acl(
    transaction: Transaction, account_id: int, name: str, identifier: str, change: AclChange, rights: int
) -> None:
    """RFC 4314 §3.1. Raises NoSuchMailbox, NoPermission, NotFound, CannotChangeMailbox, LimitExceeded, BadRequest."""
    if not 0 <= rights <= ALL_RIGHTS_BITS:
        raise BadRequest("rights")
    cursor = transaction.cursor
    found = access.find(cursor, account_id, name, Rights.ADMINISTER)
    row = transaction.mailbox(found.row[0])
    grantee, negative = grantee_of(cursor, identifier)
    if grantee == row.account_id:
        raise CannotChangeMailbox("the owner has all rights")
    known = sharing.ENTRY.one(cursor, row.id, grantee, negative)
    new = _changed(0 if known is None else known[0], change, rights)
    if known is None and new and sharing.COUNT.scalar(cursor, row.id) >= ENTRIES_MAX:
        raise LimitExceeded(f"{ENTRIES_MAX} identifiers")
    if known is not None:
        sharing.DELETE.run(cursor, row.id, grantee, negative)
    if new:
        sharing.INSERT.run(cursor, row.id, grantee, negative, new)
    _rights_changed(transaction, row, grantee)
    transaction.journal("imap", "rights changed", row.id, (), identifier, str(change), rights)


def _changed(old: int, change: AclChange, rights: int) -> int:
    if change is AclChange.ADD:
        return old | rights
    if change is AclChange.REMOVE:
        return old & ~rights
    return rights


def _rights_changed(transaction: Transaction, row: MailboxRow, grantee: int) -> None:
    """Sessions that have it selected look again; whom it concerns sees other mailboxes now (RFC 5465 §5.9)."""
    transaction.flush()
    sharing.RAISE_VERSION.run(transaction.cursor, row.id)
    row.acl_version += 1
    transaction.changes.mailboxes[row.id] = row.highest_modseq
    transaction.changes.accounts.add(row.account_id)
    transaction.names_changed(grantee)


def set_metadata(
    transaction: Transaction, account_id: int, name: str, entries: Sequence[Annotation], limits: AnnotationLimits
) -> None:
    """RFC 5464 §4.3. Raises NoSuchMailbox, NoPermission, TooLarge, LimitExceeded, BadRequest."""
    cursor = transaction.cursor
    wanted = [(parse_entry(entry.name), entry.value) for entry in entries]
    mailbox_id, rights = annotated(cursor, account_id, name) if name else (SERVER, Rights(0))
    _check_values(wanted, rights, limits, is_server=mailbox_id == SERVER)
    for private in (True, False):
        mine = {entry.name: value for entry, value in wanted if entry.private is private}
        if mine:
            _check_room(transaction, mailbox_id, account_id if private else EVERYBODY, mine, limits)
    for entry, value in wanted:
        whose = account_id if entry.private else EVERYBODY
        annotations.DELETE.run(cursor, mailbox_id, whose, entry.name)
        if value is not None:
            annotations.INSERT.run(cursor, mailbox_id, whose, entry.name, value)
    readers = {EVERYBODY}
    if mailbox_id != SERVER:
        # RFC 7162 §3.2: SETMETADATA moves the mailbox's modseq
        row = transaction.mailbox(mailbox_id)
        transaction.next_modseq(row)
        guests = transaction.guests_of([mailbox_id]).get(mailbox_id, set())
        readers = {EVERYBODY} if EVERYBODY in guests else {row.account_id, *guests}
    # RFC 5465 §5.6, §5.7
    for private in (True, False):
        names = tuple(entry.full for entry, _ in wanted if entry.private is private)
        for whose in {account_id} if private else readers:
            transaction.annotated(whose, mailbox_id, names)
    transaction.journal("imap", "annotated", mailbox_id, (), [entry.full for entry, _ in wanted])


def _check_values(
    wanted: Sequence[tuple[EntryName, bytes | None]], rights: Rights, limits: AnnotationLimits, *, is_server: bool
) -> None:
    """Raises NoPermission, TooLarge."""
    for entry, value in wanted:
        # What all users of the server see is not any user's to change; RFC 5464 §6.2.2: /shared/admin is read-only
        if not entry.private and (is_server or entry.name == ADMIN_ENTRY or not rights & Rights.WRITE):
            raise NoPermission
        if value is not None and len(value) > limits.value_octets:
            raise TooLarge(str(limits.value_octets))


def _check_room(
    transaction: Transaction, mailbox_id: int, whose: int, mine: dict[str, bytes | None], limits: AnnotationLimits
) -> None:
    """Raises LimitExceeded."""
    sizes = {
        entry: len(entry) + octets for entry, octets in annotations.SIZES.all(transaction.cursor, mailbox_id, whose)
    }
    before = len(sizes), sum(sizes.values())
    for entry, value in mine.items():
        sizes.pop(entry, None)
        if value is not None:
            sizes[entry] = len(entry) + len(value)
    after = len(sizes), sum(sizes.values())
    # what makes less is never refused, whatever was allowed before
    if after[0] > max(limits.entries, before[0]) or after[1] > max(limits.total_octets, before[1]):
        raise LimitExceeded("annotations")


def account_named(transaction: Transaction, address: str) -> int:
    """The id of an account. Raises NotFound."""
    try:
        found = directory.ACCOUNT_ID.one(transaction.cursor, normalize_address(address))
    except InvalidAddressError:
        found = None
    if found is None:
        raise NotFound(address)
    return int(found[0])
