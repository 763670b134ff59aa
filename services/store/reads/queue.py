"""The queue as the administrator sees it."""

from typing import Final

import attrs

from services.store.readers import Snapshot
from services.store.sql.statements import queue
from shared.contract.types import AttemptInfo, OutcomeKind, QueueItem
from shared.errors import NotFound
from shared.model.ids import EntryId

MAX_ITEMS: Final = 250
"""With the longest addresses and texts they stay below MAX_REPLY_OCTETS."""


def items(snapshot: Snapshot, after: int, limit: int) -> tuple[QueueItem, ...]:
    rows = queue.ITEMS.all(snapshot.cursor, after, max(1, min(limit, MAX_ITEMS)))
    return tuple(QueueItem(EntryId(row[0]), *row[1:]) for row in rows)


def item(snapshot: Snapshot, entry: int) -> QueueItem:
    """With its attempts. Raises NotFound."""
    row = queue.ITEM.one(snapshot.cursor, entry)
    if row is None:
        raise NotFound("entry")
    history = tuple(
        AttemptInfo(attempt[0], OutcomeKind(attempt[1]), *attempt[2:])
        for attempt in queue.ATTEMPTS.all(snapshot.cursor, entry)
    )
    return attrs.evolve(QueueItem(EntryId(row[0]), *row[1:]), history=history)
