"""Which content each message of a mailbox has, kept for the mailboxes that are searched: 12 octets a message.

A message's content never changes and new messages have higher UIDs, so what is kept only ever grows; messages that were expunged
meanwhile stay in it and do no harm (whoever searches knows which messages there are). It is read again when they are most of it.
"""

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

import attrs

from services.store.search.files import document_of, last_id, partition_of
from services.store.search.grams import ROW_OCTETS
from services.store.sql.prepared import Cursor
from services.store.sql.statements import messages
from shared.model.packed import U32, U64

KEPT_MESSAGES: Final = 2_000_000
"""Of all mailboxes together; the mailbox at hand is kept in any case."""
_FETCHED: Final = 10_000
_SLACK: Final = 1000


@attrs.frozen
class Range:
    """The messages of a mailbox whose contents are in one partition: positions ``start`` to ``stop``, and their documents as bits."""

    partition: int
    start: int
    stop: int
    documents: int


class MailboxColumns:
    """Contents and UIDs side by side, by content; a content may be there more than once."""

    def __init__(self) -> None:
        self.contents: array[int] = array(U64)
        self.uids: array[int] = array(U32)
        self._ranges: list[Range] = []
        self._last_uid = 0

    def refresh(self, cursor: Cursor, mailbox_id: int) -> None:
        """Add what is new in the mailbox."""
        found = messages.CONTENTS_AFTER.run(cursor, mailbox_id, self._last_uid)
        ordered = True
        before = len(self.uids)
        while rows := found.fetchmany(_FETCHED):
            uids, contents = zip(*rows, strict=True)
            highest = self.contents[-1] if self.contents else 0
            ordered = ordered and contents[0] >= highest and list(contents) == sorted(contents)
            self.uids.extend(uids)
            self.contents.extend(contents)
            self._last_uid = uids[-1]
        if len(self.uids) == before:
            return
        if not ordered:
            # copies: contents that are older than their messages
            pairs = sorted(zip(self.contents, self.uids, strict=True))
            self.contents = array(U64, [content for content, _ in pairs])
            self.uids = array(U32, [uid for _, uid in pairs])
            self._ranges.clear()
        elif self._ranges:
            self._ranges.pop()

    def ranges(self) -> list[Range]:
        """By partition, ascending."""
        contents = self.contents
        start = self._ranges[-1].stop if self._ranges else 0
        while start < len(contents):
            partition = partition_of(contents[start])
            stop = bisect_left(contents, last_id(partition) + 1, start)
            bits = bytearray(ROW_OCTETS)
            for content in contents[start:stop]:
                document = document_of(content)
                bits[document >> 3] |= 1 << (document & 7)
            self._ranges.append(Range(partition, start, stop, int.from_bytes(bits, "little")))
            start = stop
        return self._ranges

    def uids_of(self, content: int, within: Range) -> Iterator[int]:
        """The messages that have a content."""
        contents = self.contents
        position = bisect_left(contents, content, within.start, within.stop)
        while position < within.stop and contents[position] == content:
            yield self.uids[position]
            position += 1


class ColumnsCache:
    """Columns of the mailboxes that were searched last. For one thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, MailboxColumns] = OrderedDict()

    def columns(self, cursor: Cursor, mailbox_id: int, count: int) -> MailboxColumns:
        """Of a mailbox that holds ``count`` messages now."""
        columns = self._kept.pop(mailbox_id, None)
        if columns is None or len(columns.uids) > 2 * count + _SLACK:
            columns = MailboxColumns()
        columns.refresh(cursor, mailbox_id)
        self._kept[mailbox_id] = columns
        kept = sum(len(each.uids) for each in self._kept.values())
        while kept > KEPT_MESSAGES and len(self._kept) > 1:
            kept -= len(self._kept.popitem(last=False)[1].uids)
        return columns

    def clear(self) -> None:
        """Give everything back."""
        self._kept.clear()
