"""Mailbox names on the wire: modified UTF-7.

RFC 3501 §5.1.3. Pure and total: ``decode`` also takes what clients get wrong (raw UTF-8, superfluous encodings) and refuses only
what has no meaning; ``encode`` always gives the one canonical form.
"""

import binascii
import re
from typing import Final

_ENCODED_RUN: Final = re.compile(r"[^\x20-\x25\x27-\x7e]+|&")
_SHIFTED: Final = re.compile(rb"&([^-&]*)(-?)")


class InvalidName(ValueError):
    """The octets are neither modified UTF-7 nor UTF-8, or hold what no name may hold."""


def _encode_run(match: "re.Match[str]") -> str:
    text = match.group()
    if text == "&":
        return "&-"
    # RFC 3501 §5.1.3: UTF-16BE, base64 with "," for "/", no padding
    coded = binascii.b2a_base64(text.encode("utf-16-be", "surrogatepass"), newline=False).rstrip(b"=")
    return "&" + coded.replace(b"/", b",").decode("ascii") + "-"


def encode(name: str) -> bytes:
    """The canonical modified UTF-7 form of a name."""
    return _ENCODED_RUN.sub(_encode_run, name).encode("ascii")


def _decode_shifted(match: "re.Match[bytes]") -> bytes:
    coded, end = match.groups()
    if not end:
        raise InvalidName("a base64 run does not end")
    if not coded:
        return b"&"
    padded = coded.replace(b",", b"/") + b"=" * (-len(coded) % 4)
    try:
        return binascii.a2b_base64(padded, strict_mode=True).decode("utf-16-be").encode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidName("a base64 run is broken") from error


def decode(octets: bytes, *, utf8: bool = False) -> str:
    """The name behind modified UTF-7 or, from clients that send it raw, UTF-8. Raises InvalidName; never returns control characters.

    ``utf8``: the client has enabled names in UTF-8, ``&`` means itself.
    """
    if utf8 or not octets.isascii():
        try:
            name = octets.decode()
        except UnicodeDecodeError as error:
            raise InvalidName("neither modified UTF-7 nor UTF-8") from error
    elif b"&" in octets:
        name = _SHIFTED.sub(_decode_shifted, octets).decode()
    else:
        name = octets.decode("ascii")
    if any(character < " " or "\x7f" <= character < "\xa0" for character in name):
        raise InvalidName("a control character")
    # RFC 6855 §3: no line and paragraph separators
    if utf8 and ("\u2028" in name or "\u2029" in name):
        raise InvalidName("a line or paragraph separator")
    return name
