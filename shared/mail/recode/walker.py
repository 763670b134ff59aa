"""The MIME structure of a message as a stream: octets in, tokens out, which joined are the octets again.

Laws
- Every octet is in exactly one token, in order; tokens do not depend on how the input was cut but for the size of `Body` and `Filler`.
- The tree is that of `shared.mail.structure` for messages within the limits, lines ending in CRLF: a boundary line is ``--``, the
  boundary, perhaps ``--``, white space, CRLF; the line end before it is the boundary's; an outer boundary ends what is inside.
- A multipart's preamble comes as its `Body`: whether it has parts at all is known when its first boundary line comes.
- At most a header block or LONGEST_DELIMITER octets are held. Raises `Unconvertible` beyond the limits, nothing else.

RFC 2046 §5.1, §5.2.1.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import attrs

from shared.mail.header import field_values
from shared.mail.limits import DEFAULT_LIMITS
from shared.mail.mime import MESSAGE_RFC822, TEXT_PLAIN, ContentType, parse_content_type, parse_encoding
from shared.mail.recode.goal import (
    MAX_BOUNDARY_OCTETS,
    MAX_DEPTH,
    MAX_HEADER_OCTETS,
    MAX_PARTS,
    Fault,
    Unconvertible,
)
from shared.mail.transfer import IDENTITY

LONGEST_DELIMITER: Final = 998
"""A longer line is no boundary line, whatever white space it ends with."""
_FIELDS: Final = frozenset({b"content-type", b"content-transfer-encoding"})


class Kind(Enum):
    LEAF = 1
    MULTIPART = 2
    MESSAGE = 3
    """message/rfc822, not encoded: another header follows its own."""


@attrs.frozen
class Entity:
    """One header and what follows it. `index` counts the headers of the message from 0."""

    index: int
    kind: Kind
    content_type: ContentType
    encoding: str
    signed: bool
    """It is inside multipart/signed."""
    top: bool
    """Its header is that of a message, not of a part."""
    boundary: bytes = b""
    depth: int = 0


@attrs.frozen
class Header:
    """A header block with the empty line behind it, where there is one."""

    entity: Entity
    data: bytes = attrs.field(repr=False)


@attrs.frozen
class Body:
    """Of a leaf, or the preamble of a multipart."""

    data: bytes = attrs.field(repr=False)


@attrs.frozen
class BodyEnd:
    """Of the entity whose header came last."""

    data: bytes = b""


@attrs.frozen
class Delimiter:
    """A boundary line, with the line end before it where that is not part of a header or another boundary line."""

    owner: Entity
    data: bytes = attrs.field(repr=False)


@attrs.frozen
class Filler:
    """What stands behind the last boundary line of a multipart."""

    data: bytes = attrs.field(repr=False)


Token = Header | Body | BodyEnd | Delimiter | Filler


class Walker:
    """``feed`` pieces, then ``finish``."""

    def __init__(self) -> None:
        self._buffer = b""
        self._position = 0
        """In the buffer: what stands before it has been given away."""
        self._in_header = True
        self._scanned = 0
        """In the buffer: up to here all lines have been looked at."""
        self._at_line_start = True
        """Of the body: the position begins a line whose line end before has been given away."""
        self._open: list[Entity] = []
        """The multiparts that are not closed, the outermost first."""
        self._in_filler = False
        self._count = 0
        self._next_depth = 0
        self._next_signed = False
        self._next_top = True
        self._next_default = TEXT_PLAIN
        self._tokens: list[Token] = []

    def feed(self, data: bytes) -> list[Token]:
        """The tokens that these octets complete. Raises Unconvertible."""
        self._buffer += data
        return self._run(final=False)

    def finish(self) -> list[Token]:
        """The last tokens. Raises Unconvertible."""
        return self._run(final=True)

    def _run(self, *, final: bool) -> list[Token]:
        while self._step_header(final=final) if self._in_header else self._step_body(final=final):
            pass
        self._buffer = self._buffer[self._position :]
        self._scanned -= self._position
        self._position = 0
        tokens, self._tokens = self._tokens, []
        return tokens

    def _take(self, end: int) -> bytes:
        data = self._buffer[self._position : end]
        self._position = self._scanned = end
        return data

    # Headers.

    def _step_header(self, *, final: bool) -> bool:
        """Whether the header has ended."""
        buffer = self._buffer
        while (end := buffer.find(b"\r\n", self._scanned)) >= 0:
            line = buffer[self._scanned : end]
            if not line or self._delimiter(line) is not None:
                self._end_header(self._scanned if line else end + 2)
                return True
            self._scanned = end + 2
        if len(buffer) - self._position > MAX_HEADER_OCTETS:
            raise Unconvertible(Fault.TOO_COMPLEX)
        if final:
            last = self._delimiter(buffer[self._scanned :])
            self._end_header(len(buffer) if last is None else self._scanned)
        return final

    def _end_header(self, end: int) -> None:
        if end - self._position > MAX_HEADER_OCTETS:
            raise Unconvertible(Fault.TOO_COMPLEX)
        data = self._take(end)
        entity = self._entity(data)
        self._tokens.append(Header(entity, data))
        self._at_line_start = True
        self._in_filler = False
        self._in_header = entity.kind is Kind.MESSAGE
        if entity.kind is Kind.MULTIPART:
            self._open.append(entity)
        elif entity.kind is Kind.MESSAGE:
            self._expect(entity, TEXT_PLAIN, top=True)

    def _expect(self, parent: Entity, default: ContentType, *, top: bool) -> None:
        self._next_depth = parent.depth + 1
        self._next_signed = parent.signed or parent.content_type.subtype == b"signed"
        self._next_default = default
        self._next_top = top

    def _entity(self, block: bytes) -> Entity:
        if self._count >= MAX_PARTS:
            raise Unconvertible(Fault.TOO_COMPLEX)
        fields = field_values(block, _FIELDS, DEFAULT_LIMITS.header_fields)
        kind, content_type, boundary = Kind.LEAF, self._next_default, b""
        if b"content-type" in fields:
            value = fields[b"content-type"][0][: DEFAULT_LIMITS.field_octets]
            # RFC 2045 §5.2
            content_type = parse_content_type(value, DEFAULT_LIMITS.parameters) or TEXT_PLAIN
        encoding = parse_encoding(fields.get(b"content-transfer-encoding", [b""])[0]).decode("ascii", "replace")
        if content_type.media == b"multipart" and content_type.boundary:
            kind, boundary = Kind.MULTIPART, content_type.boundary
        elif (content_type.media, content_type.subtype) == (b"message", b"rfc822") and encoding in IDENTITY:
            kind = Kind.MESSAGE
        if kind is not Kind.LEAF and (self._next_depth >= MAX_DEPTH or len(boundary) > MAX_BOUNDARY_OCTETS):
            raise Unconvertible(Fault.TOO_COMPLEX)
        index, self._count = self._count, self._count + 1
        signed, top, depth = self._next_signed, self._next_top, self._next_depth
        return Entity(index, kind, content_type, encoding, signed, top, boundary, depth)

    # Bodies.

    def _step_body(self, *, final: bool) -> bool:
        """Whether a boundary line was found."""
        buffer = self._buffer
        if self._at_line_start and len(buffer) - self._position < 2 and not final:
            return False
        while (line := self._next_candidate()) >= 0:
            before = line if self._at_line_start else line - 2
            end = buffer.find(b"\r\n", line, line + LONGEST_DELIMITER + 2)
            if end < 0 and not final and len(buffer) - line < LONGEST_DELIMITER + 2:
                self._emit(before)
                return False
            found = self._delimiter(buffer[line : len(buffer) if end < 0 else end])
            if found is not None:
                self._emit(before)
                self._take_delimiter(found, len(buffer) if end < 0 else end + 2)
                return True
            self._at_line_start = False
            self._scanned = line
        self._at_line_start = False
        self._emit(len(buffer) if final else len(buffer) - 3)
        if final:
            self._end_body()
        return False

    def _next_candidate(self) -> int:
        """Where the next line that begins with two dashes begins; -1 without one."""
        if self._at_line_start and self._buffer.startswith(b"--", self._position):
            return self._position
        self._at_line_start = False
        found = self._buffer.find(b"\r\n--", self._scanned)
        return -1 if found < 0 else found + 2

    def _delimiter(self, line: bytes) -> tuple[int, bool] | None:
        """Of which open multipart the line is a boundary line, and whether it is the last one; of equal ones the outermost."""
        if not line.startswith(b"--") or len(line) > LONGEST_DELIMITER:
            return None
        text = line[2:].rstrip(b" \t")
        for level, entity in enumerate(self._open):
            if text.startswith(entity.boundary) and text[len(entity.boundary) :] in (b"", b"--"):
                return level, len(text) > len(entity.boundary)
        return None

    def _take_delimiter(self, found: tuple[int, bool], end: int) -> None:
        level, last = found
        owner = self._open[level]
        self._end_body()
        self._tokens.append(Delimiter(owner, self._take(end)))
        self._at_line_start = True
        if last:
            del self._open[level:]
        else:
            del self._open[level + 1 :]
            self._in_header = True
            digest = owner.content_type.subtype == b"digest"
            # RFC 2046 §5.1.5
            self._expect(owner, MESSAGE_RFC822 if digest else TEXT_PLAIN, top=False)

    def _emit(self, end: int) -> None:
        if end > self._position:
            data = self._take(end)
            self._tokens.append(Filler(data) if self._in_filler else Body(data))

    def _end_body(self) -> None:
        if not self._in_filler:
            self._tokens.append(BodyEnd())
            self._in_filler = True
