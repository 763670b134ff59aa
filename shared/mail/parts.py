"""The flat list of a message's parts with their offsets: what answers BODY[...] and tells where text is.

It is made once, when the message enters, and stored as msgpack; readers need no parser. Part numbers follow RFC 3501 §6.4.5: a message
that is no multipart has the one part 1; the parts of a message inside part n are n.1, n.2, ...; a multipart that is the body of a
message has no number of its own.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final

import attrs
import msgpack

from shared.mail.limits import IndexLimits
from shared.mail.mime import file_name
from shared.mail.structure import Entity, Message

_FORMAT: Final = 1
_MAX_TOKEN: Final = 128


class SectionKind(Enum):
    """What of a part is asked for; HEADER.FIELDS is HEADER and then `shared.mail.header.select_fields`."""

    CONTENT = "content"
    HEADER = "header"
    TEXT = "text"
    MIME = "mime"


@attrs.frozen
class Part:
    """One numbered part; the first of a list is the message itself, with the empty path.

    Offsets count octets from the message's first. For a message (the whole one, or a message/rfc822) `body_start` to
    `message_header_end` is its header and the rest up to `body_end` its text.
    """

    path: tuple[int, ...]
    media: str
    """Type, lower case: ``text``."""
    subtype: str
    charset: str
    """Lower case; empty where none is named."""
    encoding: str
    """Content-Transfer-Encoding, lower case."""
    disposition: str
    """``attachment``, ``inline``, another, or empty."""
    file_name: str
    """Decoded; empty where there is none."""
    header_start: int
    """Of the MIME header."""
    header_end: int
    """Behind the empty line."""
    body_start: int
    body_end: int
    lines: int
    """LFs in the body of text and message parts; 0 in others."""
    message_header_end: int
    """0 in a part that is no message."""

    @property
    def octets(self) -> int:
        """Of the body, as transferred."""
        return self.body_end - self.body_start

    @property
    def is_message(self) -> bool:
        return self.message_header_end > 0 or not self.path

    @property
    def is_text(self) -> bool:
        return self.media == "text"

    @property
    def is_searched(self) -> bool:
        """Whether SEARCH looks into the body: text, and reports (RFC 3464, RFC 8098): message/... that hold no message."""
        return self.is_text or (self.media == "message" and not self.is_message)


def pack_parts(message: Message, limits: IndexLimits) -> bytes:
    """The stored form of the parts of a message."""
    whole = ((), "message", "rfc822", "", "binary", "", "", 0, 0, 0, message.end, 0, message.header_end)
    rows: list[tuple[object, ...]] = [whole]
    names_left = limits.structure_octets
    pending: list[tuple[tuple[int, ...], Entity]] = []
    _push_message(pending, (), message)
    while pending:
        path, entity = pending.pop()
        kind = entity.content_type
        name = file_name(kind, entity.disposition) if entity.fields else ""
        names_left -= 3 * len(name)
        rows.append(
            (
                path,
                _token(kind.media),
                _token(kind.subtype),
                kind.charset,
                _token(entity.encoding),
                _token(entity.disposition.kind) if entity.disposition is not None else "",
                name if names_left >= 0 else "",
                entity.header_start,
                entity.header_end,
                entity.body_start,
                entity.body_end,
                entity.lines,
                entity.message.header_end if entity.message is not None else 0,
            )
        )
        if entity.message is not None:
            _push_message(pending, path, entity.message)
        else:
            _push_children(pending, path, entity)
    packed: bytes = msgpack.packb((_FORMAT, rows))
    return packed


def _push_message(pending: list[tuple[tuple[int, ...], Entity]], path: tuple[int, ...], message: Message) -> None:
    if message.entity.children:
        _push_children(pending, path, message.entity)
    else:
        pending.append(((*path, 1), message.entity))


def _push_children(pending: list[tuple[tuple[int, ...], Entity]], path: tuple[int, ...], entity: Entity) -> None:
    children = entity.children
    pending.extend([((*path, number), children[number - 1]) for number in range(len(children), 0, -1)])


def _token(value: bytes) -> str:
    return value[:_MAX_TOKEN].decode("ascii", "replace")


def unpack_parts(blob: bytes) -> tuple[Part, ...]:
    """The parts, the message itself first, then in the order of the message. Raises ValueError where the blob is no such list."""
    try:
        version, rows = msgpack.unpackb(blob, use_list=False)
        if version != _FORMAT:
            raise ValueError(f"list of parts of unknown format {version!r}")
        return tuple([Part(*row) for row in rows])
    except TypeError as error:
        raise ValueError("not a list of parts") from error


# RFC 3501 §6.4.5, RFC 9051 §6.4.5
def find_part(parts: Sequence[Part], path: tuple[int, ...]) -> Part | None:
    """The part of that number; the empty path is the message."""
    for part in parts:
        if part.path == path:
            return part
    return None


# RFC 3501 §6.4.5, RFC 9051 §6.4.5
def resolve_section(parts: Sequence[Part], path: tuple[int, ...], kind: SectionKind) -> tuple[int, int] | None:
    """Start and end of BODY[path] (CONTENT), BODY[path.HEADER], BODY[path.TEXT], BODY[path.MIME]; None where there is no such section.

    HEADER and TEXT exist for messages only, MIME for numbered parts only.
    """
    part = find_part(parts, path)
    if part is None:
        return None
    if kind is SectionKind.CONTENT:
        return part.body_start, part.body_end
    if kind is SectionKind.MIME:
        return (part.header_start, part.header_end) if part.path else None
    if not part.is_message:
        return None
    if kind is SectionKind.HEADER:
        return part.body_start, part.message_header_end
    return part.message_header_end, part.body_end
