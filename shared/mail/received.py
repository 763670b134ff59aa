"""The Received field that we put on top of a message, and counting those that are there. RFC 5321 §4.4, RFC 3848, RFC 6531 §4.3.

What the client said (its HELO name) and what DNS said of it are other people's words: nothing in them can end the field, begin a
comment or pass for another clause.
"""

import re
from typing import Final

from shared.mail.content import Buffer, as_content
from shared.mail.date import format_date
from shared.mail.header import header_end

_UNSAFE: Final = re.compile(r"[^!#-'*+\--:=?-\[\]-~\x80-\U0010ffff]")
_CONTROL: Final = re.compile("[\x00-\x20\x7f-\xa0]")
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_RECEIVED: Final = re.compile(rb"^received[ \t]*+:", re.IGNORECASE | re.MULTILINE)
_MAX_OCTETS: Final = 255
"""Of a name (RFC 1035 §2.3.4), so that no line comes near 998 octets."""


def protocol_name(*, esmtp: bool, tls: bool, authenticated: bool, smtputf8: bool = False, lmtp: bool = False) -> str:
    """The word after "with" (RFC 3848, RFC 6531 §4.3): SMTP, ESMTP, ESMTPS, ESMTPSA, UTF8SMTP, LMTP, ..."""
    if lmtp:
        return "UTF8LMTP" if smtputf8 else "LMTP"
    if not esmtp:
        return "SMTP"
    return ("UTF8SMTP" if smtputf8 else "ESMTP") + ("S" if tls else "") + ("A" if authenticated else "")


def build_received(
    *,
    helo: str,
    reverse_name: str,
    client_ip: str,
    by: str,
    protocol: str,
    trace: str,
    seconds: int,
    offset_minutes: int = 0,
    recipient: str = "",
    tls: str = "",
) -> bytes:
    """One folded Received field with its CRLF.

    `client_ip`: empty for a program of this machine. `reverse_name`: the client's name by DNS, empty where unknown. `recipient`:
    only where the transaction has one (RFC 5321 §7.6), empty otherwise; an address that is not ASCII is left out unless the protocol's
    name begins with UTF8. `tls`: version and cipher for a comment. `seconds` since 1970.
    """
    utf8 = protocol.startswith("UTF8")
    literal = f"[IPv6:{client_ip}]" if ":" in client_ip else f"[{client_ip}]"
    host = f"{_word(reverse_name, utf8=False)} {_word(literal, utf8=False)}" if client_ip else "local"
    lines = [
        f"Received: from {_word(helo, utf8=utf8)} ({host})",
        *([f"(using {_comment(tls)})"] if tls else []),
        f"by {_word(by, utf8=utf8)} with {_word(protocol, utf8=False)} id {_word(trace, utf8=False)}",
    ]
    if recipient and (utf8 or recipient.isascii()) and len(recipient.encode("utf-8", "replace")) <= 2 * _MAX_OCTETS:
        address = _CONTROL.sub("", recipient).replace("<", "").replace(">", "")
        lines.append(f"for <{address}>")
    text = "\r\n\t".join(lines) + ";\r\n\t" + format_date(seconds, offset_minutes) + "\r\n"
    return text.encode("utf-8", "replace")


def count_received(content: Buffer) -> int:
    """Received fields in the header, for the loop limit (RFC 5321 §6.3)."""
    data = as_content(content)
    return len(_RECEIVED.findall(data[: header_end(data, 0, len(data))]))


def _word(text: str, *, utf8: bool) -> str:
    cleaned = _UNSAFE.sub("?", text.encode("utf-8", "replace")[:_MAX_OCTETS].decode("utf-8", "ignore"))
    return (cleaned if utf8 else _NOT_ASCII.sub("?", cleaned)) or "unknown"


def _comment(text: str) -> str:
    return re.sub(r"[^ -'*-\[\]-~]", "?", text[:_MAX_OCTETS])
