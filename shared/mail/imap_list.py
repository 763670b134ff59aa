"""Strings of IMAP responses: quoted where 7-bit text allows it, literals where not. RFC 3501 §4.3, §9.

What a string cannot hold at all is changed: NUL is left out (CHAR8 has none), line ends and tabs become spaces, so that a rendered
list never breaks the line it stands on.
"""

import re
from typing import Final

NIL: Final = b"NIL"

_NOT_PLAIN: Final = re.compile(rb"[^ !#-\[\]-~]").search
_NOT_QUOTABLE: Final = re.compile(rb"[^ -~]").search
_TO_SPACES: Final = bytes.maketrans(b"\t\r\n", b"   ")


def string(value: bytes) -> bytes:
    """A quoted string or a literal."""
    if _NOT_PLAIN(value) is None:
        return b'"' + value + b'"'
    value = value.translate(_TO_SPACES, b"\0")
    if _NOT_QUOTABLE(value) is None:
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """NIL for None, else as `string`."""
    return NIL if value is None else string(value)
