"""The content of one message as it comes: by DATA up to CRLF.CRLF, or by BDAT in chunks of a length said before. Pure.

Laws: what is refused (too big, a bare CR or LF where BINARYMIME was not declared) is read to its real end and dropped as it comes, so
that the stream stays in step; pieces are handed on as they come and never kept. The same bytes give the same verdict, whatever the split.

RFC 5321 §4.1.1.4, §4.5.2; RFC 3030 §2, §3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.events import ContentPiece
from services.smtp_in.protocol.replies import Reply
from shared.wire.dots import DotReader
from shared.wire.lines import LineReader


class Progress(Enum):
    """What a step led to."""

    NEEDS_MORE = 1
    """Nothing: bytes are missing."""
    GOES_ON = 2
    CHUNK_ENDED = 3
    """A chunk that is not the last is complete."""
    ENDED = 4
    """The message is complete; `refusal` says whether it may be kept."""
    FAR_TOO_BIG = 5
    """It was told the limit in EHLO and goes on beyond twice that: reading to the end may have no end."""


class _Content(ABC):
    """What both ways share: the count and the first objection."""

    def __init__(self, max_octets: int) -> None:
        self._max_octets = max_octets
        self.octets = 0
        self.refusal: Reply | None = None
        """Why the message will be refused at its end."""

    @abstractmethod
    def step(self, reader: LineReader) -> tuple[Progress, ContentPiece | None]:
        """Take what has come; what that led to, and the piece to hand on, if there is one."""

    @property
    def _far_too_big(self) -> bool:
        return self.octets > 2 * self._max_octets

    def _admit(self, piece: bytes, *, bare_newline: bool) -> ContentPiece | None:
        self.octets += len(piece)
        if self.refusal is None:
            if self.octets > self._max_octets:
                self.refusal = replies.MESSAGE_TOO_BIG
            elif bare_newline:
                self.refusal = replies.BARE_NEWLINE
        return ContentPiece(piece) if piece and self.refusal is None else None


class DataContent(_Content):
    """RFC 5321 §4.1.1.4: dot-stuffed, up to the line with a dot alone."""

    def __init__(self, max_octets: int) -> None:
        super().__init__(max_octets)
        self._dots = DotReader()

    def step(self, reader: LineReader) -> tuple[Progress, ContentPiece | None]:
        """Take what has come. What stands behind the end is given back to the reader."""
        data = reader.take()
        if not data:
            return Progress.NEEDS_MORE, None
        dots = self._dots
        piece = self._admit(dots.feed(data), bare_newline=dots.bare_newline)
        if self._far_too_big:
            return Progress.FAR_TOO_BIG, piece
        if not dots.ended:
            return Progress.GOES_ON, piece
        reader.feed(dots.rest)
        return Progress.ENDED, piece


class ChunkedContent(_Content):
    """RFC 3030 §2: chunk after chunk, octets as they are."""

    def __init__(self, max_octets: int, refusal: Reply | None = None, *, binary: bool = False) -> None:
        """`refusal`: the chunks were not allowed; they are read and dropped all the same. `binary`: any octet may stand anywhere."""
        super().__init__(max_octets)
        self._binary = binary
        self.refusal = refusal
        self.last = False
        """The chunk under way ends the message."""
        self.chunk_octets = 0
        self.remaining = 0
        """Octets of the chunk that are to come."""
        self._held_return = False

    def begin_chunk(self, octets: int, *, last: bool) -> None:
        """A BDAT command was read."""
        self.chunk_octets = self.remaining = octets
        self.last = last

    @property
    def will_be_far_too_big(self) -> bool:
        """With what the chunk announces."""
        return self.octets + self.remaining > 2 * self._max_octets

    def step(self, reader: LineReader) -> tuple[Progress, ContentPiece | None]:
        """Take octets of the chunk, never more than it has."""
        piece = None
        if self.remaining:
            data = reader.take(self.remaining)
            if not data:
                return Progress.NEEDS_MORE, None
            self.remaining -= len(data)
            piece = self._admit(data, bare_newline=self._has_bare_newline(data))
            if self.remaining:
                return Progress.GOES_ON, piece
        if not self.last:
            return Progress.CHUNK_ENDED, piece
        if self._held_return and self.refusal is None:
            # a CR at the very end was a bare one
            self.refusal = replies.BARE_NEWLINE
        return Progress.ENDED, piece

    def _has_bare_newline(self, data: bytes) -> bool:
        """Whether a CR or LF without the other is there; a CR at the end waits for what follows, in the next chunk too."""
        if not data or self._binary:
            return False
        pairs = data.count(b"\r\n")
        returns, newlines = data.count(b"\r"), data.count(b"\n")
        if self._held_return:
            if not data.startswith(b"\n"):
                return True
            newlines -= 1
        self._held_return = data.endswith(b"\r")
        return returns - self._held_return != pairs or newlines != pairs
