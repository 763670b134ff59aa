"""Refused messages are kept for a while, within bounds, and go again."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from services.store.domain.flags import keyword_slots
from services.store.domain.names import NameLimits
from services.store.domain.rejects import KEYWORD, REJECTS, RejectLimits, surplus
from services.store.sql.prepared import Row
from services.store.sql.statements import directory, mailboxes, rejects
from services.store.transaction import MailboxRow, Transaction
from services.store.writes.filing import Incoming, check_room, file_message, flag_bits, ready
from services.store.writes.mailboxes import create
from services.store.writes.transfer import leave
from shared.contract.reject_types import MAX_REJECT_ACCOUNTS, Rejected
from shared.errors import BadRequest, LimitExceeded, OverQuota
from shared.model.flags import FIRST_KEYWORD_BIT

PIECE: Final = 500
"""Messages that go in one write."""


def keep(
    transaction: Transaction,
    incoming: Sequence[Incoming],
    rejected: Rejected,
    limits: RejectLimits,
    names: NameLimits,
) -> int:
    """For how many accounts it is kept. Whose quota or mailboxes have no room for it is passed over. Raises BadRequest."""
    content = ready(incoming)
    if not 0 < len(rejected.accounts) <= MAX_REJECT_ACCOUNTS:
        raise BadRequest("number of accounts")
    if content.raw_octets > limits.octets:
        return 0
    kept = 0
    for account_id in dict.fromkeys(rejected.accounts):
        row = directory.ACCOUNT_ADDRESS.one(transaction.cursor, account_id)
        if row is None:
            continue  # removed meanwhile
        try:
            _keep_for(transaction, incoming, rejected, limits, names, account_id, row[0])
        except (OverQuota, LimitExceeded):
            continue
        kept += 1
    return kept


def _keep_for(
    transaction: Transaction,
    incoming: Sequence[Incoming],
    rejected: Rejected,
    limits: RejectLimits,
    names: NameLimits,
    account_id: int,
    address: str,
) -> None:
    """Raises OverQuota, LimitExceeded before anything of this account was changed, but for an empty mailbox that was made."""
    content = ready(incoming)
    transaction.check_quota(account_id, 1, content.raw_octets)
    row = transaction.mailbox_named(account_id, REJECTS) or _made(transaction, account_id, names)
    check_room(row, 1)
    bits = flag_bits(transaction, row, [KEYWORD], create=True)
    transaction.flush()
    lying = rejects.KEPT.all(transaction.cursor, row.id, bits)
    many = surplus([message[3] for message in lying], content.raw_octets, limits)
    if many:
        _remove(transaction, row, lying[:many])
    modseq, now = transaction.next_modseq(row), int(transaction.now)
    uid = file_message(transaction, row, address, content, rejected.index, modseq=modseq, flags=bits, date=now)
    transaction.journal("smtp_in", "rejected", row.id, (uid,), rejected.trace)


def _made(transaction: Transaction, account_id: int, names: NameLimits) -> MailboxRow:
    made = create(transaction, account_id, REJECTS, "", names)
    if mailboxes.SUBSCRIBED.one(transaction.cursor, account_id, REJECTS) is None:
        mailboxes.SUBSCRIBE.run(transaction.cursor, account_id, REJECTS)
    return transaction.mailbox(made.mailbox_id)


def _remove(transaction: Transaction, row: MailboxRow, gone: Sequence[Row]) -> None:
    leave(transaction, row, gone)
    transaction.drop_references(dict(Counter(content_id for _, content_id, _, _ in gone)))
    transaction.journal("retention", "expunged", row.id, [uid for uid, _, _, _ in gone])


def let_go(transaction: Transaction, mailbox_id: int, seconds: float) -> int:
    """Expunge a piece of what was kept for longer than that; how many. Raises NoSuchMailbox."""
    row = transaction.mailbox(mailbox_id)
    transaction.flush()
    cursor = transaction.cursor
    slot = keyword_slots([name for (name,) in mailboxes.KEYWORDS.all(cursor, row.id)]).get(KEYWORD.lower())
    if slot is None or row.name != REJECTS:
        return 0
    before = int(transaction.now - seconds)
    gone = rejects.OLD.all(cursor, row.id, 1 << (FIRST_KEYWORD_BIT + slot), before, PIECE)
    if gone:
        _remove(transaction, row, gone)
    return len(gone)
