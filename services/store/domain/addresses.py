"""Addresses and domains in the one form in which they are compared.

A domain is kept in lower-case A-labels (RFC 5890 §2.3.2.1). A local part is kept as RFC 8265 §3.3 keeps a user name: wide and narrow
forms become the usual ones, upper case becomes lower case, all in NFC; "ß" and "ss" stay two names, as do letters that only look
alike. Quotes are kept where they are needed and nowhere else. RFC 5321 §2.4 lets a server treat local parts as case-sensitive and
advises against making use of it.
"""

import re
import unicodedata
from typing import Final

from shared.mail.mailbox_name import domain_to_a_labels, quote_local, unquote_local

MAX_DOMAIN_OCTETS: Final = 255
MAX_LOCAL_OCTETS: Final = 64
MAX_CUTS: Final = 8
"""Places at which a local part is cut into user and detail, from the right: what is looked up for one address stays bounded."""
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_LITERAL: Final = re.compile(r"\[[0-9A-Za-z.:]{2,60}\]", re.ASCII)
_WIDTHS: Final = ("<wide>", "<narrow>")


class InvalidAddressError(ValueError):
    """Not an address, or not a domain name, that mail could be for."""


def normalize_domain(name: str) -> str:
    """A domain name in lower-case A-labels. Raises InvalidAddressError."""
    try:
        name = domain_to_a_labels(name.strip().rstrip("."))
    except ValueError:
        raise InvalidAddressError("not a domain name") from None
    # RFC 5321 §4.5.3.1.2
    if not name or len(name) > MAX_DOMAIN_OCTETS or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise InvalidAddressError("not a domain name")
    return name


def split_address(address: str) -> tuple[str, str]:
    """Local part and domain as they are compared; an address literal stays a literal. Raises InvalidAddressError."""
    local, at, domain = address.rpartition("@")
    if not at or not local:
        raise InvalidAddressError("not an address")
    return normalize_local(local), domain.lower() if _LITERAL.fullmatch(domain) else normalize_domain(domain)


def normalize_local(local: str) -> str:
    """A local part as it is compared. Raises InvalidAddressError."""
    try:
        text = unquote_local(local)
    except ValueError:
        raise InvalidAddressError("not a local part") from None
    if not text.isascii():
        text = unicodedata.normalize("NFC", "".join(map(_usual_width, text)))
    # lowering may take a letter apart, or leave it so that it can be put together
    text = unicodedata.normalize("NFC", text.lower())
    # RFC 5321 §4.5.3.1.1
    if not text or len(text.encode("utf-8", "replace")) > MAX_LOCAL_OCTETS:
        raise InvalidAddressError("not a local part")
    if any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 or 0xD800 <= ord(character) < 0xE000 for character in text):
        raise InvalidAddressError("control character in the local part")
    return quote_local(text)


# RFC 8265 §3.3.1: width mapping
def _usual_width(character: str) -> str:
    form, _, codepoint = unicodedata.decomposition(character).partition(" ")
    return chr(int(codepoint, 16)) if form in _WIDTHS else character


def normalize_address(address: str) -> str:
    """Raises InvalidAddressError."""
    local, domain = split_address(address)
    return f"{local}@{domain}"


def domain_of(address: str) -> str:
    """The domain of a normal address."""
    return address.rpartition("@")[2]


def candidates(address: str, separator: str) -> list[str]:
    """What to look up for a normal address, best first: itself, without its detail (RFC 5233), the domain's catch-all.

    The longest user wins: with "-" as separator, ``anne-marie-list`` is asked for as ``anne-marie``, then as ``anne``.
    """
    local, _, domain = address.rpartition("@")
    found = [address]
    if separator:
        text = unquote_local(local)
        end = len(text)
        for _ in range(MAX_CUTS):
            end = text.rfind(separator, 1, end)
            if end < 0:
                break
            found.append(f"{quote_local(text[:end])}@{domain}")
    found.append(f"@{domain}")
    return found
