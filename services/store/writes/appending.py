"""Several messages of one APPEND, and a message in the place of another: in one transaction, all or nothing.

RFC 3502 (MULTIAPPEND), RFC 8508 (REPLACE). A single message is ``filing.append``, which shares savepoints with its neighbours;
these run in one of their own, which is rolled back when one of the messages cannot be filed.
"""

from collections.abc import Sequence

from services.store.sql.prepared import Row
from services.store.sql.statements import directory, messages
from services.store.transaction import MailboxRow, Transaction
from services.store.usage import Leaving
from services.store.writes.filing import Incoming, check_room, file_message, flag_bits, index_of, ready
from services.store.writes.transfer import let_go
from shared.contract.append_types import AppendAllResult, NewMessage, Replaced
from shared.errors import BadRequest, NoSuchMessage
from shared.model.ids import ModSeq
from shared.model.packed import pack_u32
from shared.model.rights import Rights, permitted_names


def append_all(
    transaction: Transaction,
    incoming: Sequence[Incoming],
    account_id: int,
    mailbox_id: int,
    new: Sequence[NewMessage],
    replaces: Replaced | None,
) -> AppendAllResult:
    """Raises NoSuchMailbox, NoPermission, NoSuchMessage, OverQuota, LimitExceeded, NoSuchUpload, BadRequest."""
    if not new:
        raise BadRequest("no message")
    row = transaction.mailbox_of(account_id, mailbox_id, Rights.INSERT)
    check_room(row, len(new))
    octets = sum(ready(incoming, position).raw_octets for position in range(len(new)))
    source, gone = _replaced(transaction, account_id, replaces)
    leaving = None
    if source is not None:
        leaving = Leaving(source.account_id, len(gone), sum(old[3] for old in gone))
    transaction.check_quota(row.account_id, len(new), octets, leaving)
    modseq = transaction.next_modseq(row)
    rights = transaction.rights(account_id, row)
    address = directory.ACCOUNT_ADDRESS.scalar(transaction.cursor, row.account_id)
    uids = []
    for position, message in enumerate(new):
        content = ready(incoming, position)
        index = index_of(incoming, position, message.index)
        date = int(transaction.now) if message.internal_date is None else message.internal_date
        # RFC 4314 §4: flags that the account may not set are left out, without a word
        bits = flag_bits(transaction, row, permitted_names(message.flags, rights), create=True)
        uids.append(file_message(transaction, row, address, content, index, modseq=modseq, flags=bits, date=date))
    transaction.journal("imap", "appended", row.id, uids)
    replaced_modseq = 0
    if source is not None:
        let_go(transaction, "imap", source, gone)
        replaced_modseq = source.highest_modseq
    return AppendAllResult(row.uidvalidity, pack_u32(uids), ModSeq(modseq), ModSeq(replaced_modseq))


def _replaced(
    transaction: Transaction, account_id: int, replaces: Replaced | None
) -> tuple[MailboxRow | None, list[Row]]:
    """The mailbox and the row (uid, content, flags, octets) of what goes."""
    if replaces is None:
        return None, []
    # RFC 8508 §4.1: the rights for UID STORE (of \\Deleted) and UID EXPUNGE
    needed = Rights.READ | Rights.DELETE_MESSAGES | Rights.EXPUNGE
    source = transaction.mailbox_of(account_id, replaces.mailbox_id, needed)
    transaction.flush()
    gone = messages.EXPUNGE_OF.all(transaction.cursor, [replaces.uid], source.id)
    if not gone:
        raise NoSuchMessage
    return source, gone
