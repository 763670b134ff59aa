"""What is remembered of a text: which of ROWS hashed trigrams of octets are in it. Pure.

Law: ``rows_of(needle)`` is a subset of the rows set in ``signature(text)`` whenever ``needle`` is a part of ``text`` (both UTF-8, which
synchronises itself: a part of the string is a part of the octets). So a text that lacks a row of the needle does not hold it. A
Korean syllable is three octets: one trigram, and a word of two syllables is four.

Hashing all trigrams of a text one by one in Python costs ten times what this does: the octets are spread to lanes of 32 bits in one large
number, and the hash of every trigram is computed by three multiplications of that number.
"""

from collections.abc import Iterator
from typing import Final

ROW_BITS: Final = 14
ROWS: Final = 1 << ROW_BITS
DOCUMENTS: Final = 4096
"""Contents of one partition: bits of a row."""
ROW_OCTETS: Final = DOCUMENTS // 8
GRAM: Final = 3
NEEDLE_ROWS: Final = 24
"""Rows of a long needle that are looked at: more leave no fewer candidates."""

_CHUNK: Final = 16 * 1024
_LANE: Final = 32
# 255 times their sum stays below 2**32: no lane runs over into the next.
_FACTORS: Final = (5_932_187, 7_061_203, 3_598_453)
_SHIFT: Final = 10
_MASK: Final = int.from_bytes((ROWS - 1).to_bytes(4, "little") * _CHUNK, "little")


def encode_text(text: str) -> bytes:
    """As the index holds it. A lone surrogate, which no decoder here lets through, would be kept as it is."""
    return text.encode("utf-8", "surrogatepass")


def _hashes(octets: bytes) -> memoryview:
    """The row of every trigram of at most _CHUNK + 2 octets."""
    count = len(octets) - GRAM + 1
    lanes = int.from_bytes(octets.decode("latin-1").encode("utf-32-le"), "little")
    first, second, third = _FACTORS
    mixed = lanes * first + (lanes >> _LANE) * second + (lanes >> 2 * _LANE) * third
    return memoryview(((mixed >> _SHIFT) & _MASK).to_bytes(4 * (_CHUNK + GRAM), "little")).cast("I")[:count]


def row_numbers(octets: bytes) -> Iterator[int]:
    """The row of every trigram, in order."""
    for start in range(0, len(octets) - GRAM + 1, _CHUNK):
        yield from _hashes(octets[start : start + _CHUNK + GRAM - 1])


def rows_of(needle: bytes) -> list[int]:
    """Rows that a text with this needle has set, at most NEEDLE_ROWS; none for a needle of fewer than three octets."""
    rows = list(dict.fromkeys(row_numbers(needle)))
    if len(rows) <= NEEDLE_ROWS:
        return rows
    return [rows[position * len(rows) // NEEDLE_ROWS] for position in range(NEEDLE_ROWS)]


def signature(text: bytes) -> bytearray:
    """An octet for each row: 1 where a trigram of the text has it."""
    found = bytearray(ROWS)
    for start in range(0, len(text) - GRAM + 1, _CHUNK):
        for row in _hashes(text[start : start + _CHUNK + GRAM - 1]):
            found[row] = 1
    return found
