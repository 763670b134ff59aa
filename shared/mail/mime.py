"""Content-Type and Content-Disposition: type, parameters, RFC 2231 continuations and charsets, and what senders really write.

Parameters stay raw bytes, as BODYSTRUCTURE shows them, with continuations joined (RFC 2231 §6: a server decodes those); their text
is made by `Parameters.text`. A value that makes no sense is worth as if the field were absent (RFC 2045 §5.2). Nothing raises;
each octet is looked at a bounded number of times.

RFC 2045 §5.1, RFC 2183 §2, RFC 2231 §3 to §4, RFC 2047 inside parameters (not allowed, but common).
"""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

import attrs

from shared.mail.charset import decode_text, decode_unlabelled
from shared.mail.encoded_word import decode_words

_TOKEN: Final = rb"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]++"
_TYPE: Final = re.compile(rb"[ \t]*+(" + _TOKEN + rb")[ \t]*+/[ \t]*+(" + _TOKEN + rb")[ \t]*+(?=[;( \t]|\Z)")
_DISPOSITION: Final = re.compile(rb"[ \t]*+(" + _TOKEN + rb")")
_PARAMETER: Final = re.compile(rb'[^;]*+;[;\s]*+([^=;\s"]++)\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)"|"?([^;]*+))', re.DOTALL)
_COMMENT: Final = re.compile(rb"\([^()]*+\)")
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_SECTION: Final = re.compile(rb"(.+?)\*(\d{1,3})(\*?)", re.DOTALL)
_NAMES_WITH_SPACES: Final = frozenset({b"name", b"filename"})
_CACHED_OCTETS: Final = 100
_FILE_NAME_CHARACTERS: Final = 255


@attrs.frozen
class Parameters:
    """Parameters in their order, names in lower case, the first of each name; ``name*`` is an RFC 2231 extended value."""

    pairs: tuple[tuple[bytes, bytes], ...] = ()

    def raw(self, name: bytes) -> bytes | None:
        """The value as bytes, not decoded."""
        for key, value in self.pairs:
            if key == name:
                return value
        return None

    def text(self, name: bytes) -> str:
        """The value as text: RFC 2231 first, then RFC 2047, then plain (UTF-8 or ISO 8859-1); empty where absent."""
        extended = self.raw(name + b"*")
        if extended is not None:
            return _decode_extended(extended)
        value = self.raw(name)
        return "" if value is None else decode_words(value)


@attrs.frozen
class ContentType:
    """Type and subtype in lower case."""

    media: bytes
    subtype: bytes
    parameters: Parameters

    @property
    def boundary(self) -> bytes:
        """The multipart boundary; empty where there is none."""
        return (self.parameters.raw(b"boundary") or b"").rstrip()

    @property
    def charset(self) -> str:
        """The charset's name in lower case; empty where none is named."""
        value = self.parameters.raw(b"charset")
        return "" if value is None else decode_unlabelled(value[:60]).strip().lower()


@attrs.frozen
class Disposition:
    """RFC 2183 §2: the kind in lower case (``inline``, ``attachment``)."""

    kind: bytes
    parameters: Parameters


NO_PARAMETERS: Final = Parameters()
# RFC 2045 §5.2
TEXT_PLAIN: Final = ContentType(b"text", b"plain", Parameters(((b"charset", b"us-ascii"),)))
# RFC 2046 §5.1.5
MESSAGE_RFC822: Final = ContentType(b"message", b"rfc822", NO_PARAMETERS)
OCTET_STREAM: Final = ContentType(b"application", b"octet-stream", NO_PARAMETERS)


def parse_content_type(value: bytes, max_parameters: int) -> ContentType | None:
    """The unfolded value of a Content-Type field; None where it names no type (RFC 2045 §5.2: as if absent)."""
    return _cached_type(value, max_parameters) if len(value) <= _CACHED_OCTETS else _parse_type(value, max_parameters)


def _parse_type(value: bytes, max_parameters: int) -> ContentType | None:
    match = _TYPE.match(value)
    if match is None and b"(" in value:
        match = _TYPE.match(_COMMENT.sub(b"", value))
    if match is None:
        return None
    return ContentType(match[1].lower(), match[2].lower(), parse_parameters(value, max_parameters))


_cached_type = lru_cache(maxsize=512)(_parse_type)


@lru_cache(maxsize=512)
def _cached_disposition(value: bytes, max_parameters: int) -> Disposition | None:
    return _parse_disposition(value, max_parameters)


def parse_disposition(value: bytes, max_parameters: int) -> Disposition | None:
    """The unfolded value of a Content-Disposition field; None where it names no kind."""
    short = len(value) <= _CACHED_OCTETS
    return _cached_disposition(value, max_parameters) if short else _parse_disposition(value, max_parameters)


def _parse_disposition(value: bytes, max_parameters: int) -> Disposition | None:
    match = _DISPOSITION.match(value)
    if match is None:
        return None
    return Disposition(match[1].lower(), parse_parameters(value, max_parameters))


def parse_encoding(value: bytes) -> bytes:
    """Content-Transfer-Encoding in lower case; ``7bit`` where it is empty (RFC 2045 §6.1)."""
    match = _DISPOSITION.match(value)
    return b"7bit" if match is None else match[1].lower()[:60]


def parse_parameters(value: bytes, max_parameters: int) -> Parameters:
    """What follows the first semicolon of a field's value."""
    position = value.find(b";")
    if position < 0:
        return NO_PARAMETERS
    found: dict[bytes, bytes] = {}
    for _ in range(max_parameters):
        match = _PARAMETER.match(value, position)
        if match is None:
            # Something without "=": go on behind the next semicolon.
            position = value.find(b";", position + 1)
            if position < 0:
                break
            continue
        position = match.end()
        name, quoted, plain = match.groups()
        name = name.lower()
        if quoted is None:
            quoted = _unquoted(name, plain)
        elif b"\\" in quoted:
            quoted = _ESCAPED.sub(rb"\1", quoted)
        found.setdefault(name, quoted)
    pairs = _join_continuations(found) if any(b"*" in name for name in found) else found
    return Parameters(tuple(pairs.items()))


def _unquoted(name: bytes, value: bytes) -> bytes:
    """A value without quotes, or with a quote that is never closed; only file names may hold white space."""
    value = value.strip()
    if name in _NAMES_WITH_SPACES or name.partition(b"*")[0] in _NAMES_WITH_SPACES:
        return value.removesuffix(b'"')
    if b"(" in value and name != b"boundary":
        value = _COMMENT.sub(b"", value)
    words = value.split(None, 1)
    return words[0].removesuffix(b'"') if words else b""


# RFC 2231 §3
def _join_continuations(found: dict[bytes, bytes]) -> dict[bytes, bytes]:
    sections: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    joined: dict[bytes, bytes] = {}
    for name, value in found.items():
        match = _SECTION.fullmatch(name)
        if match is None:
            joined[name] = value
        else:
            sections.setdefault(match[1], {}).setdefault(int(match[2]), (value, bool(match[3])))
    for name, pieces in sections.items():
        run: list[tuple[bytes, bool]] = []
        while len(run) in pieces:
            run.append(pieces[len(run)])
        if not run:
            continue
        extended = any(encoded for _, encoded in run)
        if not extended:
            joined.setdefault(name, b"".join([value for value, _ in run]))
            continue
        # Sections that are not encoded are taken as they are: their percent signs get encoded now.
        text = b"".join([value if encoded else value.replace(b"%", b"%25") for value, encoded in run])
        joined.setdefault(name + b"*", text if run[0][1] else b"''" + text)
    return joined


# RFC 2231 §4
def _decode_extended(value: bytes) -> str:
    charset, quote, rest = value.partition(b"'")
    _, second, text = rest.partition(b"'")
    if not quote or not second:
        return decode_unlabelled(unquote_to_bytes(value))
    return decode_text(unquote_to_bytes(text), charset.decode("latin-1"))


_NOT_IN_FILE_NAMES: Final = re.compile("[\x00-\x1f\x7f/\\\\]+")


def file_name(content_type: ContentType, disposition: Disposition | None) -> str:
    """The name a part wants to be saved under, as text without path separators and control characters; empty where none."""
    name = disposition.parameters.text(b"filename") if disposition is not None else ""
    if not name:
        name = content_type.parameters.text(b"name")
    return _NOT_IN_FILE_NAMES.sub("_", name).strip()[:_FILE_NAME_CHARACTERS] if name else ""
