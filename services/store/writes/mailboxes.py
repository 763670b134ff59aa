"""Mailboxes are made, renamed, deleted, subscribed; SELECT claims \\Recent."""

from collections.abc import Sequence
from typing import Final

from services.store.access import Place, find, place_of, rights_on
from services.store.domain.names import (
    INBOX,
    SPECIAL_USES,
    NameLimits,
    below,
    check_name,
    lookup_name,
    parents,
)
from services.store.reads.mailboxes import state_of_row
from services.store.sql.statements import annotations, change_sets, directory, mailboxes, messages, pop3, sharing
from services.store.transaction import MailboxRow, Transaction
from services.store.writes.burying import bury_mailbox
from services.store.writes.retention import follow_rename
from services.store.writes.transfer import move_rows, whole_mailbox
from shared.contract.mailbox_types import MailboxInfo
from shared.contract.types import MailboxState
from shared.errors import (
    BadRequest,
    CannotChangeMailbox,
    InvalidMailboxName,
    LimitExceeded,
    MailboxExists,
    NoPermission,
)
from shared.model.ids import MailboxId
from shared.model.namespace import is_reserved
from shared.model.rights import READ_WRITE_RIGHTS, Rights

UIDVALIDITY: Final = "uidvalidity"
MAX_SUBSCRIPTIONS: Final = 20_000
_DELETE_CONTENTS: Final = (
    mailboxes.DELETE_MESSAGES,
    mailboxes.DELETE_TOMBSTONES,
    mailboxes.DELETE_KEYWORDS,
    change_sets.DELETE_MAILBOX,
    pop3.DELETE_MAILBOX,
    # RFC 4314 §4: DELETE MUST delete the ACL
    sharing.DELETE_MAILBOX,
    annotations.DELETE_MAILBOX,
)


def add_mailbox(
    transaction: Transaction, account_id: int, name: str, special_use: str, actor: str = "imap"
) -> tuple[int, int]:
    """Insert a mailbox whose name was checked; its id and UIDVALIDITY."""
    # RFC 3501 §2.3.1.1: ascending for ever, so that a mailbox made again under an old name is never taken for the old one
    uidvalidity = transaction.next_meta(UIDVALIDITY, int(transaction.now))
    inserted = mailboxes.INSERT.run(
        transaction.cursor, account_id, name, special_use, uidvalidity, 1, 1, 1, 0, 0, 0, 0, 0
    )
    if inserted.lastrowid is None:
        raise RuntimeError("the database gave no id")
    directory.COUNT_MAILBOXES.run(transaction.cursor, 1, account_id)
    transaction.names_changed(account_id)
    transaction.changes.named.add(inserted.lastrowid)
    transaction.journal(actor, "mailbox created", inserted.lastrowid, (), name, owner=account_id)
    return inserted.lastrowid, uidvalidity


def create(transaction: Transaction, account_id: int, name: str, special_use: str, limits: NameLimits) -> MailboxInfo:
    """Raises MailboxExists, InvalidMailboxName, NoPermission, LimitExceeded, BadRequest."""
    place = _new_place(transaction, account_id, name, limits)
    owner_id, name = place.owner_id, place.name
    if special_use not in SPECIAL_USES:
        raise BadRequest("special use")
    if special_use and place.owner:
        # what a mailbox is for is the owner's to say: it would be taken from another one
        raise NoPermission
    if transaction.mailbox_named(owner_id, name) is not None:
        raise MailboxExists
    missing = _missing_parents(transaction, owner_id, name)
    _check_count(transaction, owner_id, len(missing) + 1, limits.mailboxes)
    heir_of = _nearest(transaction, owner_id, name)
    if special_use:
        # RFC 6154 §2 allows several mailboxes with one use; clients are happier with one, so the newest has it
        mailboxes.CLEAR_SPECIAL_USE.run(transaction.cursor, owner_id, special_use)
    mailbox_id, uidvalidity = 0, 0
    for level in [*missing, name]:
        mailbox_id, uidvalidity = add_mailbox(transaction, owner_id, level, special_use if level == name else "")
        if heir_of is not None:
            # RFC 4314 §4: a new mailbox SHOULD inherit the ACL from the parent mailbox
            sharing.INHERIT.run(transaction.cursor, mailbox_id, heir_of.id)
    subscribed = mailboxes.SUBSCRIBED.one(transaction.cursor, account_id, place.full_name) is not None
    rights = rights_on(transaction.cursor, account_id, owner_id, mailbox_id)
    return MailboxInfo(MailboxId(mailbox_id), place.full_name, special_use, subscribed, uidvalidity, rights=int(rights))


def _new_place(transaction: Transaction, account_id: int, name: str, limits: NameLimits) -> Place:
    """Where a mailbox may be made. Raises InvalidMailboxName, NoPermission."""
    place = place_of(transaction.cursor, account_id, name)
    if place is None:
        raise NoPermission
    if not place.owner:
        name = check_name(name, limits)
        if is_reserved(name):
            raise InvalidMailboxName("other accounts' mailboxes are there")
        return Place(account_id, name)
    place = Place(place.owner_id, check_name(place.name, limits), place.owner)
    parent = _nearest(transaction, place.owner_id, place.name)
    # RFC 4314 §4: "k" on the nearest existing parent; the top level is the owner's
    if parent is None or not transaction.rights(account_id, parent) & Rights.CREATE:
        raise NoPermission
    return place


def _nearest(transaction: Transaction, owner_id: int, name: str) -> MailboxRow | None:
    """The nearest mailbox above a name."""
    above = (transaction.mailbox_named(owner_id, parent) for parent in reversed(parents(name)))
    return next((row for row in above if row is not None), None)


def _missing_parents(transaction: Transaction, account_id: int, name: str) -> list[str]:
    return [parent for parent in parents(name) if transaction.mailbox_named(account_id, parent) is None]


def _check_count(transaction: Transaction, account_id: int, more: int, most: int) -> None:
    if directory.MAILBOXES.scalar(transaction.cursor, account_id) + more > most:
        raise LimitExceeded(f"{most} mailboxes")


def _named(transaction: Transaction, account_id: int, name: str, needed: Rights) -> MailboxRow:
    """Raises NoSuchMailbox, NoPermission."""
    found = find(transaction.cursor, account_id, name, needed)
    # the transaction's own row is newer than the table's
    return transaction.mailbox(found.row[0])


def delete(transaction: Transaction, account_id: int, name: str) -> None:
    """RFC 3501 §6.3.4. Raises NoSuchMailbox, NoPermission, CannotChangeMailbox."""
    row = _named(transaction, account_id, name, Rights.DELETE_MAILBOX)
    if row.name == INBOX:
        raise CannotChangeMailbox("INBOX stays")
    remove_mailbox(transaction, row, "imap")


def remove_mailbox(transaction: Transaction, row: MailboxRow, actor: str) -> None:
    """A mailbox with all that is in it."""
    cursor = transaction.cursor
    transaction.flush()
    bury_mailbox(transaction, row, actor)
    transaction.drop_references(dict(messages.REFERENCES.all(cursor, row.id)), buried=True)
    # what the account holds becomes less with the next flush
    row.messages = row.octets = 0
    transaction.touch(row)
    transaction.flush()
    for guest in transaction.guests_of([row.id]).get(row.id, ()):
        transaction.names_changed(guest)
    for statement in _DELETE_CONTENTS:
        statement.run(cursor, row.id)
    mailboxes.DELETE.run(cursor, row.id)
    directory.COUNT_MAILBOXES.run(cursor, -1, row.account_id)
    transaction.forget_mailbox(row)
    transaction.names_changed(row.account_id)
    transaction.changes.mailboxes[row.id] = row.highest_modseq + 1


def rename(transaction: Transaction, account_id: int, name: str, new_name: str, limits: NameLimits) -> None:
    """RFC 3501 §6.3.5. Raises NoSuchMailbox, NoPermission, MailboxExists, InvalidMailboxName, CannotChangeMailbox, LimitExceeded.

    Rights and annotations stay with the mailboxes (RFC 4314 §4, RFC 5464 §4.1).
    """
    row = _named(transaction, account_id, name, Rights.DELETE_MAILBOX)
    place = _new_place(transaction, account_id, new_name, limits)
    if place.owner_id != row.account_id:
        raise CannotChangeMailbox("a mailbox stays with its owner")
    if row.name == INBOX and account_id != row.account_id:
        raise CannotChangeMailbox("INBOX stays")
    account_id, new_name = row.account_id, place.name
    if new_name == row.name or transaction.mailbox_named(account_id, new_name) is not None:
        raise MailboxExists
    if new_name.startswith(row.name + "/") and row.name != INBOX:
        raise CannotChangeMailbox("a mailbox cannot move below itself")
    missing = [parent for parent in _missing_parents(transaction, account_id, new_name) if parent != row.name]
    if row.name == INBOX:
        _check_count(transaction, account_id, len(missing) + 1, limits.mailboxes)
        _add_parents(transaction, account_id, missing)
        _rename_inbox(transaction, row, new_name)
        return
    moved = _renamed_below(transaction, account_id, row.name, new_name, limits)
    _check_count(transaction, account_id, len(missing), limits.mailboxes)
    _add_parents(transaction, account_id, missing)
    transaction.flush()
    mailboxes.RENAME.run_many(transaction.cursor, [(new_name, row.id), *moved])
    follow_rename(transaction.cursor, account_id, row.name, new_name)
    transaction.forget_mailboxes()
    transaction.names_changed(account_id)
    transaction.changes.named.update((row.id, *(mailbox_id for _, mailbox_id in moved)))
    transaction.journal("imap", "mailbox renamed", row.id, (), row.name, new_name, owner=account_id)


def _add_parents(transaction: Transaction, account_id: int, missing: Sequence[str]) -> None:
    for parent in missing:
        add_mailbox(transaction, account_id, parent, "")


def _renamed_below(
    transaction: Transaction, account_id: int, old: str, new: str, limits: NameLimits
) -> list[tuple[str, int]]:
    """New names of all levels below. Raises InvalidMailboxName, MailboxExists."""
    span = below(old)
    moved = [
        (check_name(new + name[len(old) :], limits), mailbox_id)
        for mailbox_id, name in mailboxes.BELOW.all(transaction.cursor, account_id, span.low, span.high)
    ]
    for name, _ in moved:
        if transaction.mailbox_named(account_id, name) is not None:
            raise MailboxExists
    return moved


def _rename_inbox(transaction: Transaction, inbox: MailboxRow, new_name: str) -> None:
    """RFC 3501 §6.3.5: the messages move to a new mailbox, INBOX stays, empty; what is below INBOX is untouched."""
    mailbox_id, _ = add_mailbox(transaction, inbox.account_id, new_name, "")
    target = transaction.mailbox(mailbox_id)
    # RFC 5464 §4.1: annotations are copied, and stay on INBOX too
    annotations.COPY.run(transaction.cursor, mailbox_id, inbox.id)
    move_rows(transaction, inbox, target, whole_mailbox(transaction, inbox.id))
    transaction.journal("imap", "mailbox renamed", target.id, (), INBOX, new_name)


def subscribe(transaction: Transaction, account_id: int, name: str, subscribed: bool, limits: NameLimits) -> None:
    """Raises InvalidMailboxName, LimitExceeded."""
    name = check_name(name, limits) if subscribed else lookup_name(name)
    known = mailboxes.SUBSCRIBED.one(transaction.cursor, account_id, name) is not None
    if subscribed and not known:
        if mailboxes.SUBSCRIPTIONS_COUNT.scalar(transaction.cursor, account_id) >= MAX_SUBSCRIPTIONS:
            raise LimitExceeded("subscriptions")
        mailboxes.SUBSCRIBE.run(transaction.cursor, account_id, name)
    elif known and not subscribed:
        mailboxes.UNSUBSCRIBE.run(transaction.cursor, account_id, name)
    transaction.names_changed(account_id)


def select(transaction: Transaction, account_id: int, name: str, claim_recent: bool) -> MailboxState:
    """Raises NoSuchMailbox, NoPermission."""
    found = find(transaction.cursor, account_id, name, Rights.READ)
    row = transaction.mailbox(found.row[0])
    transaction.flush()
    state = state_of_row(transaction.cursor, row, found.rights, found.name, own=row.account_id == account_id)
    if claim_recent and found.rights & READ_WRITE_RIGHTS and row.first_recent_uid != row.uid_next:
        # RFC 3501 §2.3.2: one session alone is told that a message is recent
        row.first_recent_uid = row.uid_next
        transaction.touch(row)
    return state
