"""Ranged reads out of packs, from several threads, with bounded caches.

A read touches the header, the table and the frames it needs. Decompressed frames are kept (bounded in octets, least
recently used go first) only when a read left some of them unread: whoever reads a message in pieces comes back for the
rest, whoever read it whole does not. Open files are kept, bounded in number.
"""

import os
import threading
import zlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import zstandard

from services.store.packs.paths import pack_path
from services.store.packs.record import (
    FRAME_OCTETS,
    HEADER_OCTETS,
    META_MAX,
    CorruptRecordError,
    Location,
    RecordHeader,
    decode_header,
    decode_table,
    sound_payload,
    table_octets,
)

_WHOLE_OCTETS: Final = FRAME_OCTETS + HEADER_OCTETS + META_MAX
"""A record of at most this length is read in one pread."""
_RUN_OCTETS: Final = 1024 * 1024
"""What is read at once of records that lie close together."""
_GAP_OCTETS: Final = 16 * 1024
"""Reading as much for nothing costs less than another call."""

Wanted = tuple[int, int, int, int, int, int]
"""Of a content in a batch: pack, offset, length, raw octets as in ``Location``; start and stop of the octets wanted."""


class _OpenFile:
    """A descriptor that is closed when the last thread that uses it lets go."""

    __slots__ = ("fd",)

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        fd = getattr(self, "fd", -1)
        if fd >= 0:
            os.close(fd)


class PackReader:
    """Reads contents by location. Thread-safe."""

    def __init__(self, directory: Path, *, cache_octets: int, files_max: int = 64) -> None:
        self._directory = directory
        self._cache_octets = cache_octets
        self._files_max = files_max
        self._lock = threading.Lock()
        self._files: OrderedDict[int, _OpenFile] = OrderedDict()
        self._frames: OrderedDict[tuple[int, int, int], bytes] = OrderedDict()
        self._cached = 0
        self._local = threading.local()

    def statistics(self) -> dict[str, int]:
        with self._lock:
            return {"open_files": len(self._files), "cached_octets": self._cached, "cached_frames": len(self._frames)}

    def read(self, location: Location, start: int = 0, length: int | None = None) -> bytes:
        """Octets ``start`` to ``start + length`` of a content, shorter where it ends earlier.

        Raises CorruptRecordError (damage, or not the record that the database means) and OSError.
        """
        stop = location.raw_octets if length is None else min(location.raw_octets, start + length)
        if start >= stop:
            return b""
        first, last = start // FRAME_OCTETS, (stop - 1) // FRAME_OCTETS
        if location.raw_octets <= FRAME_OCTETS:
            return self._single(location, whole=stop - start == location.raw_octets)[start:stop]
        pieces = self._framed(location, first, last, stop)
        joined = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        base = first * FRAME_OCTETS
        return joined[start - base : stop - base]

    def read_many(self, wanted: Sequence[Wanted]) -> list[bytes | memoryview]:
        """As ``read``, in the order asked; what lies close together in a pack is read at once. Raises the same.

        At most one run of records and what is returned are in memory.
        """
        if len(wanted) == 1:
            # whoever asks for one may read it in pieces: that is where the kept frames help
            return [self._one(wanted[0])]
        found: list[bytes | memoryview] = [b""] * len(wanted)
        run: list[int] = []
        run_pack = run_start = run_stop = 0
        for index in sorted(range(len(wanted)), key=wanted.__getitem__):
            pack, offset, length, raw_octets, _, _ = wanted[index]
            if raw_octets > FRAME_OCTETS:
                found[index] = self._one(wanted[index])
                continue
            if run and (
                pack != run_pack or offset > run_stop + _GAP_OCTETS or offset + length > run_start + _RUN_OCTETS
            ):
                self._read_run(wanted, run, run_start, run_stop, found)
                run = []
            if not run:
                run_pack, run_start, run_stop = pack, offset, offset
            run.append(index)
            run_stop = max(run_stop, offset + length)
        if run:
            self._read_run(wanted, run, run_start, run_stop, found)
        return found

    def _read_run(
        self, wanted: Sequence[Wanted], run: Sequence[int], begin: int, end: int, found: list[bytes | memoryview]
    ) -> None:
        """Records that lie between two offsets of one pack, into their places in ``found``.

        One read and one call for all that is compressed: the interpreter is not given up and fought for at every record.
        """
        file = self._file(wanted[run[0]][0])
        data = memoryview(os.pread(file.fd, end - begin, begin))
        there = len(data)
        packed: list[int] = []
        segments: list[int] = []
        for index in run:
            _, offset, length, raw_octets, start, stop = wanted[index]
            at = offset - begin
            payload_at = -1
            if length >= HEADER_OCTETS and at + length <= there:
                payload_at = sound_payload(data, at, length, raw_octets)
            if payload_at < 0:
                found[index] = self._one(wanted[index])
            elif at + length - payload_at == raw_octets:
                found[index] = data[payload_at + start : payload_at + stop]
            else:
                packed.append(index)
                segments += (payload_at, at + length - payload_at)
        if packed:
            self._decompress_many(wanted, packed, data, segments, found)

    def _decompress_many(
        self,
        wanted: Sequence[Wanted],
        packed: Sequence[int],
        data: memoryview,
        segments: Sequence[int],
        found: list[bytes | memoryview],
    ) -> None:
        """Payloads (offset and length in ``data``) into their places in ``found``."""
        sizes = array("Q", [wanted[index][3] for index in packed])
        try:
            frames = zstandard.BufferWithSegments(data, array("Q", segments).tobytes())
            raws: Any = self._zstd().multi_decompress_to_buffer(frames, decompressed_sizes=sizes.tobytes())
        except (zstandard.ZstdError, ValueError):
            # one of them is not what its checksum promised: the long way finds it
            for index in packed:
                found[index] = self._one(wanted[index])
            return
        for index, raw in zip(packed, raws, strict=True):
            _, _, _, raw_octets, start, stop = wanted[index]
            view = memoryview(raw)
            found[index] = view if stop - start == raw_octets else view[start:stop]

    def _one(self, wanted: Wanted) -> bytes:
        """The long way, which says what is wrong."""
        pack, offset, length, raw_octets, start, stop = wanted
        return self.read(Location(pack, offset, length, raw_octets), start, stop - start)

    def header(self, location: Location) -> RecordHeader:
        """The header of a record, checked. Raises CorruptRecordError and OSError."""
        return _check(self._pread(location, 0, HEADER_OCTETS + META_MAX), location)

    def forget(self, pack: int) -> None:
        """Drop what is kept of a pack that is going away."""
        with self._lock:
            self._files.pop(pack, None)
            for key in [key for key in self._frames if key[0] == pack]:
                self._cached -= len(self._frames.pop(key))

    def _single(self, location: Location, *, whole: bool) -> bytes:
        key = (location.pack, location.offset, 0)
        kept = self._kept(key)
        if kept is not None:
            return kept
        record = self._pread(location, 0, min(location.length, _WHOLE_OCTETS))
        header = _check(record, location)
        payload = record[HEADER_OCTETS + header.meta_octets :]
        raw = self._decode(payload, header.payload_crc, header.raw_octets)
        if not whole and len(payload) != len(raw):
            self._keep(key, raw)
        return raw

    def _framed(self, location: Location, first: int, last: int, stop: int) -> list[bytes]:
        keys = [(location.pack, location.offset, frame) for frame in range(first, last + 1)]
        found = [self._kept(key) for key in keys]
        if all(piece is not None for piece in found):
            return [piece for piece in found if piece is not None]
        header = self.header(location)
        frames = header.frame_count
        table_at = location.length - table_octets(frames)
        table = decode_table(self._pread(location, table_at, table_octets(frames)))
        payload_at = HEADER_OCTETS + header.meta_octets
        offsets = [payload_at]
        for stored, _ in table:
            offsets.append(offsets[-1] + stored)
        pieces = []
        for key, kept in zip(keys, found, strict=True):
            frame = key[2]
            if kept is None:
                stored, crc = table[frame]
                raw_octets = min(FRAME_OCTETS, location.raw_octets - frame * FRAME_OCTETS)
                kept = self._decode(self._pread(location, offsets[frame], stored), crc, raw_octets)
                # The reader will ask for the rest of the last frame next.
                if frame == last and stop < min(location.raw_octets, (frame + 1) * FRAME_OCTETS):
                    self._keep(key, kept)
            pieces.append(kept)
        return pieces

    def _decode(self, stored: bytes, crc: int, raw_octets: int) -> bytes:
        if zlib.crc32(stored) != crc:
            raise CorruptRecordError("payload checksum")
        if len(stored) == raw_octets:
            return stored
        try:
            raw: bytes = self._zstd().decompress(stored, max_output_size=raw_octets)
        except zstandard.ZstdError as error:
            raise CorruptRecordError("payload does not decompress") from error
        if len(raw) != raw_octets:
            raise CorruptRecordError("payload has another length")
        return raw

    def _zstd(self) -> zstandard.ZstdDecompressor:
        """A context of each thread's own."""
        zstd: zstandard.ZstdDecompressor | None = getattr(self._local, "zstd", None)
        if zstd is None:
            zstd = self._local.zstd = zstandard.ZstdDecompressor()
        return zstd

    def _file(self, pack: int) -> _OpenFile:
        with self._lock:
            file = self._files.get(pack)
            if file is None:
                file = self._files[pack] = _OpenFile(pack_path(self._directory, pack))
                while len(self._files) > self._files_max:
                    self._files.popitem(last=False)
            else:
                self._files.move_to_end(pack)
            return file

    def _pread(self, location: Location, at: int, length: int) -> bytes:
        file = self._file(location.pack)
        length = min(length, location.length - at)
        data = os.pread(file.fd, length, location.offset + at)
        if len(data) != length:
            raise CorruptRecordError("the pack ends inside the record")
        return data

    def _kept(self, key: tuple[int, int, int]) -> bytes | None:
        with self._lock:
            frame = self._frames.get(key)
            if frame is not None:
                self._frames.move_to_end(key)
            return frame

    def _keep(self, key: tuple[int, int, int], frame: bytes) -> None:
        if len(frame) > self._cache_octets:
            return
        with self._lock:
            if key in self._frames:
                return
            self._frames[key] = frame
            self._cached += len(frame)
            while self._cached > self._cache_octets:
                self._cached -= len(self._frames.popitem(last=False)[1])

    def close(self) -> None:
        with self._lock:
            self._files.clear()
            self._frames.clear()
            self._cached = 0


def _check(data: bytes, location: Location) -> RecordHeader:
    header = decode_header(data)
    if header.record_octets != location.length or header.raw_octets != location.raw_octets:
        raise CorruptRecordError("another record lies here")
    return header
