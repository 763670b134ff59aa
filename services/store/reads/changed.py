"""What changed in a mailbox since a modseq: the sets that the writer noted (``services.store.changed``), each message looked at."""

from typing import Final

from services.store.domain.changed import EVERYTHING, Range, decode, pieces, union
from services.store.sql.prepared import Cursor, Prepared, PreparedIn, Row
from services.store.sql.statements import change_sets, messages

SETS_OCTETS_MAX: Final = 256 << 10
"""Of sets in all; with more, the whole mailbox is looked at."""


def changed_ranges(cursor: Cursor, mailbox_id: int, since: int) -> list[Range]:
    """Where all messages are that were filed, changed or taken away since a modseq; others may be among them."""
    sets = [uids for (uids,) in change_sets.SINCE.all(cursor, mailbox_id, since)]
    if sum(map(len, sets)) > SETS_OCTETS_MAX:
        return [EVERYTHING]
    if len(sets) == 1:
        return decode(sets[0])
    return union(bounds for uids in sets for bounds in decode(uids))


def changed_messages(
    cursor: Cursor, mailbox_id: int, ranges: list[Range], since: int, after: int, limit: int
) -> list[Row]:
    """The narrow columns of messages above the UID ``after`` with a modseq above ``since``, ascending, at most ``limit``."""
    statements = (messages.CHANGED_BETWEEN, messages.CHANGED_OF)
    return _collected(cursor, *statements, mailbox_id, ranges, since, after, limit)


def vanished(cursor: Cursor, mailbox_id: int, ranges: list[Range], since: int, limit: int) -> list[Row]:
    """UIDs that went away after ``since``, ascending, at most ``limit``."""
    return _collected(cursor, messages.VANISHED_BETWEEN, messages.VANISHED_OF, mailbox_id, ranges, since, 0, limit)


def _collected(
    cursor: Cursor,
    between: Prepared,
    of: PreparedIn,
    mailbox_id: int,
    ranges: list[Range],
    since: int,
    after: int,
    limit: int,
) -> list[Row]:
    found: list[Row] = []
    for piece in pieces(ranges, after):
        if isinstance(piece, tuple):
            found += between.all(cursor, mailbox_id, since, *piece, limit - len(found))
        else:
            found += sorted(of.all(cursor, piece, mailbox_id, since))
        if len(found) >= limit:
            break
    return found[:limit]
