"""Cuts what an IMAP server sends into responses: lines, and the literals inside them. Pure.

Laws: a response is whole when it comes out; the same octets give the same responses however they are split; no line, literal or response
exceeds its bound, beyond that ``ServerViolation`` ends the connection.
"""

import re
from typing import Final

MAX_LINE_OCTETS: Final = 256 * 1024
"""Of the text between two literals: a FETCH with hundreds of flags and a CAPABILITY have room."""
MAX_PIECES: Final = 2000
"""Lines and literals of one response."""
# RFC 3501 §4.3; RFC 3516 §4.2: literal8
_LITERAL: Final = re.compile(rb"~?\{(\d{1,10})\}\Z")


class ServerViolation(Exception):
    """The server breaks the protocol, or a bound; fit for a log."""


class ResponseReader:
    """``feed`` octets, take responses with ``next``: text and literals in turn, text first and last."""

    def __init__(self, literal_octets: int) -> None:
        """``literal_octets``: the most that a literal may have."""
        self._most = literal_octets
        self._buffer = bytearray()
        self._position = 0
        self._searched = 0
        self._pieces: list[bytes] = []
        self._literal = -1
        """Octets of the literal that is under way; -1: none is."""

    @property
    def idle(self) -> bool:
        """Whether nothing waits, not even a part of a response."""
        return self._position == len(self._buffer) and not self._pieces and self._literal < 0

    def feed(self, data: bytes) -> None:
        """All responses are taken out before more is fed."""
        if self._position:
            del self._buffer[: self._position]
            self._searched = max(self._searched - self._position, 0)
            self._position = 0
        self._buffer += data

    def next(self) -> list[bytes] | None:
        """The next response; None: it is not whole yet. Raises ServerViolation."""
        while True:
            if self._literal >= 0:
                if len(self._buffer) - self._position < self._literal:
                    return None
                self._take(self._position + self._literal, 0)
                self._literal = -1
            end = self._buffer.find(b"\n", max(self._position, self._searched))
            if end < 0:
                self._searched = len(self._buffer)
            if (len(self._buffer) if end < 0 else end) - self._position > MAX_LINE_OCTETS:
                raise ServerViolation(f"a line of more than {MAX_LINE_OCTETS} octets")
            if end < 0:
                return None
            self._take(end, 1)
            if self._begins_literal():
                continue
            pieces, self._pieces = self._pieces, []
            return pieces

    def _take(self, end: int, line_end: int) -> None:
        if len(self._pieces) >= MAX_PIECES:
            raise ServerViolation(f"a response of more than {MAX_PIECES} pieces")
        piece = bytes(memoryview(self._buffer)[self._position : end])
        self._position = self._searched = end + line_end
        self._pieces.append(piece.removesuffix(b"\r") if line_end else piece)

    def _begins_literal(self) -> bool:
        """Whether the line that was just taken announces one."""
        line = self._pieces[-1]
        match = _LITERAL.search(line)
        if match is None:
            return False
        octets = int(match[1])
        if octets > self._most:
            raise ServerViolation(f"a literal of {octets} octets")
        self._pieces[-1] = line[: match.start()]
        self._literal = octets
        return True
