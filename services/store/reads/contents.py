"""Bytes of contents, by message or by queue entry."""

from collections.abc import Sequence
from typing import Final

from services.store.access import check_readable
from services.store.packs.record import CorruptRecordError, Location
from services.store.readers import Snapshot
from services.store.sql.statements import messages, queue
from shared.contract.types import CHUNK_OCTETS, MAX_REPLY_OCTETS, ContentRange
from shared.errors import BadRequest, Internal, NotFound

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


def _locate(snapshot: Snapshot, mailbox_id: int, uids: Sequence[int]) -> dict[int, Location]:
    """Where the contents lie; those of expunged messages as long as they are kept."""
    cursor = snapshot.cursor
    found = {row[0]: Location(*row[2:]) for row in messages.LOCATIONS.all(cursor, uids, mailbox_id)}
    missing = [uid for uid in uids if uid not in found]
    for row in messages.GONE_LOCATIONS.all(cursor, missing, mailbox_id):
        found[row[0]] = Location(*row[2:])
    return found


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
