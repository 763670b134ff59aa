"""ENVELOPE, BODYSTRUCTURE and BODY as rendered bytes, kept so that a warm FETCH is a join.

Laws: contents never change under a (mailbox, UIDVALIDITY, UID), so nothing here is ever stale; the sum of all octets is bounded;
what was not used for a while is given back, whole mailboxes at a time.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from shared.model.ids import MailboxId

ROW_OVERHEAD: Final = 130
"""Of a dict entry with its key and its bytes object, beside the octets themselves."""

Rows = dict[int, bytes]
Mailbox = tuple[MailboxId, int]
"""With its UIDVALIDITY: a UID of another one is another message."""
_Key = tuple[Mailbox, bytes]


class RenderedCache:
    """Of one process. ``column`` is the name of what is kept (ENVELOPE and the like)."""

    def __init__(self, max_octets: int) -> None:
        self._max_octets = max_octets
        self._octets = 0
        self._columns: OrderedDict[_Key, Rows] = OrderedDict()
        self._sizes: dict[_Key, int] = {}
        self._used_at: dict[_Key, float] = {}

    def rows(self, mailbox: Mailbox, column: bytes, now: float) -> Rows:
        """What is kept, by UID; to be read, not changed. ``now``: any steady clock, in seconds."""
        key = (mailbox, column)
        rows = self._columns.get(key)
        if rows is None:
            return {}
        self._columns.move_to_end(key)
        self._used_at[key] = now
        return rows

    def add(self, mailbox: Mailbox, column: bytes, rows: Iterable[tuple[int, bytes]], now: float) -> None:
        """Keep rows, if need be instead of those used longest ago."""
        key = (mailbox, column)
        kept = self._columns.setdefault(key, {})
        added = 0
        for uid, octets in rows:
            if uid not in kept:
                kept[uid] = octets
                added += len(octets) + ROW_OVERHEAD
        self._sizes[key] = self._sizes.get(key, 0) + added
        self._octets += added
        self._columns.move_to_end(key)
        self._used_at[key] = now
        while self._octets > self._max_octets:
            oldest = next(iter(self._columns))
            if oldest == key:
                self._shrink(key)
                return
            self._drop(oldest)

    def _shrink(self, key: _Key) -> None:
        """One mailbox alone is too large: give up the half of it that came first."""
        kept = self._columns[key]
        for uid in list(kept)[: (len(kept) + 1) // 2]:
            octets = len(kept.pop(uid)) + ROW_OVERHEAD
            self._sizes[key] -= octets
            self._octets -= octets
        if self._octets > self._max_octets:
            self._drop(key)

    def _drop(self, key: _Key) -> None:
        del self._columns[key]
        self._octets -= self._sizes.pop(key)
        self._used_at.pop(key, None)

    def give_back(self, unused_since: float) -> None:
        """Drop what was not used after a time."""
        for key, used_at in list(self._used_at.items()):
            if used_at < unused_since:
                self._drop(key)

    def statistics(self) -> dict[str, int]:
        """Octets kept (with overhead), rows, mailboxes."""
        return {
            "octets": self._octets,
            "rows": sum(len(rows) for rows in self._columns.values()),
            "columns": len(self._columns),
        }
