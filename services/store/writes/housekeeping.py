"""What goes away by age, in bounded pieces so that no mail waits for it."""

from typing import Final

from services.store.sql.prepared import Prepared
from services.store.sql.statements import bookkeeping, contents, dialogues, history, mailboxes, messages
from services.store.transaction import Transaction

PIECE: Final = 2_000
"""Rows per run: some 10 ms of the writer's time."""


def drop_contents(transaction: Transaction, unreferenced_seconds: float) -> int:
    """Forget contents that nothing has referred to for a while; their octets in the packs are dead. How many."""
    cursor = transaction.cursor
    transaction.flush()
    gone = contents.UNREFERENCED.all(cursor, transaction.now - unreferenced_seconds, PIECE)
    ids = [content_id for content_id, _, _ in gone]
    contents.DELETE_INDEXES.execute(cursor, ids)
    contents.DELETE.execute(cursor, ids)
    for _, pack, length in gone:
        transaction.dead[pack] = transaction.dead.get(pack, 0) + length
    return len(gone)


def drop_tombstones(transaction: Transaction, mailbox_id: int, floor: int) -> int:
    """Forget what was expunged from a mailbox up to a modseq; how many. Raises NoSuchMailbox.

    The floor is raised first: whoever asks for changes since a modseq below it is told to begin again.
    """
    cursor = transaction.cursor
    transaction.flush()
    row = transaction.mailbox(mailbox_id)
    if floor > row.tombstone_floor:
        row.tombstone_floor = floor
        mailboxes.SET_FLOOR.run(cursor, floor, mailbox_id)
    return messages.DROP_TOMBSTONES.run(cursor, mailbox_id, floor, PIECE).rowcount


def prune_operations(transaction: Transaction, seconds: float) -> int:
    """Forget results of old operations; how many."""
    return _prune(transaction, bookkeeping.OLDEST_OPERATION, bookkeeping.PRUNE_OPERATIONS, seconds)


def prune_journal(transaction: Transaction, seconds: float) -> int:
    """Forget old rows of the journal; how many."""
    return _prune(transaction, bookkeeping.OLDEST_JOURNAL, bookkeeping.PRUNE_JOURNAL, seconds)


def prune_history(transaction: Transaction, seconds: float, most: int) -> int:
    """Forget old passages, and the oldest beyond ``most``; how many."""
    transaction.flush()
    surplus = _drop_surplus(transaction, history.OLDEST, history.NEWEST_ID, history.DROP_FIRST, most)
    return surplus or _prune(transaction, history.OLDEST, history.PRUNE, seconds)


def prune_dialogues(transaction: Transaction, seconds: float, most: int) -> int:
    """Forget old SMTP dialogues, and the oldest beyond ``most``; how many."""
    surplus = _drop_surplus(transaction, dialogues.OLDEST, dialogues.NEWEST_ID, dialogues.DROP_FIRST, most)
    return surplus or _prune(transaction, dialogues.OLDEST, dialogues.PRUNE, seconds)


def _drop_surplus(transaction: Transaction, oldest: Prepared, newest_id: Prepared, drop: Prepared, most: int) -> int:
    first = oldest.one(transaction.cursor, 1)
    if first is None:
        return 0
    surplus = newest_id.scalar(transaction.cursor) - first[0] + 1 - most
    return drop.run(transaction.cursor, first[0] + min(surplus, PIECE) - 1).rowcount if surplus > 0 else 0


def _prune(transaction: Transaction, oldest: Prepared, prune: Prepared, seconds: float) -> int:
    before = transaction.now - seconds
    first = oldest.one(transaction.cursor, 1)
    if first is None or first[1] >= before:
        return 0
    return prune.run(transaction.cursor, first[0] + PIECE, before).rowcount
