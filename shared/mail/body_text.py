"""Bodies of parts as octets and as text: transfer encoding off, charset off, HTML reduced. For previews, SEARCH and BINARY.

Nothing raises: what does not decode is replaced or left out. Every function takes how many octets it may look at.
RFC 2045 §6.7, §6.8; RFC 7103 §7.6, §8.2.
"""

import binascii
from collections.abc import Iterator, Sequence

from shared.mail.charset import decode_text
from shared.mail.content import Content
from shared.mail.encoded_word import decode_base64
from shared.mail.html_text import html_to_text
from shared.mail.parts import Part


def decode_transfer(data: bytes, encoding: str) -> bytes:
    """Octets without their Content-Transfer-Encoding (lower case); unknown encodings are left as they are."""
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data)
    if encoding == "base64":
        return decode_base64(data)
    return data


def decode_body(data: bytes, encoding: str, charset: str, *, is_html: bool = False) -> str:
    """A text body as text, line ends as LF."""
    text = decode_text(decode_transfer(data, encoding), charset)
    if is_html:
        return html_to_text(text)
    return text.replace("\r\n", "\n") if "\r" in text else text


def part_text(data: bytes, part: Part) -> str:
    """Text of a text part from its raw body, or from the beginning of it."""
    return decode_body(data, part.encoding, part.charset, is_html=part.subtype == "html")


def iter_text(content: Content, parts: Sequence[Part], max_octets: int) -> Iterator[str]:
    """Text of every text part in order, looking at no more than `max_octets` of the message in all."""
    left = max_octets
    for part in parts:
        if left <= 0:
            return
        if part.is_text:
            size = min(part.octets, left)
            left -= size
            yield part_text(content[part.body_start : part.body_start + size], part)
