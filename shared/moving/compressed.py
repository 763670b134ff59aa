"""Messages that Dovecot's zlib plugin has compressed, known by how they begin; no header field begins so. Pure."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Final, Protocol

import zstandard

_LZ4: Final = b"Dovecot-LZ4"


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def expanded(data: bytes, most: int) -> bytes:
    """As the message was. Raises ValueError where it is damaged, above ``most`` octets, or compressed by something unknown."""
    try:
        found = _expanded(data, most + 1)
    except (zlib.error, OSError, lzma.LZMAError, EOFError, zstandard.ZstdError):
        raise ValueError("compressed, and damaged") from None
    if len(found) > most:
        raise ValueError(f"larger than {most} octets")
    return found


def _expanded(data: bytes, room: int) -> bytes:
    if data.startswith(b"\x1f\x8b"):
        return _members(data, room, lambda: zlib.decompressobj(zlib.MAX_WBITS | 16))
    if data.startswith(b"BZh"):
        return _members(data, room, bz2.BZ2Decompressor)
    if data.startswith(b"\xfd7zXZ\0"):
        return _members(data, room, lzma.LZMADecompressor)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read(room)
    if data.startswith(_LZ4):
        raise ValueError("compressed by LZ4, which is not known here")
    return data


def _members(data: bytes, room: int, make: Callable[[], _Decompressor]) -> bytes:
    """One stream behind the other, at most ``room`` octets. Raises EOFError where the last one is cut off."""
    found = b""
    while data and len(found) < room:
        decompressor = make()
        found += decompressor.decompress(data, room - len(found))
        if not decompressor.eof and len(found) < room:
            raise EOFError
        data = decompressor.unused_data
    return found
