"""Messages come from another server with the identities that they had there.

Law: what was acknowledged here keeps its UID. A UID that is given is at or above UIDNEXT, and a mailbox changes its UIDVALIDITY only
while it holds no message.
"""

import re
from collections.abc import Sequence
from typing import Final

from services.store.sql.statements import bookkeeping, directory, mailboxes, undo
from services.store.transaction import MailboxRow, Transaction
from services.store.writes.filing import Incoming, file_message, flag_bits, index_of, ready
from services.store.writes.mailboxes import UIDVALIDITY
from shared.contract.moving_types import MAX_MOVED, UIDVALIDITY_MOST, MovedMessage, MovedResult
from shared.errors import BadRequest, LimitExceeded, NoSuchMailbox
from shared.model.ids import UID_MAX, Uid
from shared.model.packed import pack_u32

# RFC 1939 §7: one to 70 characters in the range 0x21 to 0x7E
_UIDL: Final = re.compile(r"[!-~]{0,70}", re.ASCII)
_DATES: Final = range(-(2**40), 2**40)


def _own(transaction: Transaction, account_id: int, mailbox_id: int) -> MailboxRow:
    """What moves in goes to the account's own mailboxes, whatever others have given it. Raises NoSuchMailbox."""
    row = transaction.mailbox(mailbox_id)
    if row.account_id != account_id:
        raise NoSuchMailbox
    return row


def adopt(transaction: Transaction, account_id: int, mailbox_id: int, uidvalidity: int) -> int:
    """The UIDVALIDITY that the mailbox has now. Raises NoSuchMailbox, BadRequest."""
    if not 0 < uidvalidity <= UIDVALIDITY_MOST:
        raise BadRequest("UIDVALIDITY")
    row = _own(transaction, account_id, mailbox_id)
    if row.messages or row.uidvalidity == uidvalidity:
        return row.uidvalidity
    cursor = transaction.cursor
    transaction.flush()
    known = bookkeeping.META.one(cursor, UIDVALIDITY)
    if known is not None and known[0] < uidvalidity:
        # RFC 3501 §2.3.1.1: a mailbox that is made later under this name must have a higher one
        bookkeeping.UPDATE_META.run(cursor, uidvalidity, UIDVALIDITY)
    mailboxes.DELETE_TOMBSTONES.run(cursor, row.id)
    # their UIDs may be given out again
    undo.DROP_ALL_OF.run(cursor, row.id)
    mailboxes.SET_UIDVALIDITY.run(cursor, uidvalidity, row.id)
    row.uidvalidity = uidvalidity
    row.uid_next = row.first_recent_uid = 1
    # whoever has not heard yet of what was expunged here begins anew
    row.tombstone_floor = transaction.next_modseq(row)
    mailboxes.SET_FLOOR.run(cursor, row.tombstone_floor, row.id)
    transaction.changes.named.add(row.id)
    transaction.names_changed(row.account_id)
    transaction.journal("admin", "UIDVALIDITY set", row.id, (), uidvalidity)
    return uidvalidity


def file(
    transaction: Transaction,
    incoming: Sequence[Incoming],
    account_id: int,
    mailbox_id: int,
    moved: Sequence[MovedMessage],
    uid_next: int,
    over_quota: bool,
) -> MovedResult:
    """Raises NoSuchMailbox, OverQuota, LimitExceeded, NoSuchUpload, BadRequest."""
    row = _own(transaction, account_id, mailbox_id)
    _check(row, moved, uid_next)
    if not over_quota:
        octets = sum(ready(incoming, position).raw_octets for position in range(len(moved)))
        transaction.check_quota(row.account_id, len(moved), octets)
    address = directory.ACCOUNT_ADDRESS.scalar(transaction.cursor, row.account_id)
    bits_of: dict[tuple[str, ...], int] = {}
    modseq = transaction.next_modseq(row)
    uids = []
    for position, message in enumerate(moved):
        content = ready(incoming, position)
        index = index_of(incoming, position, message.index)
        if message.flags not in bits_of:
            bits_of[message.flags] = flag_bits(transaction, row, message.flags, create=True)
        row.uid_next = message.uid or row.uid_next
        uids.append(
            file_message(
                transaction,
                row,
                address,
                content,
                index,
                modseq=modseq,
                flags=bits_of[message.flags],
                date=message.internal_date,
                uidl=message.uidl,
            )
        )
    row.uid_next = max(row.uid_next, uid_next)
    # no client is to take old mail for new
    row.first_recent_uid = row.uid_next
    transaction.journal("admin", "imported", row.id, uids)
    return MovedResult(pack_u32(uids), Uid(row.uid_next))


def _check(row: MailboxRow, moved: Sequence[MovedMessage], uid_next: int) -> None:
    """Raises BadRequest, LimitExceeded."""
    if len(moved) > MAX_MOVED or not 0 <= uid_next <= UID_MAX:
        raise BadRequest("too much at once")
    least = row.uid_next
    for message in moved:
        if message.uid and message.uid < least:
            raise BadRequest("a UID below UIDNEXT: the mailbox has changed meanwhile; import again")
        least = (message.uid or least) + 1
        if not _UIDL.fullmatch(message.uidl):
            raise BadRequest("UIDL")
        if message.internal_date not in _DATES:
            raise BadRequest("date")
    if least - 1 > UID_MAX:
        # RFC 3501 §2.3.1.1: UIDs end at 2**32 - 1
        raise LimitExceeded("the mailbox has no UIDs left")
    uidls = [message.uidl for message in moved if message.uidl]
    if len(set(uidls)) != len(uidls):
        # RFC 1939 §7: unique within a maildrop
        raise BadRequest("a UIDL twice")
