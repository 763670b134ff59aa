"""Addresses and domains in the one form in which they are compared.

A domain is kept in lower-case A-labels (RFC 5890 §2.3.2.1) and a local part in NFC and lower case: RFC 5321 §2.4 lets a
server treat local parts as case-sensitive and advises against making use of it.
"""

import re
import unicodedata
from typing import Final

MAX_DOMAIN_OCTETS: Final = 255
MAX_LOCAL_OCTETS: Final = 64
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_LITERAL: Final = re.compile(r"\[[0-9A-Za-z.:]{2,60}\]", re.ASCII)


class InvalidAddressError(ValueError):
    """Not an address, or not a domain name, that mail could be for."""


def normalize_domain(name: str) -> str:
    """A domain name in lower-case A-labels. Raises InvalidAddressError."""
    name = unicodedata.normalize("NFC", name.strip().rstrip(".")).lower()
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii").lower()
        except UnicodeError:
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
    """A local part as it is compared; quotes that it does not need are taken off. Raises InvalidAddressError."""
    # RFC 5321 §4.1.2: a quoted string that needs no quotes is the same mailbox without them
    if len(local) >= 2 and local[0] == local[-1] == '"':
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    local = unicodedata.normalize("NFC", local).lower()
    # RFC 5321 §4.5.3.1.1
    if not local or len(local.encode("utf-8", "replace")) > MAX_LOCAL_OCTETS:
        raise InvalidAddressError("not a local part")
    if any(ord(character) < 32 or character == "\x7f" for character in local):
        raise InvalidAddressError("control character in the local part")
    return local


def normalize_address(address: str) -> str:
    """Raises InvalidAddressError."""
    local, domain = split_address(address)
    return f"{local}@{domain}"


def domain_of(address: str) -> str:
    """The domain of a normal address."""
    return address.rpartition("@")[2]


def candidates(address: str, separator: str) -> list[str]:
    """What to look up for a normal address, best first: itself, without its detail (RFC 5233), the domain's catch-all."""
    local, _, domain = address.rpartition("@")
    found = [address]
    if separator and separator in local[1:]:
        found.append(f"{local[: local.index(separator, 1)]}@{domain}")
    found.append(f"@{domain}")
    return found
