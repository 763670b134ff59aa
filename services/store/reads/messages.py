"""Messages of a mailbox: narrow columns, index columns, maildrops. All answers stay below the frame bound."""

from collections.abc import Iterator, Sequence
from typing import Final

from services.store.access import check_readable
from services.store.readers import Snapshot
from services.store.reads import changed
from services.store.reads.mailboxes import readable_row
from services.store.sql.prepared import Cursor, Row
from services.store.sql.statements import mailboxes, messages
from shared.contract.types import MAX_REPLY_OCTETS, ChangesPage, IndexField, IndexRow
from shared.errors import BadRequest, LimitExceeded
from shared.model.ids import ModSeq, Uid
from shared.model.packed import pack_i64, pack_u32, pack_u64

MAX_CHANGES: Final = 25_000
MAX_VANISHED: Final = 150_000
MAX_MAILDROP: Final = 10_000
_ROW_OCTETS: Final = 32
_INDEX_CHUNK: Final = 256
_ALL_FIELDS: Final = int(sum(IndexField))


def changes(
    snapshot: Snapshot, account_id: int, mailbox_id: int, since: int, after_uid: int, limit: int
) -> ChangesPage:
    """Raises NoSuchMailbox, BadRequest, and LimitExceeded when what vanished is forgotten or too much: begin at 0 again."""
    if since < 0 or after_uid < 0 or limit < 1:
        raise BadRequest("changes")
    cursor = snapshot.cursor
    row = readable_row(cursor, account_id, mailbox_id)
    vanished: list[Row] = []
    # whoever begins at 0 has nothing that could have vanished
    if 0 < since < row.tombstone_floor:
        raise LimitExceeded("what vanished since is forgotten")
    ranges = changed.changed_ranges(cursor, row.id, since) if 0 < since < row.highest_modseq else []
    if ranges and not after_uid:
        vanished = changed.vanished(cursor, row.id, ranges, since, MAX_VANISHED + 1)
        if len(vanished) > MAX_VANISHED:
            raise LimitExceeded("too much has vanished since")
    limit = min(limit, MAX_CHANGES, (MAX_REPLY_OCTETS - 4 * len(vanished)) // _ROW_OCTETS)
    if since:
        found = changed.changed_messages(cursor, row.id, ranges, since, after_uid, limit + 1)
    else:
        found = messages.ALL_NARROW.all(cursor, row.id, after_uid, limit + 1)
    more = len(found) > limit
    columns = list(zip(*found[:limit], strict=True)) or [()] * 5
    return ChangesPage(
        uids=pack_u32(columns[0]),
        modseqs=pack_u64(columns[1]),
        flags=pack_u64(columns[2]),
        sizes=pack_u32(columns[3]),
        internal_dates=pack_i64(columns[4]),
        vanished=pack_u32([uid for (uid,) in vanished]),
        keywords=tuple(name for (name,) in mailboxes.KEYWORDS.all(cursor, mailbox_id)),
        uid_next=Uid(row.uid_next),
        highest_modseq=ModSeq(row.highest_modseq),
        more=more,
        acl_version=row.acl_version,
    )


def tombstones_above(snapshot: Snapshot, most: int) -> list[tuple[int, int]]:
    """Mailboxes that remember more than ``most`` expunged messages, and up to which modseq they are to be forgotten."""
    cursor = snapshot.cursor
    found = [mailbox_id for (mailbox_id,) in messages.TOMBSTONES_ABOVE.all(cursor, most)]
    return [(mailbox_id, messages.TOMBSTONE_CUT.scalar(cursor, mailbox_id, 1, most)) for mailbox_id in found]


def fetch_index(
    snapshot: Snapshot, account_id: int, mailbox_id: int, uids: Sequence[int], fields: int
) -> tuple[IndexRow, ...]:
    """Rows in the order asked, cut at MAX_REPLY_OCTETS. Raises NoSuchMailbox, BadRequest."""
    if fields & ~_ALL_FIELDS or fields < 0:
        raise BadRequest("index fields")
    check_readable(snapshot.cursor, account_id, mailbox_id)
    rows: list[IndexRow] = []
    octets = 0
    ids = fields & IndexField.EMAIL_ID
    for row in _index_rows(snapshot.cursor, mailbox_id, uids, fields & messages.ALL_INDEX_FIELDS):
        uid, envelope, bodystructure, body, parts, summary, header_octets, email_id, thread_id, saved_date = row
        octets += 80 + len(envelope) + len(bodystructure) + len(body) + len(parts) + len(summary)
        if octets > MAX_REPLY_OCTETS and rows:
            break
        names = (email_name(email_id), thread_name(thread_id)) if ids else ("", "")
        rows.append(IndexRow(uid, envelope, bodystructure, body, parts, summary, header_octets, *names, saved_date))
    return tuple(rows)


def _index_rows(cursor: Cursor, mailbox_id: int, uids: Sequence[int], fields: int) -> Iterator[Row]:
    """Pieces of the list as ranges where it is dense, else as lists; in the order asked."""
    for start in range(0, len(uids), _INDEX_CHUNK):
        piece = uids[start : start + _INDEX_CHUNK]
        low, high = min(piece), max(piece)
        if high - low < 2 * len(piece):
            found = messages.INDEX.ranged(fields).all(cursor, mailbox_id, low, high)
        else:
            found = messages.INDEX.listed(fields).all(cursor, piece, mailbox_id)
        by_uid = {row[0]: row for row in found}
        for uid in piece:
            row = by_uid.get(uid)
            if row is not None:
                yield row


def email_name(email_id: int) -> str:
    """RFC 8474 §4: objectid is 1 to 255 characters of letters, digits, ``_`` and ``-``."""
    return f"E{email_id:016x}"


def thread_name(thread_id: int) -> str:
    return f"T{thread_id:016x}"
