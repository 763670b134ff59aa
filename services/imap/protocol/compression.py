"""The compression layer of a connection, RFC 4978: raw DEFLATE (RFC 1951) both ways, in bounded pieces.

Laws:
- What is inflated comes out in pieces of at most PIECE_OCTETS, whatever the ratio; the rest waits as it was sent.
- The client's octets are taken up to a flush at a time. So when the client ends its layer (UNAUTHENTICATE, RFC 8437 §4.1), by a flush or
  by the stream's end, what it pipelined behind that is still there as it was sent.
- Everything that ``compress`` returns can be read by the client at once.

Memory of one compressed connection: deflate 64 KiB (window 8 KiB), inflate 40 KiB (the client may use the whole window of
32 KiB), and what was received and not yet inflated.
"""

import zlib
from typing import Final

PIECE_OCTETS: Final = 64 * 1024
LEVEL: Final = 3
"""RFC 4978 §4: the cheap levels already take responses to a quarter."""
WINDOW_BITS: Final = -13
MEMORY_LEVEL: Final = 6
_FLUSH_MARK: Final = b"\x00\x00\xff\xff"
"""How a flush ends: an empty stored block (RFC 1951 §3.2.4). Chance octets like it only cut a piece in two."""


class CompressionBroken(Exception):
    """What the client sent is not DEFLATE: nothing that follows can be understood."""


class Compression:
    """Both directions of one connection. ``feed``, then ``take`` until it returns nothing."""

    __slots__ = ("_compressor", "_decompressor", "_more", "_pending")

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL)
        self._decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
        self._pending = b""
        self._more = False
        """The last piece was a full one: zlib may hold more of what it has taken."""

    def compress(self, data: bytes) -> bytes:
        """As it goes out, flushed."""
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def finish(self, data: bytes) -> bytes:
        """The last octets that go out compressed, with the end of the stream."""
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_FINISH)

    def feed(self, data: bytes) -> None:
        """What was received."""
        self._pending += data

    def take(self) -> bytes:
        """The next piece, empty when more must be received first. Raises CompressionBroken."""
        while self._pending or self._more:
            if self._decompressor.eof:
                raise CompressionBroken("data behind the end of the compressed stream")
            mark = self._pending.find(_FLUSH_MARK)
            end = len(self._pending) if mark < 0 else mark + len(_FLUSH_MARK)
            piece, rest = self._pending[:end], self._pending[end:]
            try:
                data = self._decompressor.decompress(piece, PIECE_OCTETS)
            except zlib.error:
                raise CompressionBroken("not a compressed stream") from None
            behind = self._decompressor.unused_data if self._decompressor.eof else self._decompressor.unconsumed_tail
            self._pending = behind + rest
            self._more = len(data) == PIECE_OCTETS and not self._decompressor.eof
            if data:
                return data
        return b""

    def rest(self) -> bytes:
        """What was received and not inflated; the layer ends here."""
        rest, self._pending = self._pending, b""
        return rest
