"""A bounded reader of CRLF lines: feed bytes as they come, take lines out.

Laws:
- A line ends with LF. Whether CR stood before it is told, never guessed: `next_line` takes only CRLF and raises
  `BareNewline` otherwise, `next_loose_line` takes both (for replies of remote servers).
- A line never exceeds `max_line_octets`, its CRLF included (RFC 5321 §4.5.3.1.4 counts it so). Beyond that
  `LineTooLong` is raised once, the rest of the line is thrown away as it comes, and reading goes on with the next line:
  the stream stays in step and memory stays bounded whatever arrives.
- A bare CR inside a line is content; the grammar above refuses it.
- The same bytes give the same lines however they are split.

What can fail: `LineTooLong`, `BareNewline`; both leave the reader usable.
"""

from __future__ import annotations


class LineError(Exception):
    """The peer broke the framing of a line; the reader has stepped over that line."""


class LineTooLong(LineError):
    """A line exceeded the bound; its octets are dropped up to and including its LF."""


class BareNewline(LineError):
    """A line ended in LF without CR. `line` is its content without the LF."""

    def __init__(self, line: bytes) -> None:
        super().__init__("line ends in LF without CR")
        self.line = line


class LineReader:
    """Cuts a byte stream into lines of at most `max_line_octets` (CRLF counted)."""

    __slots__ = ("_buffer", "_position", "_skipping", "max_line_octets")

    def __init__(self, max_line_octets: int) -> None:
        self.max_line_octets = max_line_octets
        self._buffer = b""
        self._position = 0
        self._skipping = False

    def __len__(self) -> int:
        """Octets that were fed and not yet taken."""
        return len(self._buffer) - self._position

    def feed(self, data: bytes) -> None:
        """Append what arrived. The caller takes all lines out before it feeds more, so the buffer stays small."""
        if self._position == len(self._buffer):
            self._buffer = data
        else:
            self._buffer = self._buffer[self._position :] + data
        self._position = 0

    def next_line(self) -> bytes | None:
        """The next line without its CRLF, or None when it is not complete yet.

        Raises LineTooLong, BareNewline.
        """
        raw = self._next_raw()
        if raw is None:
            return None
        if raw.endswith(b"\r"):
            return raw[:-1]
        raise BareNewline(raw)

    def next_loose_line(self) -> bytes | None:
        """As `next_line`, but a line may end in a bare LF. Raises LineTooLong."""
        raw = self._next_raw()
        if raw is None:
            return None
        return raw[:-1] if raw.endswith(b"\r") else raw

    def take(self, at_most: int | None = None) -> bytes:
        """Whatever is there, at most `at_most` octets; b"" when nothing is."""
        end = len(self._buffer) if at_most is None else min(self._position + at_most, len(self._buffer))
        data = self._buffer[self._position : end]
        if end == len(self._buffer):
            # it is the taker's now, and would cost memory twice
            self._buffer, end = b"", 0
        self._position = end
        return data

    def discard(self) -> int:
        """Throw away what was not taken (STARTTLS: RFC 3207 §4.2), and say how many octets that were."""
        dropped = len(self)
        self._buffer = b""
        self._position = 0
        self._skipping = False
        return dropped

    def _next_raw(self) -> bytes | None:
        """Up to, without, the next LF."""
        if self._skipping:
            end = self._buffer.find(b"\n", self._position)
            if end < 0:
                self._position = len(self._buffer)
                return None
            self._position = end + 1
            self._skipping = False
        start = self._position
        end = self._buffer.find(b"\n", start, start + self.max_line_octets)
        if end >= 0:
            self._position = end + 1
            return self._buffer[start:end]
        if len(self._buffer) - start < self.max_line_octets:
            return None
        self._skipping = True
        raise LineTooLong(f"line longer than {self.max_line_octets} octets")
