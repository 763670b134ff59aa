"""What stands in a response: atoms, strings, NIL and lists, as values. Pure and total but for ``ServerViolation``.

An atom is an ``Atom``, a string (quoted or literal) ``bytes``, NIL ``None``, a list a ``list``.
"""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from shared.moving.imap.framing import ServerViolation

MAX_DEPTH: Final = 20
# RFC 9051 §9: atoms, flags, and sections such as BODY[] in one, as no reader needs to tell them apart
_TOKEN: Final = re.compile(rb' *+(?:([()])|"((?:[^"\\]|\\.)*+)"|((?:[^ ()"\[\r\n]|\[[^\]]*\])++))', re.DOTALL)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)


class Atom(bytes):
    """Something that is not a string."""

    __slots__ = ()


Value: TypeAlias = "bytes | list[Value] | None"


def parse_values(pieces: Sequence[bytes]) -> list[Value]:
    """The values of a response: text, literal, text, and so on. Raises ServerViolation."""
    found: list[Value] = []
    open_lists: list[list[Value]] = [found]
    for number, piece in enumerate(pieces):
        if number % 2:
            open_lists[-1].append(piece)
            continue
        _parse_text(piece, open_lists)
    if len(open_lists) != 1:
        raise ServerViolation("a list does not end")
    return found


def _parse_text(text: bytes, open_lists: list[list[Value]]) -> None:
    position, end = 0, len(text.rstrip(b" "))
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise ServerViolation("a response that is no list of values")
        position = match.end()
        parenthesis, string, atom = match.groups()
        if parenthesis == b"(":
            inner: list[Value] = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
            if len(open_lists) > MAX_DEPTH:
                raise ServerViolation("lists too deep in one another")
        elif parenthesis == b")":
            if len(open_lists) == 1:
                raise ServerViolation("a list ends that did not begin")
            open_lists.pop()
        elif atom is not None:
            open_lists[-1].append(None if atom.upper() == b"NIL" else Atom(atom))
        else:
            open_lists[-1].append(_ESCAPED.sub(rb"\1", string) if b"\\" in string else string)


def number_of(value: Value, most: int = 2**63 - 1) -> int:
    """A number. Raises ServerViolation."""
    if isinstance(value, bytes) and value.isdigit() and len(value) <= 20 and (number := int(value)) <= most:
        return number
    raise ServerViolation("a number was expected")


def words_of(value: Value) -> tuple[bytes, ...]:
    """The atoms and strings of a list; what else it holds is left out. Raises ServerViolation."""
    if not isinstance(value, list):
        raise ServerViolation("a list was expected")
    return tuple(bytes(each) for each in value if isinstance(each, bytes))


def pairs_of(value: Value) -> dict[bytes, Value]:
    """Names (capitals) and values in turn, as in FETCH and STATUS. Raises ServerViolation."""
    if not isinstance(value, list) or len(value) % 2:
        raise ServerViolation("names and values were expected")
    found: dict[bytes, Value] = {}
    for name, each in zip(value[::2], value[1::2], strict=True):
        if not isinstance(name, bytes):
            raise ServerViolation("a name was expected")
        found[name.upper()] = each
    return found
