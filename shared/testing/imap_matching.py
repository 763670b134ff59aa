"""Compares a response with what a dialogue expects of it: by its meaning, not by its octets.

What the standards leave open may differ: upper and lower case of atoms, quoted or literal or bare strings, the order of flags and of
the items of FETCH and STATUS, the zone in which a moment is told, attributes of LIST that a server may always add, the text for
people of OK, NO, BAD, BYE and ``+``. In what is expected, ``...`` stands for anything (in a list, of any length; inside an atom),
and ``{name}`` for a variable: the first time it takes what is there, afterwards it must be that again.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias

import attrs

STATUSES: Final = (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH")
ANYTHING: Final = b"..."
PAIRED: Final = (b"FETCH", b"UIDFETCH", b"STATUS")
"""Responses whose last list holds names with values, in any order."""

LISTED: Final = (b"LIST", b"LSUB")
_MAY_BE_ADDED: Final = frozenset({b"\\HASCHILDREN", b"\\HASNOCHILDREN", b"\\MARKED", b"\\UNMARKED"})

Variables: TypeAlias = "Mapping[bytes, bytes]"
Token: TypeAlias = "Atom | Text | Group"

_LITERAL: Final = re.compile(rb"~?\{(\d+)\+?\}\r\n")
_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SPECIAL: Final = re.compile(rb"(\{[a-z][a-z0-9_]*\}|\.\.\.)")


@attrs.frozen
class Atom:
    """Anything bare: words, numbers, flags, sets, section names."""

    octets: bytes


@attrs.frozen
class Text:
    """A quoted string or a literal."""

    octets: bytes


@attrs.frozen
class Group:
    """A parenthesized list, or the code of a status response."""

    tokens: tuple[Token, ...]


def tokenize(octets: bytes) -> tuple[Token, ...]:
    """The tokens of a response or of a part of it. Raises ValueError for parentheses without a partner."""
    tokens, end = _tokens(octets, 0)
    if end != len(octets):
        raise ValueError(f"a parenthesis too much at {end} in {octets!r}")
    return tokens


def _tokens(octets: bytes, start: int) -> tuple[tuple[Token, ...], int]:
    """Up to the closing parenthesis that belongs here, or the end."""
    tokens: list[Token] = []
    while start < len(octets):
        first = octets[start : start + 1]
        if first == b" ":
            start += 1
        elif first == b")":
            break
        elif first == b"(":
            inner, start = _tokens(octets, start + 1)
            if octets[start : start + 1] != b")":
                raise ValueError(f"an open parenthesis in {octets!r}")
            tokens.append(Group(inner))
            start += 1
        elif (match := _QUOTED.match(octets, start)) is not None:
            tokens.append(Text(re.sub(rb"\\(.)", rb"\1", match.group(1))))
            start = match.end()
        elif (match := _LITERAL.match(octets, start)) is not None:
            end = match.end() + int(match.group(1))
            tokens.append(Text(octets[match.end() : end]))
            start = end
        else:
            end = _atom_end(octets, start)
            tokens.append(Atom(octets[start:end]))
            start = end
    return tuple(tokens), start


def _atom_end(octets: bytes, start: int) -> int:
    """``BODY[HEADER.FIELDS (DATE FROM)]<0>`` is one atom."""
    depth = 0
    for index in range(start, len(octets)):
        octet = octets[index : index + 1]
        if octet == b"[":
            depth += 1
        elif octet == b"]":
            depth -= 1
        elif depth <= 0 and octet in b" ()":
            return index
    return len(octets)


@attrs.frozen
class Response:
    """``prefix``: a tag, ``*`` or ``+``. A status response has its code, if any, as its only token."""

    prefix: bytes
    word: bytes
    tokens: tuple[Token, ...]

    @property
    def is_status(self) -> bool:
        return self.word in STATUSES


def parse_response(octets: bytes) -> Response:
    """Raises ValueError where lists are broken."""
    prefix, _, rest = octets.partition(b" ")
    if prefix == b"+":
        return Response(prefix, b"", ())
    word = rest.split(b" ", 1)[0].upper()
    if word not in STATUSES:
        return Response(prefix, word, tokenize(rest))
    text = rest[len(word) :].lstrip(b" ")
    if not text.startswith(b"["):
        return Response(prefix, word, ())
    return Response(prefix, word, (Group(tokenize(text[1 : _atom_end(text, 0) - 1])),))


def match_response(expected: bytes, got: bytes, variables: Variables) -> dict[bytes, bytes] | None:
    """The variables with what was learned, None where the response is another one. Raises ValueError for broken lists."""
    wanted, told = parse_response(expected), parse_response(got)
    known = _match_octets(wanted.prefix, told.prefix, dict(variables))
    if known is None or wanted.is_status != told.is_status:
        return None
    if not wanted.is_status:
        return _match_tokens(_shaped(wanted.tokens), _shaped(told.tokens), known)
    if wanted.word != told.word:
        return None
    # a code that is not asked for may be there; one that is must be
    return _match_tokens(wanted.tokens, told.tokens, known) if wanted.tokens else known


@attrs.frozen
class _Pairs:
    """Items with values, in any order."""

    items: "tuple[tuple[Token, Token | None], ...]"
    open_ended: bool


@attrs.frozen
class _Attributes:
    """Of a LIST response."""

    names: frozenset[bytes]

    def allow(self, told: "_Attributes") -> bool:
        names = told.names
        if b"\\NOSELECT" in self.names and b"\\NONEXISTENT" in names:
            # RFC 9051 §7.3.1: the second implies the first
            names = names - {b"\\NONEXISTENT"} | {b"\\NOSELECT"}
        return self.names <= names and names - self.names <= _MAY_BE_ADDED


def _shaped(tokens: tuple[Token, ...]) -> "tuple[Token | _Pairs | _Attributes, ...]":
    """Where the order says nothing, tokens become what they mean."""
    match tokens:
        case (Atom(word), Group(listed), *rest) if word.upper() in LISTED:
            names = frozenset(token.octets.upper() for token in listed if isinstance(token, Atom))
            return (tokens[0], _Attributes(names), *rest)
    if not any(isinstance(token, Atom) and token.octets.upper() in PAIRED for token in tokens[:2]):
        return tokens
    last = tokens[-1]
    if not isinstance(last, Group):
        return tokens
    open_ended = Atom(ANYTHING) in last.tokens
    inner: list[Token] = [token for token in last.tokens if token != Atom(ANYTHING)]
    values = [*inner, None]
    pairs = tuple((inner[at], values[at + 1]) for at in range(0, len(inner), 2))
    return (*tokens[:-1], _Pairs(pairs, open_ended))


def _match_tokens(
    wanted: "Sequence[Token | _Pairs | _Attributes]",
    told: "Sequence[Token | _Pairs | _Attributes]",
    known: dict[bytes, bytes],
) -> dict[bytes, bytes] | None:
    """In this order."""
    if not wanted:
        return None if told else known
    if wanted[0] == Atom(ANYTHING):
        for skipped in range(len(told) + 1):
            rest = _match_tokens(wanted[1:], told[skipped:], known)
            if rest is not None:
                return rest
        return None
    if not told:
        return None
    learned = _match_token(wanted[0], told[0], known)
    return None if learned is None else _match_tokens(wanted[1:], told[1:], learned)


def _match_token(
    wanted: "Token | _Pairs | _Attributes", told: "Token | _Pairs | _Attributes", known: dict[bytes, bytes]
) -> dict[bytes, bytes] | None:
    match wanted, told:
        case Group(), Group():
            if _are_flags(wanted) and (_are_flags(told) or not told.tokens):
                return _match_set(wanted.tokens, told.tokens, known)
            return _match_tokens(wanted.tokens, told.tokens, known)
        case _Attributes(), _Attributes():
            return known if wanted.allow(told) else None
        case _Pairs(), _Pairs():
            return _match_pairs(wanted, told, known)
        case Text(), Text() if b"{" not in wanted.octets:
            return known if _equal_texts(wanted.octets, told.octets) else None
        case ((Atom() | Text()), (Atom() | Text())):
            return _match_octets(wanted.octets, told.octets, known)
    return None


def _are_flags(group: Group) -> bool:
    return any(isinstance(token, Atom) and token.octets.startswith((b"\\", b"$")) for token in group.tokens) and all(
        isinstance(token, Atom) for token in group.tokens
    )


def _match_set(wanted: Sequence[Token], told: Sequence[Token], known: dict[bytes, bytes]) -> dict[bytes, bytes] | None:
    left = list(told)
    for token in wanted:
        if token == Atom(ANYTHING):
            continue
        found = next((other for other in left if _match_token(token, other, known) is not None), None)
        if found is None:
            return None
        left.remove(found)
    return known if not left or Atom(ANYTHING) in wanted else None


def _match_pairs(wanted: _Pairs, told: _Pairs, known: dict[bytes, bytes]) -> dict[bytes, bytes] | None:
    left = list(told.items)
    for name, value in wanted.items:
        found = next((pair for pair in left if _match_token(name, pair[0], known) is not None), None)
        if found is None:
            return None
        if value is None and found[1] is not None and not wanted.open_ended:
            return None
        if value is not None:
            if found[1] is None:
                return None
            learned = _match_token(value, found[1], known)
            if learned is None:
                return None
            known = learned
        left.remove(found)
    return known if not left or wanted.open_ended else None


def _equal_texts(wanted: bytes, told: bytes) -> bool:
    if wanted == told:
        return True
    moments = [_moment(text) for text in (wanted, told)]
    return moments[0] is not None and moments[0] == moments[1]


def _moment(text: bytes) -> datetime | None:
    """RFC 9051 §9: date-time."""
    try:
        return datetime.strptime(text.decode("ascii").strip(), "%d-%b-%Y %H:%M:%S %z")
    except ValueError:
        return None


def _match_octets(wanted: bytes, told: bytes, known: dict[bytes, bytes]) -> dict[bytes, bytes] | None:
    """An atom that may hold variables and ``...``."""
    if wanted.upper() == told.upper():
        return known
    if b"{" not in wanted and ANYTHING not in wanted:
        return None
    names: list[bytes] = []
    pattern = b""
    for piece in _SPECIAL.split(wanted):
        if piece == ANYTHING:
            pattern += b".*"
        elif not _SPECIAL.fullmatch(piece):
            pattern += re.escape(piece)
        elif piece[1:-1] in known:
            pattern += re.escape(known[piece[1:-1]])
        else:
            names.append(piece[1:-1])
            pattern += b"(.+?)"
    match = re.fullmatch(pattern, told, re.DOTALL | re.IGNORECASE)
    return None if match is None else {**known, **dict(zip(names, match.groups(), strict=True))}
