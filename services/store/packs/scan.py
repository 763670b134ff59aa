"""Walk a pack record by record, and mend the tail that a power cut tore.

``mend`` cuts a pack only past its last whole record and never before ``known_end``, up to where the database has
committed. Damage that has sound records behind it, or lies before ``known_end``, is reported and left as it is: a later
restore may mend it, a cut could not be undone.
"""

import mmap
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import attrs

from services.store.packs.record import (
    HEADER_OCTETS,
    META_MAX,
    PACK_HEADER,
    PACK_MAGIC,
    RECORD_MAGIC,
    CorruptRecordError,
    RecordHeader,
    decode_header,
)


@attrs.frozen
class FoundRecord:
    """A sound record: header and payload match their checksums."""

    offset: int
    header: RecordHeader
    meta: bytes

    @property
    def end(self) -> int:
        return self.offset + self.header.record_octets


@attrs.frozen
class Damage:
    """Octets ``start`` to ``end`` hold no sound record."""

    start: int
    end: int
    reason: str


@attrs.frozen
class Mended:
    """What ``mend`` found and did. ``unknown_octets``: whole records behind ``known_end`` that no commit refers to."""

    end: int
    cut_octets: int
    unknown_octets: int
    damages: tuple[Damage, ...]
    missing_octets: int = 0


def scan_pack(path: Path, start: int = PACK_HEADER.size, stop: int | None = None) -> Iterator[FoundRecord | Damage]:
    """All records and damaged stretches from ``start`` on, to ``stop`` or the end. The last item is Damage where the tail is torn."""
    size = path.stat().st_size
    if stop is not None:
        size = min(size, stop)
    if size <= start:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield from _walk(data, start, size)


def _walk(data: mmap.mmap, start: int, size: int) -> Iterator[FoundRecord | Damage]:
    offset = start
    while offset < size:
        found = _record_at(data, offset, size)
        if isinstance(found, FoundRecord):
            yield found
            offset = found.end
            continue
        following = _next_sound(data, offset + 1, size)
        yield Damage(offset, following, found)
        offset = following


def _record_at(data: mmap.mmap, offset: int, size: int) -> FoundRecord | str:
    head = data[offset : min(size, offset + HEADER_OCTETS + META_MAX)]
    try:
        header = decode_header(head)
    except CorruptRecordError as error:
        return str(error)
    payload = offset + HEADER_OCTETS + header.meta_octets
    end = payload + header.stored_octets
    if end > size:
        return "shorter than its payload"
    crc = 0
    for piece in range(payload, end, 1 << 20):
        crc = zlib.crc32(data[piece : min(end, piece + (1 << 20))], crc)
    if crc != header.payload_crc:
        return "payload checksum"
    return FoundRecord(offset, header, bytes(head[HEADER_OCTETS : HEADER_OCTETS + header.meta_octets]))


def _next_sound(data: mmap.mmap, start: int, size: int) -> int:
    """The offset of the next sound record, or ``size``."""
    offset = start
    while (offset := data.find(RECORD_MAGIC, offset)) >= 0:
        if isinstance(_record_at(data, offset, size), FoundRecord):
            return offset
        offset += 1
    return size


def pack_is_ours(path: Path, number: int) -> bool:
    """Whether a file begins as the pack of this number does."""
    with path.open("rb") as file:
        return file.read(PACK_HEADER.size) == PACK_HEADER.pack(PACK_MAGIC, number)


def mend(path: Path, number: int, known_end: int) -> Mended:
    """Check a pack and cut its torn tail. ``known_end``: no committed record ends later (0: none is known).

    Behind it the first thing that is no sound record is the tail, whatever follows.
    """
    size = path.stat().st_size
    if size < PACK_HEADER.size or not pack_is_ours(path, number):
        return _mend_headless(path, number, known_end, size)
    damages: list[Damage] = []
    end = PACK_HEADER.size
    unknown = 0
    for found in scan_pack(path):
        if isinstance(found, Damage):
            if 0 < known_end <= found.start:
                # Parts of one last group may reach the disk in any order. Nobody was told that it is there: it ends here.
                break
            damages.append(found)
            continue
        end = found.end
        if found.offset >= known_end:
            unknown += found.header.record_octets
    keep = max(end, min(known_end, size))
    cut = size - keep
    if cut:
        damages = [_clip(damage, keep) for damage in damages if damage.start < keep]
        _cut(path, keep)
    return Mended(keep, cut, unknown, tuple(damages), max(0, known_end - size))


def _clip(damage: Damage, end: int) -> Damage:
    return attrs.evolve(damage, end=min(damage.end, end))


def _mend_headless(path: Path, number: int, known_end: int, size: int) -> Mended:
    """A pack whose first octets are missing: begun and never used, or badly hurt."""
    if known_end <= PACK_HEADER.size and size <= PACK_HEADER.size:
        path.write_bytes(PACK_HEADER.pack(PACK_MAGIC, number))
        _sync_file(path)
        return Mended(PACK_HEADER.size, 0, 0, ())
    return Mended(size, 0, 0, (Damage(0, size, "no pack header"),), max(0, known_end - size))


def _cut(path: Path, end: int) -> None:
    os.truncate(path, end)
    _sync_file(path)


def _sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
