"""A partition, read: which documents may hold a needle, and their texts.

Not for several threads at once. Everything raises SearchDamageError where a file is not what it should be, and OSError where it cannot be
read; FileNotFoundError where there is no such partition.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import zstandard

from services.store.search.files import (
    HEADER_OCTETS,
    ROW_BLOCK_OCTETS,
    ROW_BLOCKS,
    ROWS_PER_BLOCK,
    Header,
    SearchDamageError,
    check_directory,
    decode_directory,
    decode_header,
    grams_path,
    text_path,
)
from services.store.search.grams import ROW_OCTETS

_BITS_OF: Final = [[bit for bit in range(8) if octet >> bit & 1] for octet in range(256)]


def read_header(directory: Path, partition: int) -> Header:
    """What a partition says of itself; the rest of it is not looked at."""
    with open(grams_path(directory, partition), "rb") as file:
        return decode_header(file.read(HEADER_OCTETS), partition)


def bits(number: int) -> Iterator[int]:
    """The numbers of the bits that are set, ascending, below 4,096."""
    for at, octet in enumerate(number.to_bytes(ROW_OCTETS, "little")):
        if octet:
            for bit in _BITS_OF[octet]:
                yield at * 8 + bit


class Partition:
    """One partition's open files."""

    def __init__(self, directory: Path, partition: int) -> None:
        self._text = -1
        self._grams = os.open(grams_path(directory, partition), os.O_RDONLY | os.O_CLOEXEC)
        try:
            head = os.pread(self._grams, HEADER_OCTETS, 0)
            self.header = decode_header(head, partition)
            stored = os.pread(self._grams, self.header.directory_octets, HEADER_OCTETS)
            check_directory(head, stored)
            self.directory = decode_directory(stored)
            self._text = os.open(text_path(directory, partition, self.header.generation), os.O_RDONLY | os.O_CLOEXEC)
        except BaseException:
            self.close()
            raise
        self._rows_at = HEADER_OCTETS + self.header.directory_octets
        self._zstd = zstandard.ZstdDecompressor()
        self._block = -1
        self._block_text = b""

    def close(self) -> None:
        """Give the files back."""
        for fd in (self._grams, self._text):
            if fd >= 0:
                os.close(fd)
        self._grams = self._text = -1

    def candidates(self, rows: Sequence[int], among: int) -> int:
        """Bits of the documents, of those in ``among``, that have all of the rows."""
        found = among & self.directory.known
        for row in rows:
            if not found:
                break
            block = self.row_block(row // ROWS_PER_BLOCK)
            at = row % ROWS_PER_BLOCK * ROW_OCTETS
            found &= int.from_bytes(block[at : at + ROW_OCTETS], "little")
        return found

    def row_block(self, number: int) -> bytes:
        """ROWS_PER_BLOCK rows."""
        ends = self.directory.row_ends
        start = ends[number - 1] if number else 0
        return self._frame(self._grams, self._rows_at + start, ends[number] - start, ROW_BLOCK_OCTETS)

    def matrix(self) -> bytearray:
        """All rows."""
        return bytearray(b"".join([self.row_block(number) for number in range(ROW_BLOCKS)]))

    def document(self, number: int) -> tuple[bytes, int, int, int]:
        """A block of texts, and where in it a document begins, its header ends, and it ends."""
        directory = self.directory
        block = directory.block_of[number]
        if block != self._block:
            if block >= len(directory.block_starts):
                raise SearchDamageError("no such block")
            self._block = -1
            self._block_text = self._frame(
                self._text, directory.block_starts[block], directory.block_stored[block], directory.block_raw[block]
            )
            self._block = block
        start = directory.start_of[number]
        return self._block_text, start, start + directory.header_of[number], start + directory.octets_of[number]

    def forget_text(self) -> None:
        """Give back the block that was looked at last."""
        self._block, self._block_text = -1, b""

    def _frame(self, fd: int, at: int, stored: int, raw: int) -> bytes:
        if not stored:
            return bytes(raw)
        data = os.pread(fd, stored, at)
        try:
            text: bytes = self._zstd.decompress(data, max_output_size=raw)
        except zstandard.ZstdError as error:
            raise SearchDamageError("a frame does not decompress") from error
        if len(text) != raw:
            raise SearchDamageError("a frame has another length")
        return text
