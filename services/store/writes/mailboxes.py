"""Mailboxes are made, renamed, deleted, subscribed; SELECT claims \\Recent."""

from collections.abc import Sequence
from typing import Final

from services.store.domain.names import INBOX, SPECIAL_USES, NameLimits, below, check_name, lookup_name, parents
from services.store.reads.mailboxes import state_of_row
from services.store.sql.statements import mailboxes, messages
from services.store.transaction import MailboxRow, Transaction
from services.store.writes.transfer import move_rows, whole_mailbox
from shared.contract.types import MailboxInfo, MailboxState
from shared.errors import (
    BadRequest,
    CannotChangeMailbox,
    LimitExceeded,
    MailboxExists,
    NoSuchMailbox,
)
from shared.model.ids import MailboxId

UIDVALIDITY: Final = "uidvalidity"
MAX_SUBSCRIPTIONS: Final = 20_000


def add_mailbox(transaction: Transaction, account_id: int, name: str, special_use: str) -> tuple[int, int]:
    """Insert a mailbox whose name was checked; its id and UIDVALIDITY."""
    # RFC 3501 §2.3.1.1: ascending for ever, so that a mailbox made again under an old name is never taken for the old one
    uidvalidity = transaction.next_meta(UIDVALIDITY, int(transaction.now))
    inserted = mailboxes.INSERT.run(
        transaction.cursor, account_id, name, special_use, uidvalidity, 1, 1, 1, 0, 0, 0, 0, 0
    )
    if inserted.lastrowid is None:
        raise RuntimeError("the database gave no id")
    transaction.changes.accounts.add(account_id)
    return inserted.lastrowid, uidvalidity


def create(
    transaction: Transaction, account_id: int, name: str, special_use: str, limits: NameLimits
) -> MailboxInfo:
    """Raises MailboxExists, InvalidMailboxName, LimitExceeded, BadRequest."""
    name = check_name(name, limits)
    if special_use not in SPECIAL_USES:
        raise BadRequest("special use")
    if transaction.mailbox_named(account_id, name) is not None:
        raise MailboxExists
    missing = _missing_parents(transaction, account_id, name)
    _check_count(transaction, account_id, len(missing) + 1, limits.mailboxes)
    for parent in missing:
        add_mailbox(transaction, account_id, parent, "")
    if special_use:
        # RFC 6154 §2 allows several mailboxes with one use; clients are happier with one, so the newest has it
        mailboxes.CLEAR_SPECIAL_USE.run(transaction.cursor, account_id, special_use)
    mailbox_id, uidvalidity = add_mailbox(transaction, account_id, name, special_use)
    transaction.journal("imap", "mailbox created", mailbox_id, (), name)
    subscribed = mailboxes.SUBSCRIBED.one(transaction.cursor, account_id, name) is not None
    return MailboxInfo(MailboxId(mailbox_id), name, special_use, subscribed, uidvalidity)


def _missing_parents(transaction: Transaction, account_id: int, name: str) -> list[str]:
    return [parent for parent in parents(name) if transaction.mailbox_named(account_id, parent) is None]


def _check_count(transaction: Transaction, account_id: int, more: int, most: int) -> None:
    if mailboxes.COUNT.scalar(transaction.cursor, account_id) + more > most:
        raise LimitExceeded(f"{most} mailboxes")


def _named(transaction: Transaction, account_id: int, name: str) -> MailboxRow:
    row = transaction.mailbox_named(account_id, lookup_name(name))
    if row is None:
        raise NoSuchMailbox
    return row


def delete(transaction: Transaction, account_id: int, name: str) -> None:
    """RFC 3501 §6.3.4. Raises NoSuchMailbox, CannotChangeMailbox."""
    row = _named(transaction, account_id, name)
    if row.name == INBOX:
        raise CannotChangeMailbox("INBOX stays")
    remove_mailbox(transaction, row)
    transaction.journal("imap", "mailbox deleted", row.id, (), row.name)


def remove_mailbox(transaction: Transaction, row: MailboxRow) -> None:
    """A mailbox with all that is in it."""
    cursor = transaction.cursor
    transaction.flush()
    transaction.drop_references(dict(messages.REFERENCES.all(cursor, row.id)))
    for statement in (mailboxes.DELETE_MESSAGES, mailboxes.DELETE_TOMBSTONES, mailboxes.DELETE_KEYWORDS):
        statement.run(cursor, row.id)
    mailboxes.DELETE.run(cursor, row.id)
    transaction.forget_mailbox(row)
    transaction.changes.accounts.add(row.account_id)
    transaction.changes.mailboxes[row.id] = row.highest_modseq + 1


def rename(transaction: Transaction, account_id: int, name: str, new_name: str, limits: NameLimits) -> None:
    """RFC 3501 §6.3.5. Raises NoSuchMailbox, MailboxExists, InvalidMailboxName, CannotChangeMailbox, LimitExceeded."""
    row = _named(transaction, account_id, name)
    new_name = check_name(new_name, limits)
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
    transaction.forget_mailboxes()
    transaction.changes.accounts.add(account_id)
    transaction.journal("imap", "mailbox renamed", row.id, (), row.name, new_name)


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
    transaction.changes.accounts.add(account_id)


def select(transaction: Transaction, account_id: int, name: str, claim_recent: bool) -> MailboxState:
    """Raises NoSuchMailbox."""
    row = _named(transaction, account_id, name)
    transaction.flush()
    state = state_of_row(transaction.cursor, row)
    if claim_recent and row.first_recent_uid != row.uid_next:
        # RFC 3501 §2.3.2: one session alone is told that a message is recent
        row.first_recent_uid = row.uid_next
        transaction.touch(row)
    return state


