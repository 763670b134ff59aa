"""The bytes of one record, and the first bytes of a pack. Pure.

::

    pack   = "PBPACK1" LF  number(u64)            16 octets
    record = header(64) meta payload
    header = "PBR1" version(u8) flags(u8) meta_octets(u16) stored_octets(u64) raw_octets(u64)
             digest(32) payload_crc(u32) header_crc(u32)            all numbers little-endian

``digest`` is BLAKE2b-256 of the raw content; ``payload_crc`` is the CRC-32 of the payload; ``header_crc`` is the CRC-32 of
the 60 octets before it and of ``meta``, so that a header that checks out can be trusted to say where the next one begins.

A payload of up to FRAME_OCTETS raw octets is one frame. A longer one is FRAMED: frames of FRAME_OCTETS raw octets each (the
last may be shorter), then a table with the stored length and the CRC-32 of every frame, then the table's own CRC-32:
a ranged read touches the table and the frames it needs, and nothing else. A frame that is as long stored as it is raw
is stored as it is; a shorter one is a zstd frame.

``meta`` is msgpack: where the message was filed when it came in (``Placement``), so that the packs alone can
rebuild every mailbox. A REFERENCE record has meta and no payload: content that was there already came in again.
"""

import struct
from collections.abc import Sequence
from enum import IntFlag
from typing import Final
from zlib import crc32

import attrs
import msgpack

PACK_MAGIC: Final = b"PBPACK1\n"
PACK_HEADER: Final = struct.Struct("<8sQ")
RECORD_MAGIC: Final = b"PBR1"
RECORD_VERSION: Final = 1
_HEADER: Final = struct.Struct("<4sBBHQQ32sII")
_HEAD: Final = struct.Struct("<4sBBHQQ32sI")
HEADER_OCTETS: Final = _HEADER.size
META_MAX: Final = 0xFFFF
FRAME_OCTETS: Final = 256 * 1024
TABLE_ENTRY: Final = struct.Struct("<II")
TABLE_CRC: Final = struct.Struct("<I")
RAW_MAX: Final = 1 << 34
"""No content is longer than 16 GiB: a length beyond it is damage, not mail."""


class RecordFlag(IntFlag):
    FRAMED = 1
    REFERENCE = 2


class CorruptRecordError(Exception):
    """The bytes are not a whole, sound record. The message says what did not fit, never content."""


@attrs.frozen
class RecordHeader:
    """A header that checked out."""

    flags: RecordFlag
    meta_octets: int
    stored_octets: int
    raw_octets: int
    digest: bytes
    payload_crc: int

    @property
    def record_octets(self) -> int:
        return HEADER_OCTETS + self.meta_octets + self.stored_octets

    @property
    def frame_count(self) -> int:
        return frame_count(self.raw_octets) if self.flags & RecordFlag.FRAMED else 1


@attrs.frozen
class Placement:
    """Where a content was filed when it came in. ``internal_date`` in ms since 1970."""

    address: str
    mailbox: str
    uid: int
    internal_date: int
    flags: int = 0


@attrs.frozen
class Location:
    """Where a record lies: pack number, offset and length of the whole record, and its content's raw length."""

    pack: int
    offset: int
    length: int
    raw_octets: int


def frame_count(raw_octets: int) -> int:
    return max(1, -(-raw_octets // FRAME_OCTETS))


def encode_meta(placements: Sequence[Placement]) -> bytes:
    """As many placements as fit META_MAX; the rest is only in the database (a message to thousands of accounts)."""
    rows = [(p.address, p.mailbox, p.uid, p.internal_date, p.flags) for p in placements]
    meta: bytes = msgpack.packb(rows)
    while len(meta) > META_MAX:
        rows = rows[: len(rows) * 2 // 3]
        meta = msgpack.packb(rows)
    return meta


def decode_meta(meta: bytes) -> list[Placement]:
    """Raises CorruptRecordError."""
    try:
        return [Placement(*row) for row in msgpack.unpackb(meta)]
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise CorruptRecordError("meta does not decode") from error


def encode_header(header: RecordHeader, meta: bytes) -> bytes:
    """The 64 octets that go before ``meta`` and the payload."""
    head = _HEAD.pack(
        RECORD_MAGIC,
        RECORD_VERSION,
        int(header.flags),
        len(meta),
        header.stored_octets,
        header.raw_octets,
        header.digest,
        header.payload_crc,
    )
    return head + TABLE_CRC.pack(crc32(meta, crc32(head)))


def decode_header(data: bytes | memoryview) -> RecordHeader:
    """Read a header at the start of ``data``, which must hold all of header and meta. Raises CorruptRecordError."""
    if len(data) < HEADER_OCTETS:
        raise CorruptRecordError("shorter than a header")
    magic, version, flags, meta_octets, stored, raw, digest, payload_crc, header_crc = _HEADER.unpack_from(data)
    if magic != RECORD_MAGIC:
        raise CorruptRecordError("no record begins here")
    if version != RECORD_VERSION:
        raise CorruptRecordError(f"record version {version}")
    end = HEADER_OCTETS + meta_octets
    if len(data) < end:
        raise CorruptRecordError("shorter than its meta")
    if crc32(data[HEADER_OCTETS:end], crc32(data[: _HEAD.size])) != header_crc:
        raise CorruptRecordError("header checksum")
    if raw > RAW_MAX or stored > RAW_MAX:
        raise CorruptRecordError("length out of bounds")
    return RecordHeader(RecordFlag(flags), meta_octets, stored, raw, digest, payload_crc)


def sound_payload(data: memoryview, at: int, length: int, raw_octets: int) -> int:
    """Where the payload begins of a record of one frame that takes ``length`` octets from ``at`` on, all checksums checked.

    -1: something does not fit, ``decode_header`` says what. This is the short way for many records in one buffer.
    """
    magic, version, _, meta_octets, stored, raw, _, payload_crc, header_crc = _HEADER.unpack_from(data, at)
    begin: int = at + HEADER_OCTETS + meta_octets
    end = at + length
    if (
        magic != RECORD_MAGIC
        or version != RECORD_VERSION
        or raw != raw_octets
        or begin + stored != end
        or crc32(data[at + HEADER_OCTETS : begin], crc32(data[at : at + _HEAD.size])) != header_crc
        or crc32(data[begin:end]) != payload_crc
    ):
        return -1
    return begin


def encode_table(frames: Sequence[tuple[int, int]]) -> bytes:
    """The table after the frames of a FRAMED payload: (stored length, CRC-32) of each, and its own CRC-32."""
    table = b"".join(TABLE_ENTRY.pack(length, crc) for length, crc in frames)
    return table + TABLE_CRC.pack(crc32(table))


def table_octets(frames: int) -> int:
    return frames * TABLE_ENTRY.size + TABLE_CRC.size


def decode_table(data: bytes) -> list[tuple[int, int]]:
    """Raises CorruptRecordError."""
    table = data[: -TABLE_CRC.size]
    if len(table) % TABLE_ENTRY.size or crc32(table) != TABLE_CRC.unpack(data[-TABLE_CRC.size :])[0]:
        raise CorruptRecordError("frame table")
    return list(TABLE_ENTRY.iter_unpack(table))
