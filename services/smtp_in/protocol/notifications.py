"""The parameters of MAIL and RCPT that ask for delivery status notifications. Pure.

Laws: a value that is not exactly of its grammar is refused with 501; a valid one never changes what is answered (RFC 3461 §5.1).
ENVID and ORCPT are kept as they came: a relay passes them on unchanged.

RFC 3461 §4, §5.4 (limits), RFC 6533 §3.
"""

from __future__ import annotations

from shared.mail.xtext import decode_orcpt, decode_xtext
from shared.model.notify import Notify

# RFC 3461 §5.4
MAX_ENVID_CHARACTERS = 100
MAX_ORCPT_CHARACTERS = 500

_NOTIFY = {flag.name: flag for flag in Notify if flag is not Notify.NEVER}
_RET = ("FULL", "HDRS")


def parse_notify(value: bytes | None) -> int | None:
    """RFC 3461 §4.1: NEVER alone, or a list of SUCCESS, FAILURE and DELAY; None where it is neither."""
    words = (value or b"").decode("ascii", "replace").upper().split(",")
    if words == ["NEVER"]:
        return int(Notify.NEVER)
    notify = 0
    for word in words:
        if word not in _NOTIFY:
            return None
        notify |= _NOTIFY[word]
    return int(notify)


def parse_orcpt(value: bytes | None, *, smtputf8: bool) -> str | None:
    """RFC 3461 §4.2: type and address as they came; None where they are malformed. UTF-8 needs SMTPUTF8 (RFC 6533 §3)."""
    try:
        text = (value or b"").decode()
        decode_orcpt(text)
    except ValueError:  # UnicodeDecodeError is one
        return None
    if len(text) > MAX_ORCPT_CHARACTERS or not (smtputf8 or text.isascii()):
        return None
    return text


def parse_envid(value: bytes | None) -> str | None:
    """RFC 3461 §4.4: the identifier as it came; None where it is none."""
    text = (value or b"").decode("ascii", "replace")
    try:
        decode_xtext(text)
    except ValueError:
        return None
    return text if 0 < len(text) <= MAX_ENVID_CHARACTERS else None


def parse_ret(value: bytes | None) -> str | None:
    """RFC 3461 §4.3, in upper case; None where it is neither of the two."""
    word = (value or b"").decode("ascii", "replace").upper()
    return word if word in _RET else None
