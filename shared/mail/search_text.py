"""What SEARCH looks at: which octets of a message, and the folded text that they become.

The edge that tests a message and the store that indexes it both use this module, so that they find the same. Pure; nothing raises.

- `fold` is the form in which texts are compared: without regard to case (RFC 3501 §6.4.4) and to width (NFKC).
- `plan_search` names the octets of a message, from its parts alone; how many is bounded.
- `header_lines` is a header block as a line for each field; `body_text` is the text of all text parts (HTML reduced), then the lines of
  the headers of parts and of the messages inside: the name of an attachment is found.
"""

import unicodedata
from collections.abc import Sequence
from typing import Final

import attrs

from shared.mail.body_text import part_text
from shared.mail.content import Content
from shared.mail.encoded_word import decode_words
from shared.mail.header import iter_fields, unfold
from shared.mail.parts import Part

TEXT_OCTETS: Final = 8 * 1024 * 1024
"""Of one message's text parts that are searched."""
HEADER_OCTETS: Final = 256 * 1024
"""Of one message's header block, and of the headers of its parts together."""
FOLDED_CHARACTERS: Final = 8 * 1024 * 1024
"""Of one message's text, folded: there are characters that fold to eighteen."""
_FOLDED_AT_ONCE: Final = 64 * 1024

Span = tuple[int, int]
"""Start and end of octets in the message; never empty."""


def fold(text: str) -> str:
    """The form in which texts are compared."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", text).casefold()


def fold_bounded(text: str, most: int) -> str:
    """The beginning of the folded text, ``most`` characters of it; long texts are folded in pieces that end with a line."""
    if text.isascii() or len(text) <= _FOLDED_AT_ONCE:
        return fold(text)[:most]
    pieces: list[str] = []
    start = size = 0
    while start < len(text) and size < most:
        stop = start + _FOLDED_AT_ONCE
        if stop < len(text):
            stop = text.rfind("\n", start, stop) + 1 or stop
        pieces.append(fold(text[start:stop]))
        size += len(pieces[-1])
        start = stop
    return "".join(pieces)[:most]


@attrs.frozen
class SearchPlan:
    """The octets of one message that are searched."""

    header: Span | None
    more_headers: tuple[Span, ...]
    """Of parts, and of messages inside."""
    texts: tuple[tuple[Part, Span], ...]


def plan_header(header_octets: int) -> Span | None:
    """Of the message's own header block."""
    return (0, min(header_octets, HEADER_OCTETS)) if header_octets > 0 else None


def plan_search(header_octets: int, parts: Sequence[Part]) -> SearchPlan:
    """Of a message with these parts (`unpack_parts`)."""
    headers: list[Span] = []
    texts: list[tuple[Part, Span]] = []
    left, headers_left = TEXT_OCTETS, HEADER_OCTETS
    for part in parts:
        if not part.path:
            continue
        blocks = [(part.header_start, part.header_end)] if part.header_start else []
        if part.message_header_end:
            blocks.append((part.body_start, part.message_header_end))
        for begin, end in blocks:
            size = min(end - begin, headers_left)
            if size > 0:
                headers.append((begin, begin + size))
                headers_left -= size
        if part.is_searched and part.octets > 0 and left > 0:
            size = min(part.octets, left)
            texts.append((part, (part.body_start, part.body_start + size)))
            left -= size
    return SearchPlan(plan_header(header_octets), tuple(headers), tuple(texts))


def header_lines(block: Content) -> str:
    """A header block, folded: `name: value` for each field, decoded. No value holds a line end."""
    lines = [
        f"{field.name.decode('latin-1')}: {decode_words(unfold(field.value))}"
        for field in iter_fields(block, 0, len(block))
    ]
    return fold("\n".join(lines))


def body_text(parts: Sequence[tuple[Part, bytes]], more_headers: bytes) -> str:
    """Text parts with their octets, and the headers inside, folded."""
    texts: list[str] = []
    left = FOLDED_CHARACTERS
    for part, octets in parts:
        if left > 0:
            texts.append(fold_bounded(part_text(octets, part), left))
            left -= len(texts[-1])
    texts.append(header_lines(more_headers))
    return "\n".join(texts)
