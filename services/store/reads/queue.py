"""The queue as the administrator sees it."""

import time
from typing import Final

import attrs

from services.store.domain.wishes import wishes_of
from services.store.readers import Snapshot
from services.store.sql.like import literal
from services.store.sql.prepared import Row
from services.store.sql.statements import queue
from shared.contract.queue_types import HOLDER, AttemptInfo, QueueFilter, QueueItem
from shared.contract.types import OutcomeKind
from shared.errors import BadRequest, NotFound
from shared.model.ids import EntryId

MAX_PATTERN_CHARACTERS: Final = 400
FOREVER: Final = 1e12
MAX_ITEMS: Final = 250
"""With the longest addresses and texts they stay below MAX_REPLY_OCTETS."""


def item_of(row: Row) -> QueueItem:
    """Of a row of ``SELECT_ITEMS``, without its attempts."""
    return attrs.evolve(QueueItem(EntryId(row[0]), *row[1:12]), wishes=wishes_of(row[12:-1]), route=row[-1])


def items(snapshot: Snapshot, after: int, limit: int) -> tuple[QueueItem, ...]:
    rows = queue.ITEMS.all(snapshot.cursor, after, max(1, min(limit, MAX_ITEMS)))
    return tuple(map(item_of, rows))


def find(snapshot: Snapshot, wanted: QueueFilter, after: int, limit: int) -> tuple[QueueItem, ...]:
    """Raises BadRequest."""
    rows = queue.FIND.all(
        snapshot.cursor,
        after,
        _pattern("" if wanted.sender == "<>" else wanted.sender, any_="%" if wanted.sender != "<>" else ""),
        _pattern(wanted.recipient),
        _pattern(wanted.destination),
        _pattern(f"*{wanted.reason}*"),
        time.time() - wanted.older_seconds if wanted.older_seconds > 0 else FOREVER,
        HOLDER if wanted.held else "%",
        literal(wanted.trace).lower() or "%",
        max(1, min(limit, MAX_ITEMS)),
    )
    return tuple(map(item_of, rows))


def _pattern(text: str, any_: str = "%") -> str:
    """LIKE's pattern of one of ours. Raises BadRequest."""
    if len(text) > MAX_PATTERN_CHARACTERS:
        raise BadRequest("a pattern that is too long")
    return literal(text).replace("*", "%").lower() or any_


def item(snapshot: Snapshot, entry: int) -> QueueItem:
    """With its attempts. Raises NotFound."""
    row = queue.ITEM.one(snapshot.cursor, entry)
    if row is None:
        raise NotFound("entry")
    history = tuple(
        AttemptInfo(at, OutcomeKind(kind), code, enhanced, text, remote, tls, seconds, dialogue or b"")
        for at, kind, code, enhanced, text, remote, tls, seconds, dialogue in queue.ATTEMPTS.all(snapshot.cursor, entry)
    )
    return attrs.evolve(item_of(row), history=history)
