"""The history ends: what cannot be undone any more is forgotten, oldest first, and its contents are let go."""

import math
from typing import Final

import msgpack

from services.store.domain.runs import decode_ranges
from services.store.reads.undo import SINCE
from services.store.sql.prepared import Cursor
from services.store.sql.statements import bookkeeping, undo
from services.store.transaction import Transaction
from shared.model.ids import UID_MAX

FLOOR: Final = "undo_floor"
OFF: Final = "undo_off"


def begin(transaction: Transaction, on: bool) -> None:
    """Note whether what happens is kept from now on. What happened while it was not cannot be undone, nor what was before that."""
    cursor, now = transaction.cursor, int(transaction.now)
    was_off = bookkeeping.META.one(cursor, OFF)
    if bookkeeping.META.one(cursor, SINCE) is None:
        bookkeeping.INSERT_META.run(cursor, SINCE, now)
    elif not on or (was_off is not None and was_off[0]):
        _raise_since(transaction, now + 1)
    _set_meta(cursor, OFF, int(not on))


def _raise_since(transaction: Transaction, since: int) -> None:
    known = bookkeeping.META.one(transaction.cursor, SINCE)
    if known is not None and known[0] < since:
        bookkeeping.UPDATE_META.run(transaction.cursor, since, SINCE)


def forget(transaction: Transaction, cut: float, piece: int) -> int:
    """Forget what can be undone to before ``cut``, ``piece`` rows of it; how many (less: that was all).

    First nobody may ask for it any more, then the rows go in the order in which they were written, then what they kept.
    """
    transaction.flush()
    cursor = transaction.cursor
    _raise_since(transaction, math.ceil(cut))
    done = 0
    while done < piece:
        row = undo.OLDEST.one(cursor, _floor(cursor), 1)
        if row is None or row[1] >= cut:
            break
        for where in _buried_by(*row[2:]):
            done += _drop(cursor, where, piece - done)
            if done >= piece:
                return piece
        done += 1
        if row[2] == "mailbox deleted":
            undo.DROP_MAILBOX.run(cursor, row[3])
        undo.SETTLE.run(cursor, row[0])
        _set_meta(cursor, FLOOR, row[0])
    if done < piece:
        done += undo.RELEASE.run(cursor, cut, piece - done).rowcount
    return min(done, piece)


def _buried_by(what: str, mailbox_id: int, uids: bytes, detail: bytes) -> list[tuple[int, int, int]]:
    """What a row of the journal buried: mailbox, first and last UID."""
    if what == "mailbox deleted":
        return [(mailbox_id, 1, UID_MAX)]
    if what == "moved":
        source_id, sources = msgpack.unpackb(detail)
        return [(source_id, *bounds) for bounds in decode_ranges(sources)]
    return [(mailbox_id, *bounds) for bounds in decode_ranges(uids)] if what == "expunged" else []


def _drop(cursor: Cursor, where: tuple[int, int, int], most: int) -> int:
    mailbox_id, low, high = where
    return undo.DROP_BETWEEN.run(cursor, mailbox_id, mailbox_id, low, high, most).rowcount


def _floor(cursor: Cursor) -> int:
    """The newest row of the journal below which nothing can be undone."""
    row = bookkeeping.META.one(cursor, FLOOR)
    return int(row[0]) if row else 0


def _set_meta(cursor: Cursor, name: str, value: int) -> None:
    if not bookkeeping.UPDATE_META.run(cursor, value, name).rowcount:
        bookkeeping.INSERT_META.run(cursor, name, value)
