"""An address field with octets above 127, written again in ASCII: names as encoded words, domains as A-labels.

Laws: an address whose local part is not ASCII, or whose domain has no A-labels, cannot be written: `Unconvertible` names it. Comments are
lost but for those that serve as names; groups and the order stay. Nothing else is raised.

RFC 5322 §3.4, RFC 2047 §5 (3), RFC 5890 §2.3.2.1.
"""

from __future__ import annotations

import re
from typing import Final

from shared.mail.address import GROUP_END, AddressEntry, parse_addresses
from shared.mail.charset import decode_unlabelled
from shared.mail.encoded_word import decode_words, encode_words
from shared.mail.limits import DEFAULT_LIMITS
from shared.mail.mailbox_name import domain_to_a_labels
from shared.mail.recode.goal import Fault, Unconvertible

_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_DOT_ATOM: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_SPECIAL: Final = re.compile(rb'(["\\])')
_DOMAIN_OCTETS: Final = 1000
"""More than any name in UTF-8 has."""
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]+")


def ascii_addresses(value: bytes, taken_octets: int) -> bytes:
    """The unfolded value in ASCII, one address a line. `taken_octets` stand on the first line already. Raises Unconvertible."""
    entries = parse_addresses(value, DEFAULT_LIMITS.addresses)
    if len(entries) >= DEFAULT_LIMITS.addresses:
        raise Unconvertible(Fault.TOO_COMPLEX)
    pieces: list[bytes] = []
    separator = b""
    for entry in entries:
        if entry == GROUP_END:
            pieces.append(b";")
            separator = b",\r\n "
        elif entry.host is None:
            pieces.append(separator + _phrase(entry.mailbox or b"", taken_octets) + b":")
            separator = b"\r\n "
        else:
            pieces.append(separator + _written(entry, taken_octets if not pieces else 1))
            separator = b",\r\n "
    return b"".join(pieces)


def _written(entry: AddressEntry, taken_octets: int) -> bytes:
    if not entry.mailbox and not entry.host:
        return _phrase(entry.name or b"", taken_octets)  # words without an address
    address = _local(entry) + (b"@" + _domain(entry) if entry.host else b"")
    if not entry.name:
        return address if entry.host else b"<" + address + b">"
    name = _phrase(entry.name, taken_octets)
    return name + (b"\r\n <" if b"\n" in name else b" <") + address + b">"


def _local(entry: AddressEntry) -> bytes:
    mailbox = _CONTROL.sub(b"", entry.mailbox or b"")
    if not mailbox.isascii():
        raise Unconvertible(Fault.ADDRESS, _shown(entry))
    return mailbox if _DOT_ATOM.fullmatch(mailbox) else b'"' + _SPECIAL.sub(rb"\\\1", mailbox) + b'"'


def _domain(entry: AddressEntry) -> bytes:
    host = _CONTROL.sub(b"", entry.host or b"")
    if host.isascii():
        return host
    try:
        if len(host) > _DOMAIN_OCTETS:
            raise ValueError
        return domain_to_a_labels(host.decode("utf-8")).encode("ascii")
    except ValueError:
        raise Unconvertible(Fault.ADDRESS, _shown(entry)) from None


def _shown(entry: AddressEntry) -> str:
    return decode_words((entry.mailbox or b"") + b"@" + (entry.host or b""))[:254]


def _phrase(name: bytes, taken_octets: int) -> bytes:
    if name.isascii() and b"=?" in name and _ATOMS.fullmatch(name.decode("ascii")):
        return name  # encoded words already
    text = decode_words(name) if b"=?" in name else decode_unlabelled(name)
    words = encode_words(text, taken_octets)
    if words.startswith(b"=?") or _ATOMS.fullmatch(words.decode("ascii")):
        return words
    return b'"' + _SPECIAL.sub(rb"\\\1", words) + b'"'
