"""A mail of our own into an account's INBOX, once a day."""

from collections.abc import Sequence

from services.store.domain.names import INBOX
from services.store.sql.statements import directory
from services.store.transaction import Transaction
from services.store.writes.filing import Incoming, check_room, file_message, ready
from services.store.writes.sending import was_told
from shared.model.message_index import MessageIndex


def tell_owner(
    transaction: Transaction, incoming: Sequence[Incoming], index: MessageIndex, account_id: int, trace: str
) -> bool:
    """File a notice of a reached limit unless the owner was told today; whether it was filed now.

    That it was told is written in the same transaction. Raises GrantExpired where the account is gone, LimitExceeded.
    """
    content = ready(incoming)
    row = transaction.mailbox_named(account_id, INBOX)
    if row is not None:
        check_room(row, 1)
    if was_told(transaction, account_id) or row is None:
        return False
    now = int(transaction.now)
    address = directory.ACCOUNT_ADDRESS.scalar(transaction.cursor, account_id)
    modseq = transaction.next_modseq(row)
    uid = file_message(transaction, row, address, content, index, modseq=modseq, flags=0, date=now)
    transaction.journal("store", "delivered", row.id, (uid,), trace)
    return True
