"""A header block in ASCII: what each field with octets above 127 becomes. Fields in ASCII stay byte for byte.

| field | becomes |
|---|---|
| addresses (From, To, ...) | encoded words and A-labels, see `addresses`; an address that needs more makes the message unconvertible |
| Content-Type, Content-Disposition | parameters by RFC 2231; a boundary that is not ASCII makes the message unconvertible |
| Message-ID, In-Reply-To, References, Content-ID | each octet as =XX, so that what names a message still does |
| Received | without a "for" that is not ASCII, domains in A-labels, anything else as "?": it is a trace, not an address |
| all others | encoded words (RFC 2047); so are lines that are no field |

Octets that are not UTF-8 are read as ISO 8859-1, as readers do. Raises `Unconvertible`, nothing else. RFC 2047 §5, RFC 2231, RFC 6532 §3.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from shared.mail.charset import decode_unlabelled
from shared.mail.encoded_word import decode_words, encode_words
from shared.mail.header import unfold
from shared.mail.limits import DEFAULT_LIMITS
from shared.mail.mailbox_name import domain_to_a_labels
from shared.mail.mime import Parameters, parse_content_type, parse_disposition
from shared.mail.recode.addresses import ascii_addresses
from shared.mail.recode.goal import LABELS, MAX_FIELD_OCTETS, MAX_FIELDS, Change, Fault, Unconvertible

# Fields with their folded lines, and lines that are no field, by turns
_LINES: Final = re.compile(rb"[^\n]*+\n(?:[ \t][^\n]*+\n?)*+|[^\n]++\Z")
_NAMED: Final = re.compile(rb"([!-9;-~]++)[ \t]*+:[ \t]*+")
_HIGH: Final = re.compile(rb"[\x80-\xff]")
_FOR: Final = re.compile(rb"(?<![ \t])[ \t]++for[ \t]++<[^<>]*+>", re.IGNORECASE)
_WORD: Final = re.compile(rb"[^\s()<>@;,\[\]]++")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+")
_SPECIAL: Final = re.compile(rb'(["\\])')
_PARAMETER_OCTETS: Final = 60
_DOMAIN_OCTETS: Final = 1000
"""More than any name in UTF-8 has."""
_ADDRESS_FIELDS: Final = frozenset(
    {
        *(b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"return-path", b"errors-to"),
        *(b"resent-from", b"resent-sender", b"resent-to", b"resent-cc", b"resent-bcc", b"resent-reply-to"),
        *(b"disposition-notification-to", b"mail-followup-to", b"mail-reply-to", b"delivered-to"),
    }
)
_ID_FIELDS: Final = frozenset({b"message-id", b"in-reply-to", b"references", b"content-id", b"resent-message-id"})


def ascii_header(block: bytes) -> bytes:
    """The block with all its fields in ASCII. Raises Unconvertible."""
    if block.isascii():
        return block
    lines = _LINES.findall(block)
    others = [line for line in lines if not line.isascii()]
    if len(others) > MAX_FIELDS or max(map(len, others)) > MAX_FIELD_OCTETS:
        raise Unconvertible(Fault.TOO_COMPLEX)
    return b"".join([line if line.isascii() else _ascii_field(line) for line in lines])


def relabel(block: bytes, change: Change, *, top: bool) -> bytes:
    """The block saying how its body is encoded from now on; the header of a message says that it is MIME, too."""
    label = b"Content-Transfer-Encoding: " + LABELS[change] + b"\r\n"
    lines = []
    placed = mime = False
    for line in _LINES.findall(block):
        match = _NAMED.match(line)
        name = match[1].lower() if match is not None else b""
        mime = mime or name == b"mime-version"
        if name == b"content-transfer-encoding":
            lines.append(b"" if placed else label)
            placed = True
        else:
            lines.append(line)
    if not placed:
        end = lines.pop() if lines and lines[-1] == b"\r\n" else b""
        if lines and not lines[-1].endswith(b"\n"):
            lines.append(b"\r\n")
        # RFC 2045 §4
        lines += [b"MIME-Version: 1.0\r\n" if top and not mime else b"", label, end]
    return b"".join(lines)


def _ascii_field(line: bytes) -> bytes:
    match = _NAMED.match(line)
    end = b"\r\n" if line.endswith(b"\n") else b""
    if match is None:
        return encode_words(decode_unlabelled(line.strip(b"\r\n"))) + end
    name = match[1].lower()
    value = unfold(line[match.end() :])
    if name in _ADDRESS_FIELDS:
        value = ascii_addresses(value, len(name) + 2)
    elif name in _ID_FIELDS:
        value = _HIGH.sub(lambda octet: b"=%02X" % octet[0][0], value)
    elif name == b"received":
        value = _WORD.sub(_ascii_word, _FOR.sub(_ascii_clause, value))
        value = value.replace(b"; ", b";\r\n ")
    else:
        write = _PARAMETRIC.get(name)
        written = write(value) if write is not None else None
        value = encode_words(decode_words(value), len(name) + 2) if written is None else written
    return match[1] + b": " + value + end


def _ascii_clause(match: re.Match[bytes]) -> bytes:
    return match[0] if match[0].isascii() else b""


def _ascii_word(match: re.Match[bytes]) -> bytes:
    if match[0].isascii():
        return match[0]
    try:
        return domain_to_a_labels(match[0][:_DOMAIN_OCTETS].decode("utf-8")).encode("ascii")
    except ValueError:
        return _HIGH.sub(b"?", match[0])


def _ascii_content_type(value: bytes) -> bytes | None:
    parsed = parse_content_type(value, DEFAULT_LIMITS.parameters)
    if parsed is None:
        return None
    if not parsed.boundary.isascii():
        raise Unconvertible(Fault.BOUNDARY)
    return parsed.media + b"/" + parsed.subtype + _ascii_parameters(parsed.parameters)


def _ascii_disposition(value: bytes) -> bytes | None:
    parsed = parse_disposition(value, DEFAULT_LIMITS.parameters)
    return None if parsed is None else parsed.kind + _ascii_parameters(parsed.parameters)


_PARAMETRIC: Final[dict[bytes, Callable[[bytes], bytes | None]]] = {
    b"content-type": _ascii_content_type,
    b"content-disposition": _ascii_disposition,
}


def _ascii_parameters(parameters: Parameters) -> bytes:
    pieces = []
    for name, value in parameters.pairs:
        name = _HIGH.sub(b"?", name)
        if name.endswith(b"*") or not value.isascii():
            plain = name.removesuffix(b"*")
            pieces += _extended(plain, parameters.text(plain) if name.endswith(b"*") else decode_words(value))
        elif _TOKEN.fullmatch(value):
            pieces.append(name + b"=" + value)
        else:
            pieces.append(name + b'="' + _SPECIAL.sub(rb"\\\1", value) + b'"')
    return b"".join([b";\r\n " + piece for piece in pieces])


# RFC 2231 §3, §4.1
def _extended(name: bytes, text: str) -> list[bytes]:
    octets = quote(text.encode("utf-8", "replace"), safe="").encode("ascii")
    if len(octets) <= _PARAMETER_OCTETS:
        return [name + b"*=utf-8''" + octets]
    pieces = re.findall(rb"(?:%[0-9A-F]{2}|[^%]){1,20}", octets)
    return [
        name + b"*%d*=" % number + (b"utf-8''" if number == 0 else b"") + piece for number, piece in enumerate(pieces)
    ]
