"""Dot-stuffing both ways: `DotReader` (SMTP DATA in, POP3 multi-line responses in), `DotWriter` and `stuff` (out).

Laws of the reader:
- Exactly one thing ends the data: CRLF "." CRLF, or "." CRLF as its first line (RFC 5321 §4.1.1.4: the CRLF of the DATA
  command counts as the CRLF before the dot). None of LF.LF, LF.CRLF, CR.CR, CRLF.LF, CRLF.CR, CRLF.CRCRLF ever does:
  that is what SMTP smuggling lives on.
- Bare CR and bare LF are content, passed on unchanged and reported (`bare_newline`); the protocol above refuses the
  message after its real end, so that the stream stays in step.
- The same bytes give the same content, whatever the split; at most four octets are held back between two feeds.

Laws of the writer: what it writes has only CRLF line ends, ends with CRLF, and a reader gives the content back.
Content with bare CR or LF is normalised (RFC 5321 §2.3.8: a client must never send one).

Whole buffers are searched and replaced, never single lines: a 4 KB message costs a few microseconds.
RFC 5321 §4.5.2, RFC 1939 §3. Nothing here raises.
"""

from __future__ import annotations

import re

_END = b"\r\n.\r\n"
# A CR that is not one of a line end, or whose line end has a dot behind it: all that needs a closer look, in one fast scan.
_ODD = re.compile(rb"\r(?!\n(?!\.))")
_BARE_LINE_END = re.compile(rb"\r\n|\r|\n")


class DotReader:
    """Takes dot-stuffed bytes, gives the content. After `ended` is True, `rest` is what came behind the end."""

    __slots__ = ("_held", "_lead", "bare_newline", "ended", "rest")

    def __init__(self) -> None:
        # The CRLF that ended the command before the data stands in front of it, and is cut off again from the content.
        self._held = b"\r\n"
        self._lead = 2
        self.ended = False
        self.rest = b""
        self.bare_newline = False
        """A bare CR or bare LF was in the content (complete once `ended` is True)."""

    def feed(self, data: bytes) -> bytes:
        """Content that these bytes complete, dots removed. After the end, bytes are added to `rest`."""
        if self.ended:
            self.rest += data
            return b""
        data = self._held + data
        odd = _ODD.search(data)
        if odd is None:
            end, plain = -1, True
        elif odd.start() == len(data) - len(_END) and data.endswith(_END):
            end, plain = odd.start(), True
        else:
            end, plain = data.find(_END, odd.start()), False
        if end >= 0:
            self.ended = True
            self.rest = data[end + len(_END) :]
            self._held = b""
            piece = data[: end + 2]
        else:
            cut = len(data) - _held_back(data)
            self._held = data[cut:]
            piece = data[:cut]
        return self._content(piece, plain=plain)

    def _content(self, piece: bytes, *, plain: bool) -> bytes:
        """`plain`: no bare CR and no dot at the beginning of a line is in it, as in nearly all mail."""
        newlines, returns = piece.count(b"\n"), piece.count(b"\r")
        if newlines != returns or (not plain and newlines != piece.count(b"\r\n")):
            self.bare_newline = True
        if not plain:
            # RFC 5321 §4.5.2
            piece = piece.replace(b"\r\n.", b"\r\n")
        if self._lead and piece:
            self._lead = 0
            return piece[2:]
        return piece


def _held_back(data: bytes) -> int:
    """How many octets at the end of `data` may be the beginning of CRLF.CRLF: 0 to 4."""
    if data.endswith(b"\r"):
        return 4 if data.endswith(b"\r\n.\r") else 1
    if data.endswith(b"\r\n"):
        return 2
    return 3 if data.endswith(b"\r\n.") else 0


class DotWriter:
    """Makes dot-stuffed bytes of content that comes in pieces: `feed` each, then `finish` once."""

    __slots__ = ("_at_line_start", "_held_cr")

    def __init__(self) -> None:
        self._at_line_start = True
        self._held_cr = False

    def feed(self, content: bytes) -> bytes:
        """Bytes to send for this piece; a CR at its end is kept until it is known what follows."""
        if self._held_cr:
            content = b"\r" + content
            self._held_cr = False
        if content.endswith(b"\r"):
            content = content[:-1]
            self._held_cr = True
        if not content:
            return b""
        data = normalise_newlines(content).replace(b"\r\n.", b"\r\n..")
        if self._at_line_start and data.startswith(b"."):
            data = b"." + data
        self._at_line_start = data.endswith(b"\r\n")
        return data

    def finish(self) -> bytes:
        """The last bytes: a line end if the content had none, and the dot."""
        open_line = self._held_cr or not self._at_line_start
        return b"\r\n.\r\n" if open_line else b".\r\n"


def stuff(content: bytes) -> bytes:
    """The whole content as it goes on the wire, its final dot line included."""
    writer = DotWriter()
    return writer.feed(content) + writer.finish()


def normalise_newlines(content: bytes) -> bytes:
    """Bare CR and bare LF become CRLF; content that is clean comes back as it is, unscanned by any regex."""
    pairs = content.count(b"\r\n")
    if content.count(b"\n") == pairs and content.count(b"\r") == pairs:
        return content
    return _BARE_LINE_END.sub(b"\r\n", content)
