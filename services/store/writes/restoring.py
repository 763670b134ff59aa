"""Messages of a backup come back: into the mailbox they were in, with flags, dates and ids as they were, under new UIDs."""

from collections.abc import Sequence
from typing import Final

from services.store.domain.names import NameLimits, lookup_name
from services.store.sql.statements import mailboxes as statements
from services.store.transaction import MailboxRow, Transaction
from services.store.writes import mailboxes
from services.store.writes.filing import Incoming, check_room, file_message, flag_bits, ready
from services.store.writes.sharing import account_named
from shared.contract.restore_types import RestoredMessage
from shared.errors import BadRequest, LimitExceeded

UIDL_OCTETS_MAX: Final = 70
"""RFC 1939 §7"""


def restore_messages(
    transaction: Transaction,
    incoming: Sequence[Incoming],
    address: str,
    name: str,
    special_use: str,
    messages: Sequence[RestoredMessage],
    limits: NameLimits,
) -> int:
    """How many came back; quotas do not hold them up.

    Raises NotFound (account), InvalidMailboxName, LimitExceeded, NoSuchUpload, BadRequest.
    """
    account_id = account_named(transaction, address)
    if not all(0 < len(message.uidl) <= UIDL_OCTETS_MAX and message.uidl.isascii() for message in messages):
        raise BadRequest("uidl")
    row = mailbox_again(transaction, account_id, name, special_use, limits)
    check_room(row, len(messages))
    modseq = transaction.next_modseq(row)
    uids = []
    for position, message in enumerate(messages):
        content = ready(incoming, position)
        uids.append(
            file_message(
                transaction,
                row,
                address,
                content,
                message.index,
                modseq=modseq,
                flags=_bits(transaction, row, message.flags),
                date=message.internal_date,
                email_id=message.email_id,
                thread_id=message.thread_id,
                uidl=message.uidl,
            )
        )
    transaction.journal("admin", "restored", row.id, uids)
    return len(uids)


def mailbox_again(
    transaction: Transaction, account_id: int, name: str, special_use: str, limits: NameLimits
) -> MailboxRow:
    """The mailbox of that name, made and subscribed where there is none; with its use if no other has that now."""
    row = transaction.mailbox_named(account_id, lookup_name(name))
    if row is None:
        cursor = transaction.cursor
        if special_use and statements.WITH_SPECIAL_USE.one(cursor, account_id, special_use) is not None:
            special_use = ""
        made = mailboxes.create(transaction, account_id, name, special_use, limits)
        if statements.SUBSCRIBED.one(cursor, account_id, made.name) is None:
            statements.SUBSCRIBE.run(cursor, account_id, made.name)
        row = transaction.mailbox(made.mailbox_id)
    return row


def _bits(transaction: Transaction, row: MailboxRow, flags: tuple[str, ...]) -> int:
    """Of a message's flags; where the mailbox has no room for its keywords, of the system flags."""
    try:
        return flag_bits(transaction, row, flags, create=True)
    except LimitExceeded:
        return flag_bits(transaction, row, [flag for flag in flags if flag.startswith("\\")], create=False)
