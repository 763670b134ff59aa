"""The MIME tree of a message: every entity with its offsets.

Laws:
- Any bytes give a tree. A multipart whose boundary is missing, too long or never seen is text/plain (RFC 2045 §5.2);
  one that is not closed ends where its parent ends (RFC 2046 §5.1.2). Whatever lies beyond a limit is application/octet-stream and
  not looked into.
- Children lie inside their parent, in order, and do not overlap.
- Linear: an outer multipart is cut by its boundary before its parts are looked at, so a search never leaves its part; each level
  costs one search at memory speed, the levels are bounded, and so are the lines that look like a boundary line.
- A boundary line is ``--``, the boundary, perhaps ``--``, white space, line end: nothing else (two boundaries of which one begins
  with the other are common). Lines may end in a bare LF.

Where Dovecot answers otherwise, on purpose:
- The line end before a boundary line is the boundary's (RFC 2046 §5.1.1), also after a closed multipart or a message in the part:
  sizes and lines there are one line end smaller.
- Without one boundary line a multipart is one text/plain part, not a multipart of nothing: what was written can be read.
- A boundary parameter whose quote is never closed still counts.
- An outer boundary ends the inner parts also where both are the same string (RFC 2046 §5.1.2).
- An encoded message/rfc822 or message/global (forbidden by RFC 2046 §5.2.1) is application/octet-stream: its envelope cannot be told.
- Content-Type without a type that makes sense is text/plain (RFC 2045 §5.2), not a type of two empty strings.
- Part n of a multipart that is no multipart and no message has no n.1; n.HEADER and n.TEXT are NIL there.
- Offsets count the octets that came: a bare LF is one octet, never two.

RFC 2045, RFC 2046 §5.1, §5.2.
"""

import re
from typing import Final

import attrs

from shared.mail.content import Content, count_lines
from shared.mail.envelope import ENVELOPE_FIELDS
from shared.mail.header import field_values, header_end
from shared.mail.limits import IndexLimits
from shared.mail.mime import (
    MESSAGE_RFC822,
    OCTET_STREAM,
    TEXT_PLAIN,
    ContentType,
    Disposition,
    parse_content_type,
    parse_disposition,
    parse_encoding,
)

_MIME_FIELDS: Final = frozenset(
    {
        *(b"content-type", b"content-transfer-encoding", b"content-disposition", b"content-id", b"content-description"),
        *(b"content-md5", b"content-language", b"content-location"),
    }
)
_MESSAGE_FIELDS: Final = _MIME_FIELDS | ENVELOPE_FIELDS | {b"references"}
# RFC 2046 §5.1.1: what follows the boundary on its line
_REST_OF_BOUNDARY_LINE: Final = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\r?\Z)")
_MESSAGES: Final = frozenset({b"rfc822", b"global"})
"""Subtypes of message/... that hold a message; global: with UTF-8 in its header (RFC 6532 §3.7)."""
_IDENTITY: Final = frozenset({b"7bit", b"8bit", b"binary"})
_CARRIAGE_RETURN: Final = 13

Fields = dict[bytes, list[bytes]]


@attrs.define
class Entity:
    """A header and a body (RFC 2045 §2.4); offsets into the content."""

    header_start: int
    header_end: int
    body_start: int
    body_end: int
    fields: Fields
    content_type: ContentType
    disposition: Disposition | None
    encoding: bytes
    lines: int = 0
    """LFs in the body, where it is text or a message."""
    children: "list[Entity]" = attrs.field(factory=list)
    """Of a multipart; never empty there."""
    message: "Message | None" = None
    """Of message/rfc822."""

    @property
    def is_multipart(self) -> bool:
        return bool(self.children)


@attrs.define
class Message:
    """A message, the whole one or one inside another; `entity` is it as a MIME entity."""

    start: int
    header_end: int
    end: int
    fields: Fields
    entity: Entity


class StructureParser:
    """One use per content: holds what the limits left."""

    def __init__(self, content: Content, limits: IndexLimits) -> None:
        self._content = content
        self._limits = limits
        self._parts_left = limits.parts
        self._candidates_left = limits.boundary_candidates
        self._header_octets_left = limits.total_header_octets

    def parse_message(self, start: int, end: int, depth: int = 0) -> Message:
        """The message between the offsets."""
        body_start = header_end(self._content, start, end)
        fields = self._fields(start, body_start, _MESSAGE_FIELDS)
        entity = self._entity(fields, (start, body_start, body_start, end), TEXT_PLAIN, depth)
        return Message(start, body_start, end, fields, entity)

    def _fields(self, start: int, end: int, wanted: frozenset[bytes]) -> Fields:
        if end - start <= 2:
            return {}
        size = min(end - start, self._limits.header_octets, self._header_octets_left)
        self._header_octets_left -= size
        return field_values(self._content[start : start + size], wanted, self._limits.header_fields)

    def _entity(self, fields: Fields, offsets: tuple[int, int, int, int], default: ContentType, depth: int) -> Entity:
        limits = self._limits
        content_type = default
        disposition = None
        encoding = b"7bit"
        if fields:
            values = fields.get(b"content-type")
            if values is not None:
                value = values[0][: limits.field_octets]
                # RFC 2045 §5.2
                content_type = parse_content_type(value, limits.parameters) or TEXT_PLAIN
            values = fields.get(b"content-disposition")
            if values is not None:
                disposition = parse_disposition(values[0][: limits.field_octets], limits.parameters)
            values = fields.get(b"content-transfer-encoding")
            if values is not None:
                encoding = parse_encoding(values[0])
        self._parts_left -= 1
        entity = Entity(*offsets, fields, content_type, disposition, encoding)
        if content_type.media == b"multipart":
            self._cut(entity, depth)
        elif content_type.media == b"message" and content_type.subtype in _MESSAGES:
            self._open(entity, depth)
        if entity.content_type.media == b"text" or entity.message is not None:
            entity.lines = count_lines(self._content, entity.body_start, entity.body_end)
        return entity

    # RFC 2046 §5.2.1, RFC 9051 §9: media-message = "MESSAGE" SP ("RFC822" / "GLOBAL")
    def _open(self, entity: Entity, depth: int) -> None:
        if depth >= self._limits.depth or self._parts_left <= 0 or entity.encoding not in _IDENTITY:
            entity.content_type = OCTET_STREAM
        else:
            entity.message = self.parse_message(entity.body_start, entity.body_end, depth + 1)

    # RFC 2046 §5.1
    def _cut(self, entity: Entity, depth: int) -> None:
        if depth >= self._limits.depth or self._parts_left <= 0:
            entity.content_type = OCTET_STREAM
            return
        boundary = entity.content_type.boundary
        pieces = []
        if 0 < len(boundary) <= self._limits.boundary_octets:
            pieces = self._pieces(boundary, entity.body_start, entity.body_end)
        # RFC 2046 §5.1.5
        default = MESSAGE_RFC822 if entity.content_type.subtype == b"digest" else TEXT_PLAIN
        if not pieces:
            entity.content_type = TEXT_PLAIN
            return
        for start, header_limit, end in pieces:
            if self._parts_left <= 0:
                # The last part that fits holds all the rest, unopened.
                rest = Entity(start, start, start, entity.body_end, {}, OCTET_STREAM, None, b"binary")
                entity.children.append(rest)
                break
            body_start = header_end(self._content, start, header_limit)
            fields = self._fields(start, body_start, _MIME_FIELDS)
            offsets = (start, body_start, body_start, max(body_start, end))
            entity.children.append(self._entity(fields, offsets, default, depth + 1))

    def _pieces(self, boundary: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
        """Of each part: its start, how far its header may reach (the line end that belongs to the boundary included), its end."""
        content = self._content
        delimiter = b"\n--" + boundary
        pieces: list[tuple[int, int, int]] = []
        begun = -1
        # The line end before the first boundary line may be the one that ends the header.
        position = max(start - 1, 0)
        while self._candidates_left > 0 and len(pieces) <= self._parts_left:
            at = content.find(delimiter, position, end)
            if at < 0:
                break
            self._candidates_left -= 1
            match = _REST_OF_BOUNDARY_LINE.match(content, at + len(delimiter), end)
            if match is None:
                position = at + 1
                continue
            if begun >= 0:
                has_return = at > begun and content[at - 1] == _CARRIAGE_RETURN
                pieces.append((begun, max(at + 1, begun), max(at - 1 if has_return else at, begun)))
            begun = match.end()
            if match[1] is not None:
                return pieces
            position = begun - 1
        if begun >= 0:
            pieces.append((begun, end, end))
        return pieces
