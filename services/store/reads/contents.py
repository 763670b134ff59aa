"""Bytes of contents, by message or by queue entry."""

import json
from collections.abc import Sequence
from typing import Final

import attrs

from services.store.access import check_readable
from services.store.packs.read import Wanted
from services.store.packs.record import CorruptRecordError, Location
from services.store.readers import Snapshot
from services.store.sql.prepared import Row
from services.store.sql.statements import messages, queue
from shared.contract.contents import GONE_OCTETS, Contents
from shared.contract.types import CHUNK_OCTETS, MAX_REPLY_OCTETS, ContentRange
from shared.errors import BadRequest, Internal, NotFound
from shared.model.blob import Blob
from shared.model.packed import pack_u32

_LOOKUP_CHUNK: Final = 256
MAX_RANGES: Final = 10_000


def read(
    snapshot: Snapshot, account_id: int, mailbox_id: int, ranges: Sequence[ContentRange]
) -> tuple[bytes | None, ...]:
    """In the order asked, as many as fit MAX_REPLY_OCTETS. Raises NoSuchMailbox, BadRequest, Internal (damage)."""
    if len(ranges) > MAX_RANGES or any(part.offset < 0 or part.octets < -1 for part in ranges):
        raise BadRequest("ranges")
    check_readable(snapshot.cursor, account_id, mailbox_id)
    pieces: list[bytes | None] = []
    room = MAX_REPLY_OCTETS
    for start in range(0, len(ranges), _LOOKUP_CHUNK):
        wanted = ranges[start : start + _LOOKUP_CHUNK]
        locations = _locate(snapshot, mailbox_id, [part.uid for part in wanted])
        for part in wanted:
            location = locations.get(part.uid)
            if location is None:
                pieces.append(None)
                continue
            length = max(0, location.raw_octets - part.offset)
            if part.octets >= 0:
                length = min(length, part.octets)
            if length + 8 > room:
                # the first answer is cut, a later one waits for the next call
                if pieces:
                    return tuple(pieces)
                length = room - 8
            pieces.append(read_octets(snapshot, location, part.offset, length))
            room -= length + 8
    return tuple(pieces)


def read_many(
    snapshot: Snapshot,
    account_id: int,
    mailbox_id: int,
    uids: Sequence[int],
    starts: Sequence[int],
    octets: Sequence[int],
) -> Contents:
    """``read`` with one buffer for all. Raises NoSuchMailbox, BadRequest, Internal (damage)."""
    count = len(uids)
    if count > MAX_RANGES or (starts and len(starts) != count) or (octets and len(octets) != count):
        raise BadRequest("ranges")
    check_readable(snapshot.cursor, account_id, mailbox_id)
    starts = starts or [0] * count
    octets = octets or [GONE_OCTETS] * count
    lengths: list[int] = []
    wanted: list[Wanted] = []
    room = MAX_REPLY_OCTETS
    for begin in range(0, count, _LOOKUP_CHUNK):
        end = begin + _LOOKUP_CHUNK
        rows = _rows(snapshot, mailbox_id, uids[begin:end])
        for uid, start, length in zip(uids[begin:end], starts[begin:end], octets[begin:end], strict=True):
            row = rows.get(uid)
            if row is None:
                lengths.append(GONE_OCTETS)
                continue
            _, pack, offset, stored, raw = row
            length = max(0, min(length, raw - start))
            if length + 8 > room:
                if lengths:
                    return _contents(snapshot, lengths, wanted)
                length = room - 8
            room -= length + 8
            lengths.append(length)
            wanted.append((pack, offset, stored, raw, start, start + length))
    return _contents(snapshot, lengths, wanted)


def _contents(snapshot: Snapshot, lengths: Sequence[int], wanted: Sequence[Wanted]) -> Contents:
    try:
        return Contents(pack_u32(lengths), Blob(snapshot.packs.read_many(wanted)))
    except CorruptRecordError as error:
        raise Internal(str(error)) from error
    except OSError as error:
        raise Internal(f"packs: {error.strerror}") from error


def _rows(snapshot: Snapshot, mailbox_id: int, uids: Sequence[int]) -> dict[int, Row]:
    """(uid, pack, offset, length, raw octets) by UID; by a range where the list is dense."""
    low, high = min(uids), max(uids)
    if high - low >= 2 * len(uids):
        return {uid: (uid, *attrs.astuple(where)) for uid, where in _locate(snapshot, mailbox_id, uids).items()}
    columns = messages.LOCATIONS_BETWEEN.one(snapshot.cursor, mailbox_id, low, high) or ("[]",) * 5
    uid, pack, offset, length, octets = map(json.loads, columns)
    found: dict[int, Row] = {row[0]: row for row in zip(uid, pack, offset, length, octets, strict=True)}
    missing = [uid for uid in uids if uid not in found]
    for uid, where in _expunged(snapshot, mailbox_id, missing).items():
        found[uid] = (uid, *attrs.astuple(where))
    return found


def _locate(snapshot: Snapshot, mailbox_id: int, uids: Sequence[int]) -> dict[int, Location]:
    """Where the contents lie; those of expunged messages as long as they are kept."""
    cursor = snapshot.cursor
    found = {row[0]: Location(*row[2:]) for row in messages.LOCATIONS.all(cursor, uids, mailbox_id)}
    found.update(_expunged(snapshot, mailbox_id, [uid for uid in uids if uid not in found]))
    return found


def _expunged(snapshot: Snapshot, mailbox_id: int, uids: Sequence[int]) -> dict[int, Location]:
    rows = messages.GONE_LOCATIONS.all(snapshot.cursor, uids, mailbox_id)
    return {row[0]: Location(*row[2:]) for row in rows}


def read_octets(snapshot: Snapshot, location: Location, offset: int, octets: int) -> bytes:
    """A range of a content. Raises Internal where the pack is damaged or gone."""
    try:
        return snapshot.packs.read(location, offset, octets)
    except CorruptRecordError as error:
        raise Internal(f"pack {location.pack} at {location.offset}: {error}") from error
    except OSError as error:
        raise Internal(f"pack {location.pack}: {error.strerror}") from error


def read_queued(snapshot: Snapshot, worker: str, entry: int, offset: int, octets: int) -> bytes:
    """A piece of a leased entry's content as it goes out; empty at the end. Raises NotFound, BadRequest."""
    if offset < 0 or octets < 1:
        raise BadRequest("range")
    row = queue.CONTENT_OF.one(snapshot.cursor, entry)
    if row is None or row[0] != worker:
        raise NotFound("entry")
    return read_octets(snapshot, Location(*row[2:]), row[1] + offset, min(octets, CHUNK_OCTETS))
