"""The one who writes packs: buffer a group of records, then write and sync them at once.

One thread uses it. ``append`` gives the location that a record will have; nothing may rely on it before ``sync`` returned.
A failed write is taken back (the file is cut to where the group began); where that fails, and after every failed
fdatasync, the pack is given up: the next group opens a new one, and the next start mends the old one's tail.

Behind the last record the file holds zeros, ALLOCATE_OCTETS at the most: a small group overwrites some of them, and its sync need not
write a new length into the file system's journal, for which it would wait with everybody else's (0.1 ms instead of 2 on a busy ext4).
They go when the pack is sealed or closed, and with any other tail after a crash.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.store.packs.encode import EncodedContent
from services.store.packs.paths import pack_path, sync_directory
from services.store.packs.record import (
    META_MAX,
    PACK_HEADER,
    PACK_MAGIC,
    Location,
    RecordFlag,
    RecordHeader,
    encode_header,
)

_BUFFER_OCTETS: Final = 8 * 1024 * 1024
_COPY_OCTETS: Final = 1024 * 1024
ALLOCATE_OCTETS: Final = 256 * 1024
_ZEROS: Final = bytes(ALLOCATE_OCTETS)


class SpoolError(Exception):
    """A spooled content could not be read. Nothing of it is in the pack; the other records of the group are not touched."""


class PackAppender:
    """Appends to pack ``number`` from offset ``end`` on (0: a new pack), and opens the next one when it is full."""

    def __init__(self, directory: Path, *, number: int, end: int, seal_octets: int) -> None:
        self._directory = directory
        self._seal_octets = seal_octets
        self._fd = -1
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._dirty = False
        self.number = number
        self._written = 0
        self._allocated = 0
        """The file's length."""
        self._end = 0
        self._group_start = 0
        self._sealed: dict[int, int] = {}
        if end:
            fd = os.open(pack_path(directory, number), os.O_RDWR | os.O_CLOEXEC)
            if os.fstat(fd).st_size != end:
                os.close(fd)
                raise ValueError(f"pack {number} does not end at {end}: it has to be mended first")
            self._use(fd, end)
        else:
            self._create(number)

    @property
    def end(self) -> int:
        """Where the next record of the current pack will begin."""
        return self._end

    def take_ends(self) -> dict[int, int]:
        """Where the packs end that were written since the last time: those that were sealed, and the current one."""
        ends, self._sealed = self._sealed, {}
        if self._fd >= 0:
            ends[self.number] = self._end
        return ends

    def _use(self, fd: int, end: int) -> None:
        self._fd = fd
        self._written = self._allocated = self._end = self._group_start = end

    def _create(self, number: int) -> None:
        path = pack_path(self._directory, number)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            header = PACK_HEADER.pack(PACK_MAGIC, number)
            _write_all(fd, header, 0)
            os.fsync(fd)
            sync_directory(self._directory)
        except BaseException:
            os.close(fd)
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise
        self.number = number
        self._use(fd, PACK_HEADER.size)

    def append(self, content: EncodedContent, meta: bytes) -> Location:
        """Take one record into the group. Raises SpoolError (this record alone), OSError (give the group up: ``rollback``)."""
        self._find_room()
        if len(meta) > META_MAX:
            raise ValueError("meta is too long")
        header = RecordHeader(
            content.flags, len(meta), content.stored_octets, content.raw_octets, content.digest, content.payload_crc
        )
        offset = self._end
        if content.spool is not None:
            self._flush()
        self._put(encode_header(header, meta) + meta)
        if content.spool is None:
            self._put(content.payload)
        else:
            try:
                self._put_spool(content.spool, content.spool_offset, content.stored_octets)
            except SpoolError:
                self._take_back(offset)
                raise
        return Location(self.number, offset, header.record_octets, content.raw_octets)

    def append_record(self, record: bytes, raw_octets: int) -> Location:
        """Take in a whole record of another pack, as it is. Raises OSError as ``append``."""
        self._find_room()
        offset = self._end
        self._put(record)
        return Location(self.number, offset, len(record), raw_octets)

    def copy_record(self, source: Path, at: int, length: int, raw_octets: int) -> Location:
        """As ``append_record``, for one that is too long for memory: out of the pack's file. Raises SpoolError, OSError."""
        self._find_room()
        offset = self._end
        self._flush()
        try:
            self._put_spool(str(source), at, length)
        except SpoolError:
            self._take_back(offset)
            raise
        return Location(self.number, offset, length, raw_octets)

    def _find_room(self) -> None:
        if self._fd < 0 or self._end >= self._seal_octets:
            self._next_pack()

    def append_reference(self, digest: bytes, raw_octets: int, meta: bytes) -> int:
        """Note that a content came in again; the octets that the record takes."""
        reference = EncodedContent(digest, raw_octets, 0, RecordFlag.REFERENCE, 0)
        return self.append(reference, meta).length

    def _put(self, data: bytes) -> None:
        self._buffer.append(data)
        self._buffered += len(data)
        self._end += len(data)
        if self._buffered >= _BUFFER_OCTETS:
            self._flush()

    def _put_spool(self, spool: str, offset: int, octets: int) -> None:
        self._flush()
        try:
            source = os.open(spool, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise SpoolError(f"spool file: {error.strerror}") from error
        try:
            os.lseek(source, offset, os.SEEK_SET)
            left = octets
            while left:
                piece = _read_spool(source, min(left, _COPY_OCTETS))
                _write_all(self._fd, piece, self._written)
                self._written += len(piece)
                self._allocated = max(self._allocated, self._written)
                left -= len(piece)
        finally:
            os.close(source)
        self._end = self._written
        self._dirty = True

    def _take_back(self, offset: int) -> None:
        """Cut the record that begins at ``offset``, the last one, out of the pack again. Raises OSError."""
        self._buffer.clear()
        self._buffered = 0
        os.ftruncate(self._fd, offset)
        self._written = self._allocated = self._end = offset

    def _flush(self) -> None:
        if not self._buffer:
            return
        end = self._written + self._buffered
        if end > self._allocated:
            # no further than the pack will be filled
            zeros = _ZEROS[: max(0, self._seal_octets - end)]
            self._buffer.append(zeros)
            self._allocated = end + len(zeros)
        data = b"".join(self._buffer)
        self._buffer.clear()
        self._buffered = 0
        self._dirty = True
        _write_all(self._fd, data, self._written)
        self._written = end

    def sync(self) -> None:
        """Write and fdatasync what was appended since the last time. Raises OSError: nothing of the group counts.

        What was synced stays, whatever becomes of the group: ``rollback`` does not take it back.
        """
        if not self._buffer and not self._dirty:
            self._group_start = self._end
            return
        self._flush()
        try:
            os.fdatasync(self._fd)
        except OSError:
            self._give_up()
            raise
        self._dirty = False
        self._group_start = self._end

    def rollback(self) -> None:
        """Take back what was appended since the last ``sync``. Never raises; a pack that cannot be cut is given up."""
        self._buffer.clear()
        self._buffered = 0
        if self._fd < 0:
            return
        try:
            os.ftruncate(self._fd, self._group_start)
        except OSError:
            self._give_up()
            return
        self._dirty = False
        self._use(self._fd, self._group_start)

    def _next_pack(self) -> None:
        # The group may straddle two packs: the first is synced before it is closed, since sync only knows one file.
        if self._fd >= 0:
            self._flush()
            try:
                os.ftruncate(self._fd, self._end)
                os.fdatasync(self._fd)
                # not earlier: a later group would commit this end, though the file may have been cut before it
                self._sealed[self.number] = self._end
            finally:
                self._give_up()
        number = self.number + 1
        # what is there was begun on a disk that then refused, and could not be removed: no record was ever in it
        while pack_path(self._directory, number).exists():
            number += 1
        self._create(number)

    def _give_up(self) -> None:
        self._buffer.clear()
        self._buffered = 0
        self._dirty = False
        fd, self._fd = self._fd, -1
        self._end = self._written = self._allocated = self._group_start = 0
        if fd >= 0:
            os.close(fd)

    def close(self) -> None:
        """Close the file; what was not synced is lost, as it never counted."""
        if self._fd >= 0 and self._allocated > self._written:
            try:
                os.ftruncate(self._fd, self._written)
            except OSError:
                pass  # zeros stay behind the end, and the next start cuts them
        self._give_up()


def _read_spool(source: int, octets: int) -> bytes:
    try:
        piece = os.read(source, octets)
    except OSError as error:
        raise SpoolError(f"spool file: {error.strerror}") from error
    if not piece:
        raise SpoolError("spool file is too short")
    return piece


def _write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]
