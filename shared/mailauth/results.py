"""The Authentication-Results field (RFC 8601): written from verdicts, and taken out where somebody else wrote it in our name.

Everything in it that others said is made harmless: nothing can end the field, a comment or a value. RFC 8601 §2.2, §5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import attrs

from shared.mail.header import iter_fields

MAX_WORD_CHARACTERS: Final = 255
MAX_COMMENT_CHARACTERS: Final = 300
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~@:/-]+\Z")
_UNQUOTED: Final = re.compile(r"[^ !#-\[\]-~]")
_NOT_COMMENT: Final = re.compile(r"[^ -'*-\[\]-~]")
# RFC 8601 §2.2: authserv-id = value, which is a token (RFC 2045 §5.1; RFC 6532 adds UTF-8) or a quoted-string
_OWNER: Final = re.compile(
    rb"(?:\"((?:[^\"\\]|\\.)*+)\"|([!#-'*+.0-9A-Z^-~\x80-\xff-]++))(?=[\s;(]|\Z)", re.DOTALL
)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT_PIECE: Final = re.compile(rb"\s+|[()]|\\.|[^\s()\\]+|\\", re.DOTALL)


@attrs.frozen
class MethodResult:
    """One method: its result, a reason for people, and properties like ``smtp.mailfrom`` with their values."""

    method: str
    result: str
    reason: str = ""
    properties: tuple[tuple[str, str], ...] = ()


def build_results(server: str, results: Iterable[MethodResult]) -> bytes:
    """The field with its CRLF; ``none`` where nothing was checked (RFC 8601 §2.2)."""
    lines = [f"Authentication-Results: {_value(server)};"]
    parts = []
    for each in results:
        comment = f" ({_comment(each.reason)})" if each.reason else ""
        properties = "".join(f"\r\n\t {name}={_value(value)}" for name, value in each.properties if value)
        parts.append(f"{each.method}={each.result}{comment}{properties}")
    lines.append("\r\n\t" + (";\r\n\t".join(parts) if parts else "none") + "\r\n")
    return "".join(lines).encode("ascii", "replace")


def _value(text: str) -> str:
    """RFC 8601 §2.2: a value is a token or a quoted string; an address goes as it is."""
    cut = text[:MAX_WORD_CHARACTERS]
    if _TOKEN.match(cut):
        return cut
    return '"' + _UNQUOTED.sub("?", cut) + '"'


def _comment(text: str) -> str:
    return _NOT_COMMENT.sub("?", text[:MAX_COMMENT_CHARACTERS])


def without_results_of(server: str, header: bytes) -> bytes:
    """The header block without Authentication-Results fields that claim to be ours (RFC 8601 §5). The rest is kept byte for byte."""
    if b"uthentication-" not in header and b"UTHENTICATION-" not in header.upper():
        return header
    kept: list[bytes] = []
    position = 0
    for field in iter_fields(header, 0, len(header)):
        if field.name == b"authentication-results" and _names(field.value, server):
            kept.append(header[position : field.start])
            position = field.end
    kept.append(header[position:])
    return b"".join(kept)


def _names(value: bytes, server: str) -> bool:
    wanted = server.lower().rstrip(".").encode()
    match = _OWNER.match(value, _behind_comments(value))
    if match is None:
        # No two readers need agree whose it is: it must not look like ours to any of them.
        return wanted in value.lower()
    owner = match[2] if match[1] is None else _QUOTED_PAIR.sub(rb"\1", match[1])
    return owner.strip().lower().rstrip(b".") == wanted


def _behind_comments(value: bytes) -> int:
    """Where the first word begins. RFC 5322 §3.2.2: comments nest."""
    depth = 0
    for match in _COMMENT_PIECE.finditer(value):
        piece = match[0]
        if piece == b"(":
            depth += 1
        elif piece == b")" and depth:
            depth -= 1
        elif not depth and not piece.isspace():
            return match.start()
    return len(value)
