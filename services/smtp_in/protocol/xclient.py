"""XCLIENT: a trusted front end says for whom it speaks. The command's arguments become an `XClient`, or `Refused`.

Laws:
- An address is needed, given or kept from an earlier XCLIENT of the connection: who will not name the client's would lend it
  its own, which is trusted.
- LOGIN is never believed: an account is entered with its password only. Told that there is none ([UNAVAILABLE]) we agree.
- NAME, REVERSE_NAME, PORT, DESTADDR and DESTPORT are checked and change nothing: names are asked of the DNS here.

Source: Postfix, XCLIENT_README: attribute=value, values in xtext (RFC 3461 §4), [UNAVAILABLE] and [TEMPUNAVAIL] for what is not known.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from attrs import frozen

from services.smtp_in.protocol import grammar, replies
from services.smtp_in.protocol.parse import Refused
from shared.wire.proxy import plain_address

OFFER: Final = "XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT REVERSE_NAME"
"""As EHLO has it."""

_NAMES: Final = frozenset(OFFER.split()[1:]) | {"LOGIN"}
_UNKNOWN: Final = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_HEX: Final = re.compile(rb"\+([0-9A-F]{2})")
_PORT: Final = re.compile("[0-9]{1,5}")
_IPV6: Final = "IPV6:"
_PROTOCOLS: Final = {"SMTP": False, "ESMTP": True}


@frozen
class XClient:
    """What is announced; None: not said, or not known."""

    ip: str | None = None
    helo: str | None = None
    esmtp: bool | None = None


def parse_xclient(argument: bytes) -> XClient:
    """The argument of XCLIENT. Raises Refused."""
    values: dict[str, str] = {}
    for word in argument.split():
        keyword, equals, text = word.partition(b"=")
        attribute = keyword.decode("ascii", "replace").upper()
        if not equals or attribute not in _NAMES or attribute in values or not grammar.is_xtext(text):
            raise Refused(replies.BAD_XCLIENT)
        values[attribute] = _decode(text)
    if not values:
        raise Refused(replies.NEEDS_ARGUMENT)
    if values.get("LOGIN", "[UNAVAILABLE]").upper() not in _UNKNOWN:
        raise Refused(replies.XCLIENT_LOGIN)
    known = {name: value for name, value in values.items() if value.upper() not in _UNKNOWN}
    if "ADDR" in values and "ADDR" not in known:
        raise Refused(replies.XCLIENT_NEEDS_ADDRESS)
    for name in ("PORT", "DESTPORT"):
        if name in known and not (_PORT.fullmatch(known[name]) and int(known[name]) <= 65535):
            raise Refused(replies.BAD_XCLIENT)
    for name in ("NAME", "REVERSE_NAME", "HELO"):
        if name in known and not grammar.is_host_like(known[name].encode()):
            raise Refused(replies.BAD_XCLIENT)
    if "DESTADDR" in known:
        _address(known["DESTADDR"])
    return XClient(
        ip=_address(known["ADDR"]) if "ADDR" in known else None, helo=known.get("HELO"), esmtp=_esmtp(known.get("PROTO"))
    )


def _decode(text: bytes) -> str:
    raw = _HEX.sub(lambda match: bytes([int(match[1], 16)]), text)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Refused(replies.BAD_XCLIENT) from None


def _address(text: str) -> str:
    """An IPv4 address, or one of IPv6 behind "IPV6:" (which some leave out); as we write it."""
    plain = text[len(_IPV6) :] if text.upper().startswith(_IPV6) else text
    try:
        if "%" in plain:
            raise ValueError(plain)
        return plain_address(ipaddress.ip_address(plain))
    except ValueError:
        raise Refused(replies.BAD_XCLIENT) from None


def _esmtp(protocol: str | None) -> bool | None:
    if protocol is None:
        return None
    try:
        return _PROTOCOLS[protocol.upper()]
    except KeyError:
        raise Refused(replies.BAD_XCLIENT) from None
