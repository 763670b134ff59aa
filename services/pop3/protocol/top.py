"""TOP: where in a message to stop (RFC 1939 §7)."""

from __future__ import annotations


class TopCutter:
    """Takes a message in pieces and gives what TOP shows of it: the header block with its empty line, and `lines` lines.

    A line ends with LF; an unended last line counts as one. `done` is True as soon as nothing of what follows is shown.
    """

    __slots__ = ("_header_left", "_lines_left", "done")

    def __init__(self, header_octets: int, lines: int) -> None:
        self._header_left = header_octets
        self._lines_left = lines
        self.done = False

    def feed(self, content: bytes) -> bytes:
        """The part of this piece that belongs to the answer."""
        position = min(self._header_left, len(content))
        self._header_left -= position
        if self._header_left:
            return content
        newlines = content.count(b"\n", position)
        if newlines < self._lines_left:
            self._lines_left -= newlines
            return content
        while self._lines_left:
            position = content.index(b"\n", position) + 1
            self._lines_left -= 1
        self.done = True
        return content[:position]
