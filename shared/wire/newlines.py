"""Line ends on the way: content that comes in pieces, made of CRLF lines only (RFC 5321 §2.3.8), whatever the split.

A bare CR and a bare LF become CRLF each; an open last line is ended. Nothing here raises; one octet is held back at most.
"""

from __future__ import annotations

from shared.wire.dots import normalise_newlines


class NewlineWriter:
    """``feed`` pieces in order, then ``finish`` (or ``flush``) once."""

    __slots__ = ("_held_cr", "_open_line")

    def __init__(self) -> None:
        self._held_cr = False
        self._open_line = False

    def feed(self, content: bytes) -> bytes:
        """The piece with sound line ends; a CR at its end waits for what follows."""
        if self._held_cr:
            content = b"\r" + content
        self._held_cr = content.endswith(b"\r")
        if self._held_cr:
            content = content[:-1]
        if not content:
            return b""
        data = normalise_newlines(content)
        self._open_line = not data.endswith(b"\n")
        return data

    def flush(self) -> bytes:
        """What is held back, where nothing follows; the last line stays open."""
        held, self._held_cr = self._held_cr, False
        self._open_line = self._open_line and not held
        return b"\r\n" if held else b""

    def finish(self) -> bytes:
        """The end of the last line where it has none."""
        open_line, self._open_line, self._held_cr = self._open_line or self._held_cr, False, False
        return b"\r\n" if open_line else b""
