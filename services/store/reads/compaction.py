"""What of a pack is still needed, a piece at a time; and whether anything names it."""

from pathlib import Path
from typing import Final

import attrs

from services.store.domain.compaction import PackState
from services.store.packs.paths import pack_path
from services.store.packs.record import RecordFlag
from services.store.packs.scan import Damage, FoundRecord, scan_pack
from services.store.readers import Snapshot
from services.store.sql.statements import contents

PIECE_OCTETS: Final = 512 * 1024
"""Copied by one write: some milliseconds of the writer's time. A record that is longer is copied alone."""
EXTENT_OCTETS: Final = 1024 * 1024
EXTENT_RECORDS: Final = 1000
"""Looked at by one read, but at least one record."""
IDS: Final = 50_000
"""Rows of contents that one read walks: some 10 ms."""


@attrs.frozen
class LiveRecord:
    """A record that a content row names; ``data`` holds it where it is short."""

    content_id: int
    offset: int
    length: int
    raw_octets: int
    data: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen
class Piece:
    """What lies between two offsets of a pack. ``damage``: no sound record begins at ``next``."""

    next: int
    live: tuple[LiveRecord, ...]
    damage: Damage | None = None


def packs(snapshot: Snapshot) -> list[PackState]:
    return [
        PackState(number, octets, dead, retired is not None)
        for number, octets, dead, retired in contents.PACKS.all(snapshot.cursor)
    ]


def piece(snapshot: Snapshot, directory: Path, pack: int, start: int, end: int) -> Piece:
    """The records from ``start`` on that a content row names. All checksums are checked. Raises OSError."""
    path = pack_path(directory, pack)
    records: list[FoundRecord] = []
    position = start
    for found in scan_pack(path, start, end):
        if isinstance(found, Damage):
            if not records:
                return Piece(position, (), found)
            break
        records.append(found)
        position = found.end
        if position - start >= EXTENT_OCTETS or len(records) >= EXTENT_RECORDS:
            break
    return _live(snapshot, path, pack, records, position)


def _live(snapshot: Snapshot, path: Path, pack: int, records: list[FoundRecord], position: int) -> Piece:
    """Those that are needed, up to PIECE_OCTETS."""
    named = [found for found in records if not found.header.flags & RecordFlag.REFERENCE]
    rows = contents.PLACES_OF_DIGESTS.all(snapshot.cursor, [found.header.digest for found in named])
    ids = {(place_pack, offset): content_id for content_id, place_pack, offset in rows}
    live: list[LiveRecord] = []
    octets = 0
    with path.open("rb", buffering=0) as file:
        for found in named:
            content_id = ids.get((pack, found.offset))
            if content_id is None:
                continue
            length = found.header.record_octets
            if live and octets + length > PIECE_OCTETS:
                return Piece(found.offset, tuple(live))
            octets += length
            data = b""
            if length <= PIECE_OCTETS:
                file.seek(found.offset)
                data = file.read(length)
            live.append(LiveRecord(content_id, found.offset, length, found.header.raw_octets, data))
    return Piece(position, tuple(live))


def names_pack(snapshot: Snapshot, pack: int, after: int) -> tuple[bool, int]:
    """Whether a content with an id above ``after`` lies in a pack, of the next IDS ids; ask on after the returned one (0: all were)."""
    cursor = snapshot.cursor
    if contents.IN_PACK.one(cursor, pack, after, after + IDS, 1) is not None:
        return True, 0
    last = contents.LAST.one(cursor, 1)
    return False, after + IDS if last is not None and last[0] > after + IDS else 0
