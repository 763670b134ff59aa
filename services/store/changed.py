"""What the writer notes of changed messages, so that "what changed since modseq N" costs what has changed, not the whole mailbox.

A row of ``change_set`` for each mailbox and savepoint: the UIDs that were filed, changed or taken away in it, under a modseq that is not
below any of theirs. The messages have no index by modseq: with one, each message that a command changes would cost two entries of it.

Rows do not pile up: when a mailbox has counted BLOCK modseqs, the rows of the block before become one, and BLOCK of those again. What
is remembered of older changes gets coarser with it (a set may be wider than what it stands for), it is never forgotten.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

import attrs

from services.store.domain.changed import decode, encode, ranges_of, union
from services.store.sql.prepared import Cursor, Row
from services.store.sql.statements import change_sets

BLOCK: Final = 256


@attrs.define
class _Noted:
    modseq: int
    uids: list[int] = attrs.field(factory=list)


class ChangedMessages:
    """Of one savepoint."""

    def __init__(self) -> None:
        self._noted: dict[int, _Noted] = {}
        self._full: list[tuple[int, int]] = []

    def note(self, mailbox_id: int, modseq: int, uids: Sequence[int]) -> None:
        """These UIDs have got this modseq or one that is lower; it was made in this savepoint."""
        if not uids:
            return
        noted = self._noted.get(mailbox_id)
        if noted is None:
            noted = self._noted[mailbox_id] = _Noted(modseq)
        noted.modseq = max(noted.modseq, modseq)
        noted.uids += uids

    def note_filed(self, rows: Sequence[Row]) -> None:
        """Rows of ``message``, in the order in which they were filed."""
        for mailbox_id, filed in groupby(rows, itemgetter(0)):
            of_mailbox = list(filed)
            self.note(mailbox_id, of_mailbox[-1][3], [row[1] for row in of_mailbox])

    def count(self, mailbox_id: int, modseq: int) -> None:
        """A mailbox has got a modseq; each one has to be told."""
        if not modseq % BLOCK:
            self._full.append((mailbox_id, modseq))

    def drop(self, mailbox_id: int) -> None:
        """The mailbox is deleted."""
        self._noted.pop(mailbox_id, None)
        self._full = [full for full in self._full if full[0] != mailbox_id]

    def clear(self) -> None:
        """None of it has happened."""
        self._noted.clear()
        self._full.clear()

    def write(self, cursor: Cursor) -> None:
        if self._noted:
            rows = [(box, noted.modseq, encode(ranges_of(noted.uids))) for box, noted in self._noted.items()]
            change_sets.INSERT.run_many(cursor, rows)
        for mailbox_id, modseq in self._full:
            _merge_blocks(cursor, mailbox_id, modseq)
        self.clear()


def _merge_blocks(cursor: Cursor, mailbox_id: int, modseq: int) -> None:
    """A block ends at ``modseq``: merge the one before it. The newest stays as it is, for those who are a little behind."""
    span = BLOCK
    while not modseq % span:
        end = modseq - span
        if end:
            _merge(cursor, mailbox_id, end - span, end)
        span *= BLOCK


def _merge(cursor: Cursor, mailbox_id: int, start: int, end: int) -> None:
    """One row for those with modseqs from ``start`` to below ``end``, under the highest of them."""
    rows = change_sets.BETWEEN.all(cursor, mailbox_id, start, end)
    if len(rows) < 2:
        return
    merged = union(bounds for _, uids in rows for bounds in decode(uids))
    change_sets.DELETE_BETWEEN.run(cursor, mailbox_id, start, end)
    change_sets.INSERT.run(cursor, mailbox_id, rows[-1][0], encode(merged))
