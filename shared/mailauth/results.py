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
# RFC 8601 §2.2: authres-header-field = "Authentication-Results:" [CFWS] authserv-id ...
_OWNER: Final = re.compile(rb"(?:\s|\((?:[^()\\]|\\.)*\))*+(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;()\"]+))")


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
    match = _OWNER.match(value)
    if match is None:
        return False
    owner = match.group(1) if match.group(1) is not None else match.group(2)
    return owner.decode("latin-1").strip().lower().rstrip(".") == server.lower().rstrip(".")
