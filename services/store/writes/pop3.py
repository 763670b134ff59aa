"""A POP3 session ends: what its device fetched is remembered, and what it deleted is removed, moved or hidden, all in one transaction."""

from collections.abc import Sequence
from typing import Final

import attrs

from services.store.domain.pop3_view import (
    KEEP_DAYS_MAX,
    REPEAT_SESSIONS,
    Meaning,
    Session,
    TooManySpans,
    View,
    after,
    cutoff,
    day_of,
    encode,
)
from services.store.reads.pop3 import hidden_uids, meaning_for, state_of, view_from, view_of
from services.store.reads.sending import find_account
from services.store.sql.statements import devices, mailboxes, messages, pop3
from services.store.transaction import MailboxRow, Transaction
from services.store.writes.mailboxes import add_mailbox
from services.store.writes.transfer import expunge, move_rows, whole_rows
from shared.contract.pop3_types import Pop3Finished, Pop3State
from shared.errors import BadRequest, GrantExpired, LimitExceeded, NoSuchMailbox
from shared.model.pop3 import Dele

ACTOR: Final = "pop3"
TRASH: Final = "Trash"
TRASH_USE: Final = "\\Trash"


def finish(
    transaction: Transaction,
    account_id: int,
    device_id: int,
    mailbox_id: int,
    fetched: Sequence[int],
    deleted: Sequence[int],
    in_drop: int,
    defaults: Meaning,
) -> Pop3Finished:
    """Raises GrantExpired, NoSuchMailbox, LimitExceeded."""
    row = transaction.mailbox(mailbox_id)
    if row.account_id != account_id:
        raise NoSuchMailbox
    cursor = transaction.cursor
    if device_id and devices.RECIPIENTS.one(cursor, device_id) is None:
        raise GrantExpired
    transaction.flush()
    means = meaning_for(cursor, account_id, defaults)
    hidden = deleted if means.dele is Dele.HIDE else ()
    view = view_of(cursor, mailbox_id, row.uidvalidity, device_id)
    try:
        seen = after(
            view,
            Session(_given_out(row, fetched), _given_out(row, hidden), in_drop),
            day_of(transaction.now),
            lambda: (uid for (uid,) in messages.UIDS.all(cursor, mailbox_id)),
        )
    except TooManySpans:
        raise LimitExceeded("scattered messages that are hidden") from None
    if means.dele is Dele.TRASH:
        _move_to_trash(transaction, row, deleted)
    elif means.dele is Dele.DELETE:
        expunge(transaction, ACTOR, account_id, mailbox_id, deleted, False)
    elif deleted:
        transaction.journal(ACTOR, "hidden", mailbox_id, sorted(deleted), device_id)
    if seen != view:
        _keep(transaction, mailbox_id, device_id, seen)
    return Pop3Finished(len(deleted), seen.repeats >= REPEAT_SESSIONS and bool(fetched))


def _given_out(row: MailboxRow, uids: Sequence[int]) -> list[int]:
    """Without UIDs that no message has had: one that gets them later was never seen."""
    return [uid for uid in uids if 0 < uid < row.uid_next]


def _keep(transaction: Transaction, mailbox_id: int, device_id: int, view: View) -> None:
    pop3.DELETE.run(transaction.cursor, mailbox_id, device_id)
    pop3.INSERT.run(
        transaction.cursor, mailbox_id, device_id, view.uidvalidity, encode(view.hidden), encode(view.fetched),
        view.hidden_since, view.repeats, view.tidy_at,
    )  # fmt: skip


def _move_to_trash(transaction: Transaction, row: MailboxRow, uids: Sequence[int]) -> None:
    """What is deleted in the trash itself is gone for good. Raises LimitExceeded."""
    if not uids:
        return
    trash = _trash(transaction, row.account_id)
    if trash.id == row.id:
        expunge(transaction, ACTOR, row.account_id, row.id, uids, False)
    else:
        move_rows(transaction, row, trash, whole_rows(transaction, row.id, uids), actor=ACTOR)


def _trash(transaction: Transaction, account_id: int) -> MailboxRow:
    """By its use, else by its name, else a new one."""
    found = mailboxes.WITH_SPECIAL_USE.one(transaction.cursor, account_id, TRASH_USE)
    if found is not None:
        return transaction.mailbox(found[0])
    named = transaction.mailbox_named(account_id, TRASH)
    if named is not None:
        return named
    mailbox_id, _ = add_mailbox(transaction, account_id, TRASH, TRASH_USE)
    if mailboxes.SUBSCRIBED.one(transaction.cursor, account_id, TRASH) is None:
        mailboxes.SUBSCRIBE.run(transaction.cursor, account_id, TRASH)
    return transaction.mailbox(mailbox_id)


def expire_hidden(transaction: Transaction, mailbox_id: int, defaults: Meaning, limit: int) -> int:
    """Remove some of what was hidden as many days as its account says; how many. Raises NoSuchMailbox."""
    row = transaction.mailbox(mailbox_id)
    transaction.flush()
    days = meaning_for(transaction.cursor, row.account_id, defaults).keep_days
    if not days:
        return 0
    day = cutoff(day_of(transaction.now), days)
    uids = hidden_uids(transaction.cursor, mailbox_id, row.uidvalidity, day, limit)
    if uids:
        expunge(transaction, ACTOR, row.account_id, mailbox_id, uids, False)
    if len(uids) < limit:
        _forget_hidden(transaction, row, day)
    return len(uids)


def _forget_hidden(transaction: Transaction, row: MailboxRow, day: int) -> None:
    """Of messages that are all gone: so that nobody looks for them again."""
    for device_id, *columns in pop3.VIEWS.all(transaction.cursor, row.id):
        view = view_from(columns)
        hidden = tuple(span for span in view.hidden if span[2] > day)
        if hidden != view.hidden:
            _keep(transaction, row.id, device_id, attrs.evolve(view, hidden=hidden))


def set_meaning(
    transaction: Transaction, address: str, dele: Dele | None, keep_days: int | None, defaults: Meaning
) -> Pop3State:
    """Raises NotFound, BadRequest."""
    if keep_days is not None and not 0 <= keep_days <= KEEP_DAYS_MAX:
        raise BadRequest(f"days: 0 to {KEEP_DAYS_MAX}")
    if keep_days and dele not in (None, Dele.HIDE):
        raise BadRequest("only what is hidden is kept for some days")
    cursor = transaction.cursor
    account_id = find_account(cursor, address)
    pop3.DELETE_SETTING.run(cursor, account_id)
    if dele is not None or keep_days is not None:
        pop3.INSERT_SETTING.run(cursor, account_id, None if dele is None else str(dele), keep_days)
    transaction.journal("admin", "pop3 set", 0, (), account_id, None if dele is None else str(dele), keep_days)
    return state_of(cursor, account_id, defaults)
