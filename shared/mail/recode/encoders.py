"""Quoted-printable and base64 put on piece by piece, so that a part of any size is encoded in little memory.

Laws: what comes out is ASCII in lines of at most 76 octets that end in CRLF and never begin with ``--`` (so no line can be taken for a
boundary line); it does not depend on how the input was cut. Nothing raises.

RFC 2045 §6.7, §6.8.
"""

from __future__ import annotations

import binascii
import re
from typing import Final, Protocol

_LONGEST_LINE: Final = 16 * 1024
"""Octets of a line that are encoded at once; behind that many stands a soft line break."""
_LINE_OCTETS: Final = 76
_BASE64_INPUT: Final = 57
_DASHES: Final = re.compile(rb"^--[^\r]*", re.MULTILINE)
_CUT: Final = 70


class Encoder(Protocol):
    """``feed`` pieces in order, then ``finish``."""

    def feed(self, data: bytes) -> bytes: ...

    def finish(self, *, end_line: bool) -> bytes:
        """The rest; `end_line`: nothing follows that begins with a line end of its own."""


class QuotedPrintable:
    """For text in lines that end in CRLF, which stay lines; no other CR and LF."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        data = self._rest + data
        end = data.rfind(b"\r\n") + 2 if b"\r\n" in data else 0
        whole, rest = data[:end], data[end:]
        pieces = [_encode_lines(whole) if _are_short(whole) else b"".join(map(_encode_long, whole.splitlines(True)))]
        while len(rest.removesuffix(b"\r")) > _LONGEST_LINE:
            pieces.append(_encode_lines(rest[:_LONGEST_LINE]) + b"=\r\n")
            rest = rest[_LONGEST_LINE:]
        self._rest = rest
        return b"".join(pieces)

    def finish(self, *, end_line: bool) -> bytes:
        rest, self._rest = self._rest, b""
        encoded = _encode_lines(rest)
        return encoded + b"=\r\n" if encoded and end_line else encoded


def _are_short(lines: bytes) -> bool:
    return len(lines) <= _LONGEST_LINE or max(map(len, lines.split(b"\r\n"))) <= _LONGEST_LINE


def _encode_long(line: bytes) -> bytes:
    pieces = []
    while len(line) - 2 > _LONGEST_LINE:
        pieces.append(_encode_lines(line[:_LONGEST_LINE]) + b"=\r\n")
        line = line[_LONGEST_LINE:]
    return b"".join((*pieces, _encode_lines(line)))


class Base64:
    """Octets as they are."""

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        data = self._rest + data
        whole = len(data) // _BASE64_INPUT * _BASE64_INPUT
        self._rest = data[whole:]
        return self._lines(data[:whole])

    def finish(self, *, end_line: bool) -> bytes:
        rest, self._rest = self._rest, b""
        encoded = self._lines(rest)
        return encoded + b"\r\n" if end_line and self._begun else encoded

    def _lines(self, data: bytes) -> bytes:
        if not data:
            return b""
        encoded = binascii.b2a_base64(data, newline=False)
        lines = b"\r\n".join([encoded[at : at + _LINE_OCTETS] for at in range(0, len(encoded), _LINE_OCTETS)])
        # the line end before a boundary line is the boundary's, so each line but the first brings the one before it
        lines = b"\r\n" + lines if self._begun else lines
        self._begun = True
        return lines


def _encode_lines(data: bytes) -> bytes:
    if not data:
        return b""
    # soft line breaks come as LF or CRLF, as the first line of the data ends
    encoded = binascii.b2a_qp(data, quotetabs=False, istext=True).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return _DASHES.sub(_without_dashes, encoded) if b"--" in encoded else encoded


def _without_dashes(match: re.Match[bytes]) -> bytes:
    line = b"=2D" + match[0][1:]
    if len(line) <= _LINE_OCTETS:
        return line
    cut = _CUT - 1 if line[_CUT - 1] == ord("=") else _CUT - 2 if line[_CUT - 2] == ord("=") else _CUT
    rest = line[cut:]
    if rest.startswith(b"--"):
        rest = b"=2D" + rest[1:]
    return line[:cut] + b"=\r\n" + rest
