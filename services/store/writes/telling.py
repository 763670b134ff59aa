"""Mails of our own into an account's INBOX, once a day for each thing they tell of."""

from collections.abc import Sequence

from services.store.domain.names import INBOX
from services.store.sql.statements import directory, undo
from services.store.transaction import MailboxRow, Transaction
from services.store.writes.filing import Incoming, check_room, file_message, ready
from services.store.writes.sending import was_told
from shared.model.message_index import MessageIndex


def tell_owner(
    transaction: Transaction, incoming: Sequence[Incoming], index: MessageIndex, account_id: int, trace: str
) -> bool:
    """File a notice of a reached limit unless the owner was told today; whether it was filed now.

    That it was told is written in the same transaction. Raises GrantExpired where the account is gone, LimitExceeded.
    """
    row = _inbox(transaction, account_id)
    if was_told(transaction, account_id) or row is None:
        return False
    _file(transaction, incoming, index, row, trace)
    return True


def warn_owner(
    transaction: Transaction,
    incoming: Sequence[Incoming],
    index: MessageIndex,
    account_id: int,
    mailbox_id: int,
    day: int,
    trace: str,
) -> bool:
    """File a notice about a mailbox unless there was one on that day; whether it was filed now. Raises LimitExceeded."""
    row = _inbox(transaction, account_id)
    known = undo.WARNED_DAY.one(transaction.cursor, mailbox_id)
    if row is None or known is None or known[0] == day:
        return False
    undo.SET_WARNED.run(transaction.cursor, day, mailbox_id)
    _file(transaction, incoming, index, row, trace)
    return True


def _inbox(transaction: Transaction, account_id: int) -> MailboxRow | None:
    """Raises LimitExceeded where it has no room."""
    row = transaction.mailbox_named(account_id, INBOX)
    if row is not None:
        check_room(row, 1)
    return row


def _file(
    transaction: Transaction, incoming: Sequence[Incoming], index: MessageIndex, row: MailboxRow, trace: str
) -> None:
    address = directory.ACCOUNT_ADDRESS.scalar(transaction.cursor, row.account_id)
    modseq, now = transaction.next_modseq(row), int(transaction.now)
    uid = file_message(transaction, row, address, ready(incoming), index, modseq=modseq, flags=0, date=now)
    transaction.journal("store", "delivered", row.id, (uid,), trace)
