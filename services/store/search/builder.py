"""A partition, written: documents are added in memory, then the whole is put in the place of what was there.

Texts are appended to the file that the partition has, behind what its ``.grams`` file refers to, so that whoever reads the old one is not
disturbed; the ``.grams`` file is written anew and renamed. Nothing is synced: it can all be made again, and what a power cut leaves
torn does not pass its checksums.
"""

import os
from pathlib import Path
from typing import Final

import zstandard

from services.store.search.files import (
    BLOCK_OCTETS,
    DOCUMENT_OCTETS,
    ROW_BLOCK_OCTETS,
    ROW_BLOCKS,
    SEPARATOR,
    Directory,
    Header,
    encode_directory,
    encode_header,
    grams_path,
    list_files,
    text_path,
)
from services.store.search.grams import ROW_OCTETS, ROWS, signature
from services.store.search.partition import Partition, bits

_LEVEL: Final = 1
_EMPTY_BLOCK: Final = bytes(ROW_BLOCK_OCTETS)


class PartitionBuilder:
    """One partition: as it is on the disk (``base``) with what is added, or, without a base, from nothing.

    ``alive``: only these documents of the base are kept, and the texts are written to a new file.
    """

    def __init__(self, directory: Path, partition: int, base: Partition | None, alive: int | None = None) -> None:
        self._directory = directory
        self._partition = partition
        self._groups: dict[int, int] = {}
        self._texts: list[bytes] = []
        self._texts_octets = 0
        self.added = 0
        compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, write_content_size=True)
        self._compress = compressor.compress
        self._matrix = bytearray(ROWS * ROW_OCTETS) if base is None else base.matrix()
        if base is not None and alive is None:
            self.generation = base.header.generation
            self._places = base.directory
            self._text_octets = base.header.text_octets
        else:
            self.generation = 1 + max(list_files(directory).get(partition, []), default=0)
            self._places = Directory()
            self._text_octets = 0
        path = text_path(directory, partition, self.generation)
        self._text = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._text, self._text_octets)
        if base is not None and alive is not None:
            self._keep(base, alive)

    def close(self) -> None:
        """Give the file back; what was not written is forgotten."""
        if self._text >= 0:
            os.close(self._text)
            self._text = -1

    def add(self, document: int, header: bytes, body: bytes) -> bool:
        """Add a document's folded texts; False where they are too long to be indexed."""
        if len(header) + len(body) >= DOCUMENT_OCTETS:
            return False
        text = header + SEPARATOR + body
        group = document >> 3
        self._groups[group] = self._groups.get(group, 0) | int.from_bytes(signature(text), "little") << (document & 7)
        self._place(document, text, len(header))
        self.added += 1
        return True

    def write(self, through: int) -> Header:
        """Put it in its place: all contents up to the id ``through`` are in it or cannot be. Raises OSError."""
        self._write_texts()
        for group, octets in self._groups.items():
            kept = int.from_bytes(self._matrix[group::ROW_OCTETS], "little")
            self._matrix[group::ROW_OCTETS] = (kept | octets).to_bytes(ROWS, "little")
        self._groups.clear()
        rows: list[bytes] = []
        end = 0
        view = memoryview(self._matrix)
        for number in range(ROW_BLOCKS):
            block = view[number * ROW_BLOCK_OCTETS : (number + 1) * ROW_BLOCK_OCTETS]
            if block != _EMPTY_BLOCK:
                rows.append(self._compress(block))
                end += len(rows[-1])
            self._places.row_ends[number] = end
        places = encode_directory(self._places)
        indexed = self._places.known.bit_count()
        header = Header(
            self.generation, self._partition, through, self._text_octets, indexed, len(places), sum(map(len, rows))
        )
        path = grams_path(self._directory, self._partition)
        new = path.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(encode_header(header, places))
            file.write(places)
            file.writelines(rows)
        new.rename(path)
        return header

    def _place(self, document: int, text: bytes, header_octets: int) -> None:
        places = self._places
        places.block_of[document] = len(places.block_starts)
        places.start_of[document] = self._texts_octets
        places.header_of[document] = header_octets
        places.octets_of[document] = len(text)
        places.known |= 1 << document
        self._texts.append(text)
        self._texts_octets += len(text)
        if self._texts_octets >= BLOCK_OCTETS:
            self._write_texts()

    def _write_texts(self) -> None:
        """The collected texts as one block."""
        if not self._texts:
            return
        stored = self._compress(b"".join(self._texts))
        written = 0
        while written < len(stored):
            written += os.pwrite(self._text, stored[written:], self._text_octets + written)
        self._places.block_starts.append(self._text_octets)
        self._places.block_stored.append(len(stored))
        self._places.block_raw.append(self._texts_octets)
        self._text_octets += len(stored)
        self._texts.clear()
        self._texts_octets = 0

    def _keep(self, base: Partition, alive: int) -> None:
        alive &= base.directory.known
        mask = alive.to_bytes(ROW_OCTETS, "little")
        kept = int.from_bytes(self._matrix, "little") & int.from_bytes(mask * ROWS, "little")
        self._matrix = bytearray(kept.to_bytes(ROWS * ROW_OCTETS, "little"))
        for document in bits(alive):
            text, start, header_end, end = base.document(document)
            self._place(document, text[start:end], header_end - start)
