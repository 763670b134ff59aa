"""RFC 2047 encoded words: header bytes to text, and text to header bytes for the headers that we write.

Reading is lenient as senders are: an encoded word counts wherever it stands (glued to text, inside a quoted string), a language
suffix (RFC 2231 §5) is dropped, bytes of adjacent words with one charset are joined before they are decoded (characters split
between words). What does not decode stays as written. Text never holds control characters: a decoded line end cannot become a
header (they turn into spaces).
"""

import binascii
import re
from base64 import b64encode
from typing import Final

from shared.mail.charset import codec_name, decode_text, decode_unlabelled

# RFC 2047 §2. No part can hold "?", so no byte is looked at more than twice.
_WORD: Final = re.compile(rb"=\?([!-)+->@-~]{1,60})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?]*)\?=")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]+")
_NOT_BASE64: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
_UNENCODED: Final = re.compile(r"[ -~]*")

_MAX_WORD_OCTETS: Final = 75
# "=?utf-8?B?" and "?=" leave 63 characters, which is 45 octets of text.
_OCTETS_PER_WORD: Final = 45


def decode_base64(data: bytes) -> bytes:
    """Base64 that may be broken: other characters are passed over, a rest that makes no octet is dropped. Never raises."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        clean = data.translate(None, _NOT_BASE64)
        rest = len(clean) % 4
        clean = clean[:-1] if rest == 1 else clean
        return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


def decode_words(value: bytes, guess: str = "") -> str:
    """Unfolded header bytes to text, encoded words decoded. Never raises.

    8-bit octets outside of words are read as UTF-8, or as the charset `guess` (what the message's body says), or as ISO 8859-1.
    """
    if b"=?" not in value:
        if b"\x1b$" in value:
            return _CONTROL.sub(" ", _decode_escapes(value))
        text = value.decode("ascii") if value.isascii() else decode_unlabelled(value, guess)
        return text if text.isprintable() else _CONTROL.sub(" ", text)
    pieces: list[str] = []
    charset = ""
    pending = b""
    position = 0
    for match in _WORD.finditer(value):
        gap = value[position : match.start()]
        name = match[1].decode("ascii")
        adjacent = position > 0 and not gap.strip(b" \t\r\n")
        if pending and not (adjacent and name.lower() == charset.lower()):
            pieces.append(decode_text(pending, charset))
            pending = b""
        if gap and not adjacent:
            pieces.append(decode_unlabelled(gap, guess))
        if codec_name(name) is None:
            pieces.append(match[0].decode("latin-1"))
        else:
            charset = name
            pending += _octets(match[2], match[3])
        position = match.end()
    if pending:
        pieces.append(decode_text(pending, charset))
    pieces.append(decode_unlabelled(value[position:], guess))
    return _CONTROL.sub(" ", "".join(pieces))


# RFC 1557 (and its Japanese sister): 7-bit text that names its character set itself, sent without encoded words by old clients
def _decode_escapes(value: bytes) -> str:
    charset = "iso-2022-kr" if b"\x1b$)C" in value else "iso-2022-jp"
    text = decode_text(value, charset)
    return decode_unlabelled(value) if "\ufffd" in text else text


def _octets(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"bB":
        return decode_base64(text)
    return binascii.a2b_qp(text, header=True)


def encode_words(text: str, taken_octets: int = 0) -> bytes:
    """Header bytes for unstructured text or a phrase: as it is where it is printable ASCII, else UTF-8 words folded by CRLF SP.

    Control characters become spaces, so that no text can begin a new field. `taken_octets` stand on the first line already (RFC 2047 §2
    allows 76 in all); where they leave no room the line is longer.
    """
    text = _CONTROL.sub(" ", text)
    if _UNENCODED.fullmatch(text) and "=?" not in text:
        return text.encode("ascii")
    words: list[bytes] = []
    octets = b""
    room = max(_OCTETS_PER_WORD - taken_octets * 3 // 4, 6)
    for character in text:
        encoded = character.encode("utf-8", "replace")
        if len(octets) + len(encoded) > room:
            words.append(octets)
            octets = b""
            room = _OCTETS_PER_WORD
        octets += encoded
    words.append(octets)
    return b"\r\n ".join(b"=?utf-8?B?" + b64encode(word) + b"?=" for word in words)
