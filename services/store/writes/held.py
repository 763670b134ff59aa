"""What waits for its time: copies for accounts here are filed when it has come, and all of it can be taken back before.

Laws
- A held message is wholly in the queue: an entry for each recipient here, too, whose destination is HERE. No worker leases those.
- Filing one and forgetting its entry is one transaction: a copy is there once, whatever crashes.
- It was accepted already, so nothing is refused any more: a full mailbox takes it. Where the account is gone, the entry goes to NOBODY
  and so back to its sender by smtp_out; where the sender wants to hear of a success, it goes to FILED, and smtp_out tells.
- Taking back leaves alone what is leased: it may be delivered already.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from services.store.domain.turns import HERE_SHARE, share_of
from services.store.reads.queue import MAX_ITEMS, item_of
from services.store.sql.prepared import Row
from services.store.sql.statements import held, queue
from services.store.transaction import Transaction, new_email_id
from services.store.writes import history
from services.store.writes.filing import target_of
from services.store.writes.queue import finish_entries
from shared.contract.history_types import FiledAs, Passage, PassageKind
from shared.contract.queue_types import FILED, HOLDER, NOBODY, Recalled
from shared.contract.types import LocalRecipient
from shared.errors import BadRequest, LimitExceeded, NotFound
from shared.model.ids import AccountId, EntryId, MailboxId, Uid
from shared.model.notify import wants_success

PIECE: Final = 100
"""Copies filed by one write."""


def file_due(transaction: Transaction) -> int:
    """File copies whose time has come, the oldest first; how many were dealt with, at most PIECE."""
    cursor, now = transaction.cursor, transaction.now
    rows = held.DUE.all(cursor, HERE_SHARE, now, PIECE)
    copies: dict[tuple[str, str], list[FiledAs]] = {}
    told: list[int] = []
    gone: list[int] = []
    done: dict[int, int] = {}
    contents: Counter[int] = Counter()
    for row in rows:
        entry_id, message_id, _, _, _, notify, content_id, _, _, trace, sender = row
        try:
            copy = _file(transaction, row)
        except (NotFound, LimitExceeded):
            gone.append(entry_id)
            continue
        copies.setdefault((trace, sender), []).append(copy)
        contents[content_id] += 1
        if sender and wants_success(notify):
            told.append(entry_id)
        else:
            done[entry_id] = message_id
    transaction.add_references(dict(contents))
    held.REDIRECT.execute(cursor, told, FILED, share_of(None, FILED), now)
    held.REDIRECT.execute(cursor, gone, NOBODY, share_of(None, NOBODY), now)
    for (trace, sender), filed in copies.items():
        addresses = tuple(copy.address for copy in filed)
        passage = Passage(trace, PassageKind.FILED, now, sender, addresses, len(addresses), copies=tuple(filed))
        history.tell(transaction, passage)
    finish_entries(transaction, done)
    transaction.changes.queue = transaction.changes.queue or bool(told or gone)
    return len(rows)


def _file(transaction: Transaction, row: Row) -> FiledAs:
    """Raises NotFound, LimitExceeded."""
    _, _, recipient, account_id, mailbox, _, content_id, octets, header_octets, trace, _ = row
    target = target_of(transaction, LocalRecipient(AccountId(account_id), recipient, mailbox))
    email_id = new_email_id()
    uid = transaction.add_message(
        target,
        content_id=content_id,
        modseq=transaction.next_modseq(target),
        flags=0,
        octets=octets,
        header_octets=header_octets,
        internal_date=int(transaction.now),
        email_id=email_id,
    )
    transaction.journal("store", "delivered", target.id, (uid,), trace)
    return FiledAs(recipient, AccountId(account_id), MailboxId(target.id), Uid(uid), email_id)


def recall(transaction: Transaction, entries: Sequence[EntryId]) -> Recalled:
    """Take entries back that nobody works at. Raises BadRequest."""
    if not 0 < len(entries) <= MAX_ITEMS:
        raise BadRequest(f"1 to {MAX_ITEMS} entries")
    cursor, now = transaction.cursor, transaction.now
    leased = {entry for (entry,) in queue.LEASED.all(cursor, entries, HOLDER, now)}
    states = [row for row in queue.STATE.all(cursor, entries) if row[0] not in leased]
    for row in states:
        transaction.journal("admin", "queue entry recalled", 0, (), row[0], row[5])
        history.tell(transaction, Passage(row[7], PassageKind.RECALLED, now, row[8], (row[5],)))
    under_way = tuple(item_of(row) for row in queue.ITEMS_OF.all(cursor, sorted(leased)))
    finish_entries(transaction, {row[0]: row[1] for row in states})
    transaction.changes.queue = True
    return Recalled(len(states), under_way)
