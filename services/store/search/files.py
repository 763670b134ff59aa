"""Names and forms of the index's files. Pure but for listing a directory.

::

    NNNNNNNN.grams             header(64) directory rows
    NNNNNNNN-GGGGGGGG.text     blocks of folded texts, appended; G is the generation that the .grams file names

    header    = "PBSEARCH" version(u32) generation(u32) partition(u64) through(u64) text_octets(u64) indexed(u32) directory_octets(u32)
                rows_octets(u64) crc(u32)                                              little-endian, filled up with zeros
    directory = zstd: known bits, then the columns of ``Directory``
    rows      = zstd frames of ROWS_PER_BLOCK rows each; an empty frame is all zeros
    text      = zstd frames of documents: header, SEPARATOR, body

``crc`` is the CRC-32 of the header's fields and of the directory as stored; all frames carry zstd's own checksum.
"""

import os
import re
import struct
import zlib
from array import array
from pathlib import Path
from typing import Final

import attrs
import zstandard

from services.store.search.grams import DOCUMENTS, ROW_OCTETS, ROWS
from shared.model.packed import pack_u32, pack_u64, unpack_u32, unpack_u64

ID_BITS: Final = 12
SEPARATOR: Final = b"\xff"
"""Between header and body; in no UTF-8, so that no needle is found across it."""
ROWS_PER_BLOCK: Final = 16
ROW_BLOCKS: Final = ROWS // ROWS_PER_BLOCK
ROW_BLOCK_OCTETS: Final = ROWS_PER_BLOCK * ROW_OCTETS
BLOCK_OCTETS: Final = 8 * 1024
"""Texts are collected up to this before they are compressed: larger blocks are shorter, smaller ones faster to look into."""
DOCUMENT_OCTETS: Final = 32 * 1024 * 1024
"""Of one folded text. A larger one (8 MiB of characters that fold to many) is not indexed."""

_MAGIC: Final = b"PBSEARCH"
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<8sIIQQQIIQ")
_CRC: Final = struct.Struct("<I")
HEADER_OCTETS: Final = 64
_DIRECTORY_MAX: Final = 1024 * 1024
_NAME: Final = re.compile(r"([0-9a-f]{8})(?:\.grams|-([0-9a-f]{8})\.text)", re.ASCII)


class SearchDamageError(Exception):
    """A file of the index is not what it should be. The message says which and what, never content."""


def partition_of(content_id: int) -> int:
    return content_id >> ID_BITS


def document_of(content_id: int) -> int:
    """The place in its partition."""
    return content_id & (DOCUMENTS - 1)


def last_id(partition: int) -> int:
    """The highest content id that belongs there."""
    return ((partition + 1) << ID_BITS) - 1


def grams_path(directory: Path, partition: int) -> Path:
    return directory / f"{partition:08x}.grams"


def text_path(directory: Path, partition: int, generation: int) -> Path:
    return directory / f"{partition:08x}-{generation:08x}.text"


def list_files(directory: Path) -> dict[int, list[int]]:
    """Generations of texts by partition, of all partitions that have any file. An absent directory holds none."""
    found: dict[int, list[int]] = {}
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return {}
    for name in names:
        match = _NAME.fullmatch(name)
        if match is not None:
            generations = found.setdefault(int(match[1], 16), [])
            if match[2] is not None:
                generations.append(int(match[2], 16))
    return found


@attrs.frozen
class Header:
    """What a partition says of itself."""

    generation: int
    partition: int
    through: int
    """All contents up to this id were looked at."""
    text_octets: int
    """Of the text file that belong to this; what is behind them is the rest of a run that did not end."""
    indexed: int
    directory_octets: int
    rows_octets: int

    @property
    def octets(self) -> int:
        """On the disk."""
        return HEADER_OCTETS + self.directory_octets + self.rows_octets + self.text_octets


def encode_header(header: Header, directory: bytes) -> bytes:
    """With the directory's checksum."""
    fields = _HEADER.pack(
        _MAGIC,
        _VERSION,
        header.generation,
        header.partition,
        header.through,
        header.text_octets,
        header.indexed,
        header.directory_octets,
        header.rows_octets,
    )
    return (fields + _CRC.pack(zlib.crc32(directory, zlib.crc32(fields)))).ljust(HEADER_OCTETS, b"\0")


def decode_header(data: bytes, partition: int) -> Header:
    """Raises SearchDamageError."""
    if len(data) < HEADER_OCTETS:
        raise SearchDamageError("shorter than its header")
    magic, version, generation, number, through, text, indexed, directory, rows = _HEADER.unpack_from(data)
    if magic != _MAGIC or version != _VERSION or number != partition:
        raise SearchDamageError("not a partition of this version")
    return Header(generation, number, through, text, indexed, directory, rows)


def check_directory(data: bytes, directory: bytes) -> None:
    """Raises SearchDamageError where header and directory do not belong together."""
    (crc,) = _CRC.unpack_from(data, _HEADER.size)
    if zlib.crc32(directory, zlib.crc32(data[: _HEADER.size])) != crc:
        raise SearchDamageError("checksum")


def _zeros() -> "array[int]":
    return unpack_u32(bytes(4 * DOCUMENTS))


@attrs.define
class Directory:
    """Where everything of a partition lies."""

    known: int = 0
    """Bits of the documents that are in the index."""
    block_of: "array[int]" = attrs.field(factory=_zeros)
    """The text block of each document."""
    start_of: "array[int]" = attrs.field(factory=_zeros)
    """Its offset in the block."""
    header_of: "array[int]" = attrs.field(factory=_zeros)
    """Octets of its header; SEPARATOR and the body follow."""
    octets_of: "array[int]" = attrs.field(factory=_zeros)
    """Octets of all of it."""
    row_ends: "array[int]" = attrs.field(factory=lambda: unpack_u32(bytes(4 * ROW_BLOCKS)))
    """Where each block of rows ends, from the first one's beginning."""
    block_starts: "array[int]" = attrs.field(factory=lambda: unpack_u64(b""))
    """Offsets of the text blocks."""
    block_stored: "array[int]" = attrs.field(factory=lambda: unpack_u32(b""))
    block_raw: "array[int]" = attrs.field(factory=lambda: unpack_u32(b""))


def encode_directory(directory: Directory) -> bytes:
    """The stored form."""
    columns = (directory.block_of, directory.start_of, directory.header_of, directory.octets_of, directory.row_ends)
    raw = b"".join(
        [
            directory.known.to_bytes(ROW_OCTETS, "little"),
            *map(pack_u32, columns),
            pack_u64(directory.block_starts),
            pack_u32(directory.block_stored),
            pack_u32(directory.block_raw),
        ]
    )
    return zstandard.ZstdCompressor(level=1).compress(raw)


def decode_directory(stored: bytes) -> Directory:
    """Raises SearchDamageError."""
    try:
        raw = zstandard.ZstdDecompressor().decompress(stored, max_output_size=_DIRECTORY_MAX)
    except zstandard.ZstdError as error:
        raise SearchDamageError("directory") from error
    fixed = ROW_OCTETS + 16 * DOCUMENTS + 4 * ROW_BLOCKS
    blocks, rest = divmod(len(raw) - fixed, 16)
    if blocks < 0 or rest:
        raise SearchDamageError("directory's length")
    at = ROW_OCTETS

    def column(values: int, octets: int = 4) -> "array[int]":
        nonlocal at
        at += octets * values
        return (unpack_u32 if octets == 4 else unpack_u64)(raw[at - octets * values : at])

    return Directory(
        known=int.from_bytes(raw[:ROW_OCTETS], "little"),
        block_of=column(DOCUMENTS),
        start_of=column(DOCUMENTS),
        header_of=column(DOCUMENTS),
        octets_of=column(DOCUMENTS),
        row_ends=column(ROW_BLOCKS),
        block_starts=column(blocks, 8),
        block_stored=column(blocks),
        block_raw=column(blocks),
    )
