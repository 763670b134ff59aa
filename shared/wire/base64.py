"""Strict base64 (RFC 4648 §4) with a bound, as the SASL profiles of SMTP, IMAP and POP3 ask for it.

Laws: no character outside the alphabet, full padding, nothing behind the padding; no octet is allocated for a text
that is too long. What can fail: `InvalidBase64`, whose text never repeats what was decoded (it may be a password).
"""

from __future__ import annotations

import binascii


class InvalidBase64(Exception):
    """Not base64, or longer than the bound. Carries no part of the input."""


def decode(text: bytes, max_octets: int) -> bytes:
    """The octets that `text` stands for, at most `max_octets`. Raises InvalidBase64."""
    if len(text) > (max_octets + 2) // 3 * 4:
        raise InvalidBase64("base64 text is too long")
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise InvalidBase64("not base64") from None
    if len(data) > max_octets:
        raise InvalidBase64("base64 text is too long")
    return data


def encode(data: bytes) -> bytes:
    """`data` as one base64 line without a line end."""
    return binascii.b2a_base64(data, newline=False)
