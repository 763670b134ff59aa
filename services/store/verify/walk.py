"""A pack file read from its beginning to its committed end, every octet checked: lengths, checksums, decompression, digest.

Unlike ``packs.scan``, which mends the newest pack at start, this reads by ``pread``: a sector that the disk cannot read is a finding, and
not the end of the process. Large records are taken frame by frame; nothing larger than a frame or WINDOW_OCTETS is in memory.
"""

import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import attrs
import zstandard

from services.store.pace import Pace
from services.store.packs.encode import DIGEST_OCTETS
from services.store.packs.record import (
    FRAME_OCTETS,
    HEADER_OCTETS,
    META_MAX,
    PACK_HEADER,
    PACK_MAGIC,
    RECORD_MAGIC,
    CorruptRecordError,
    RecordFlag,
    RecordHeader,
    decode_header,
    decode_table,
    table_octets,
)
from services.store.packs.scan import Damage

WINDOW_OCTETS: Final = 1024 * 1024
_META_AT: Final = slice(6, 8)
"""Where a header says how long ``meta`` is."""


@attrs.frozen
class Sound:
    """A record of which every octet is right."""

    offset: int
    header: RecordHeader

    @property
    def end(self) -> int:
        return self.offset + self.header.record_octets


class PackFile:
    """One pack, read through a window at a pace. Raises OSError."""

    def __init__(self, path: Path, pace: Pace) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._pace = pace
        self._window = b""
        self._at = 0
        self._zstd = zstandard.ZstdDecompressor()
        self.size = os.fstat(self._fd).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def read(self, offset: int, length: int) -> bytes:
        """Shorter where the file ends. Raises CorruptRecordError where the disk cannot read."""
        start = offset - self._at
        if not 0 <= start <= start + length <= len(self._window):
            wanted = max(length, WINDOW_OCTETS)
            self._pace.take(max(0, min(wanted, self.size - offset)))
            try:
                self._window = os.pread(self._fd, wanted, offset)
            except OSError as error:
                self._window = b""
                raise CorruptRecordError(f"the disk cannot read it: {error.strerror}") from error
            self._at, start = offset, 0
        return self._window[start : start + length]

    def _whole(self, offset: int, length: int) -> bytes:
        data = self.read(offset, length)
        if len(data) != length:
            raise CorruptRecordError("the pack ends inside the record")
        return data

    def check_start(self, number: int) -> None:
        """Raises CorruptRecordError."""
        if self.read(0, PACK_HEADER.size) != PACK_HEADER.pack(PACK_MAGIC, number):
            raise CorruptRecordError("no pack header")

    def check_record(self, offset: int) -> RecordHeader:
        """All of the record at an offset. Raises CorruptRecordError."""
        head = self._whole(offset, HEADER_OCTETS)
        meta_octets = int.from_bytes(head[_META_AT], "little")
        header = decode_header(self._whole(offset, HEADER_OCTETS + min(meta_octets, META_MAX)))
        if header.flags & RecordFlag.REFERENCE:
            return header
        payload = offset + HEADER_OCTETS + header.meta_octets
        if header.flags & RecordFlag.FRAMED:
            self._check_framed(payload, header)
            return header
        if header.stored_octets > FRAME_OCTETS:
            raise CorruptRecordError("length out of bounds")
        stored = self._whole(payload, header.stored_octets)
        if zlib.crc32(stored) != header.payload_crc:
            raise CorruptRecordError("payload checksum")
        _same_digest(hashlib.blake2b(self._raw(stored, header.raw_octets), digest_size=DIGEST_OCTETS).digest(), header)
        return header

    def _check_framed(self, payload: int, header: RecordHeader) -> None:
        octets = table_octets(header.frame_count)
        table_at = payload + header.stored_octets - octets
        if table_at < payload:
            raise CorruptRecordError("length out of bounds")
        table_bytes = self._whole(table_at, octets)
        at, left, crc = payload, header.raw_octets, 0
        digest = hashlib.blake2b(digest_size=DIGEST_OCTETS)
        for length, frame_crc in decode_table(table_bytes):
            if length > FRAME_OCTETS:
                raise CorruptRecordError("length out of bounds")
            stored = self._whole(at, length)
            if zlib.crc32(stored) != frame_crc:
                raise CorruptRecordError("payload checksum")
            crc = zlib.crc32(stored, crc)
            digest.update(self._raw(stored, min(left, FRAME_OCTETS)))
            at += length
            left -= min(left, FRAME_OCTETS)
        if at != table_at or left or zlib.crc32(table_bytes, crc) != header.payload_crc:
            raise CorruptRecordError("frame table")
        _same_digest(digest.digest(), header)

    def _raw(self, stored: bytes, raw_octets: int) -> bytes:
        if len(stored) == raw_octets:
            return stored
        try:
            raw = self._zstd.decompress(stored, max_output_size=raw_octets)
        except zstandard.ZstdError as error:
            raise CorruptRecordError("payload does not decompress") from error
        if len(raw) != raw_octets:
            raise CorruptRecordError("payload has another length")
        return raw

    def walk(self, end: int) -> Iterator[Sound | Damage]:
        """All records and torn stretches up to ``end``, where the last committed record ends."""
        offset = PACK_HEADER.size
        while offset < end:
            try:
                found = Sound(offset, self.check_record(offset))
                yield found
                offset = found.end
            except CorruptRecordError as error:
                following = self._next_sound(offset + 1, end)
                yield Damage(offset, following, str(error))
                offset = following

    def _next_sound(self, start: int, end: int) -> int:
        """The offset of the next sound record, or ``end``."""
        while start < end:
            try:
                data = self.read(start, min(WINDOW_OCTETS, end - start))
            except CorruptRecordError:
                start += WINDOW_OCTETS
                continue
            if not data:
                break
            at = data.find(RECORD_MAGIC)
            if at < 0:
                # the magic may lie across the border
                start += max(1, len(data) - len(RECORD_MAGIC) + 1)
                continue
            try:
                self.check_record(start + at)
            except CorruptRecordError:
                start += at + 1
                continue
            return start + at
        return end


def _same_digest(digest: bytes, header: RecordHeader) -> None:
    if digest != header.digest:
        raise CorruptRecordError("digest")
