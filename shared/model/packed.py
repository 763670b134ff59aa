"""Columns of numbers as packed little-endian arrays: a mailbox of 100,000 messages travels and rests in a few buffers.

``u32`` for UIDs and sizes of a set, ``u64`` for sizes, modseqs and flags, ``i64`` for times.
"""

import sys
from array import array
from collections.abc import Iterable
from typing import Final

_SWAP: Final = sys.byteorder != "little"
U32: Final = "I"
U64: Final = "Q"
I64: Final = "q"


def _pack(code: str, values: Iterable[int]) -> bytes:
    packed = array(code, values)
    if _SWAP:
        packed.byteswap()
    return packed.tobytes()


def _unpack(code: str, data: bytes) -> "array[int]":
    unpacked: array[int] = array(code)
    unpacked.frombytes(data)
    if _SWAP:
        unpacked.byteswap()
    return unpacked


def pack_u32(values: Iterable[int]) -> bytes:
    """Raises OverflowError outside 0 to 2**32 - 1."""
    return _pack(U32, values)


def pack_u64(values: Iterable[int]) -> bytes:
    """Raises OverflowError outside 0 to 2**64 - 1."""
    return _pack(U64, values)


def pack_i64(values: Iterable[int]) -> bytes:
    """Raises OverflowError outside a signed 64-bit number."""
    return _pack(I64, values)


def unpack_u32(data: bytes) -> "array[int]":
    """Raises ValueError where the length is not a multiple of 4."""
    return _unpack(U32, data)


def unpack_u64(data: bytes) -> "array[int]":
    """Raises ValueError where the length is not a multiple of 8."""
    return _unpack(U64, data)


def unpack_i64(data: bytes) -> "array[int]":
    """Raises ValueError where the length is not a multiple of 8."""
    return _unpack(I64, data)
