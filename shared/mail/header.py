"""Header blocks: where they end, which fields they have, subsets of them byte for byte.

Laws:
- A header block ends with its first empty line (CRLF or bare LF), or with the content. What stands in it and is no field (a line
  without a colon, an mbox "From " line) is part of the block and passed over.
- A field is a name at the beginning of a line, a colon (space before it tolerated: RFC 5322 §4.5), and the lines that follow and
  begin with space or tab.
- Every function is linear in the block and never raises.

RFC 5322 §2.2, §4.5; RFC 3501 §6.4.5 for `select_fields`; RFC 7103 §7.2, §7.3 for what is tolerated.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from shared.mail.content import Content

# RFC 5322 §2.2: field-name = 1*ftext; ftext = %d33-57 / %d59-126
# All quantifiers are possessive: no line is looked at twice.
_FIELD: Final = re.compile(rb"^([!-9;-~]++)[ \t]*+:[ \t]*+([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.MULTILINE)
_FOLD: Final = re.compile(rb"\r*\n")
_SPACE: Final = b" \t\r\n"


class Field(NamedTuple):
    """One header field with its place in the content."""

    name: bytes
    """In lower case."""
    value: bytes
    """As written, folds included, without the last line end and outer white space."""
    start: int
    end: int
    """Behind the line end."""


def header_end(content: Content, start: int, end: int) -> int:
    """Offset behind the empty line that ends the header block at `start`; `end` where there is none."""
    first = content[start : min(start + 2, end)]
    if first[:1] == b"\n":
        return start + 1
    if first == b"\r\n":
        return start + 2
    crlf = content.find(b"\n\r\n", start, end)
    bare = content.find(b"\n\n", start, end if crlf < 0 else crlf + 1)
    if bare >= 0:
        return bare + 2
    return crlf + 3 if crlf >= 0 else end


def iter_fields(content: Content, start: int, end: int) -> Iterator[Field]:
    """The fields of the header block between the offsets, in order."""
    for match in _FIELD.finditer(content[start:end]):
        stop = min(start + match.end() + 1, end)
        yield Field(match[1].lower(), match[2].strip(_SPACE), start + match.start(), stop)


def get_all(content: Content, start: int, end: int, name: bytes) -> list[bytes]:
    """Unfolded values of all fields of that name (any case), in order."""
    wanted = name.lower()
    return [unfold(field.value) for field in iter_fields(content, start, end) if field.name == wanted]


def field_values(block: bytes, wanted: frozenset[bytes], max_fields: int) -> dict[bytes, list[bytes]]:
    """Unfolded values of the wanted fields (names in lower case) by name; the hot path of the index."""
    values: dict[bytes, list[bytes]] = {}
    pairs = _FIELD.findall(block)
    if len(pairs) > max_fields:
        del pairs[max_fields:]
    for name, value in pairs:
        lowered = name.lower()
        if lowered in wanted:
            values.setdefault(lowered, []).append(unfold(value))
    return values


# RFC 5322 §2.2.3
def unfold(value: bytes) -> bytes:
    """Without line ends and outer white space."""
    if b"\n" in value:
        value = _FOLD.sub(b"", value)
    return value.strip(_SPACE)


@lru_cache(maxsize=256)
def _selector(names: frozenset[bytes]) -> re.Pattern[bytes]:
    alternatives = b"|".join(re.escape(name) for name in sorted(names))
    return re.compile(
        rb"^(?:" + alternatives + rb")[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)", re.MULTILINE | re.IGNORECASE
    )


# RFC 3501 §6.4.5
def select_fields(content: Content, start: int, end: int, names: Iterable[bytes], exclude: bool) -> bytes:
    """HEADER.FIELDS, or HEADER.FIELDS.NOT with `exclude`: the fields byte for byte in their order, then the block's empty line.

    Lines that are no field belong to HEADER.FIELDS.NOT. There is no empty line where the block itself has none.
    """
    block = content[start:end]
    wanted = frozenset(name.lower() for name in names)
    if not wanted:
        return block if exclude else _empty_line(block)
    pattern = _selector(wanted)
    if exclude:
        return pattern.sub(b"", block)
    return b"".join([match[0] for match in pattern.finditer(block)]) + _empty_line(block)


def _empty_line(block: bytes) -> bytes:
    if block.endswith(b"\n\r\n") or block == b"\r\n":
        return b"\r\n"
    if block.endswith(b"\n\n") or block == b"\n":
        return b"\n"
    return b""
