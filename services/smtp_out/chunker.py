"""A content cut into the chunks of BDAT (RFC 3030 §2), line ends sound (they are no concern of dots here, but MUST be CRLF).

A chunk is a piece as the store gives it (CHUNK_OCTETS, 256 KiB): large enough that the wait for its reply costs little, small
enough that a refusal in the middle saves most of a large message. Memory is two pieces: the last one has to be known as such.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.wire.newlines import NewlineWriter


class Chunker:
    """`next` until it says that the chunk is the last one; `wire` is the chunk as it is sent."""

    def __init__(self, content: Callable[[], Awaitable[bytes]]) -> None:
        self._content = content
        self._newlines = NewlineWriter()
        self._ahead: bytes | None = None
        self.wire = b""

    async def next(self) -> bool:
        """Get the next chunk ready; whether it is the last one. Raises what the content raises."""
        data = await self._piece() if self._ahead is None else self._ahead
        self._ahead = await self._piece() if data else b""
        last = not self._ahead
        self.wire = b"BDAT %d%b\r\n%b" % (len(data), b" LAST" if last else b"", data)
        return last

    async def _piece(self) -> bytes:
        """Not empty but at the end."""
        while piece := await self._content():
            if data := self._newlines.feed(piece):
                return data
        return self._newlines.finish()
