"""Who claims to have written a message: the domains of its From field, as DMARC looks at them (RFC 9989 §5.1, RFC 7489 §6.6.1).

Decisions, so that no forged From passes as authenticated: a second From field, more than MAX_DOMAINS domains, or an address
without a usable domain make the authorship unusable (`fault` says why), and nothing can pass for it. Several addresses of several
domains are each looked at; the strictest verdict stands. Display names are never looked at: an address in one means nothing.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from shared.mail.address import parse_addresses
from shared.mail.header import get_all

MAX_DOMAINS: Final = 4
_MAX_ADDRESSES: Final = 100
_DOMAIN: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\Z")


@attrs.frozen
class Authors:
    """Domains in lower case as A-labels, each once; ``fault`` is empty where they can be relied on."""

    domains: tuple[str, ...]
    fault: str = ""


def read_authors(header: bytes) -> Authors:
    """Of a header block. Total."""
    values = get_all(header, 0, len(header), b"from")
    if not values:
        return Authors((), "there is no From field")
    if len(values) > 1:
        return Authors((), "there are several From fields")
    domains: dict[str, None] = {}
    for entry in parse_addresses(values[0], _MAX_ADDRESSES):
        if entry.mailbox is None or (entry.host is None):
            continue  # the marks of a group
        domain = to_a_labels(entry.host)
        if not domain:
            return Authors((), "an address in From has no usable domain")
        domains[domain] = None
    if not domains:
        return Authors((), "there is no address in From")
    if len(domains) > MAX_DOMAINS:
        return Authors((), "there are too many domains in From")
    return Authors(tuple(domains))


def to_a_labels(host: bytes) -> str:
    """A domain in lower case, its labels in ASCII; empty where it is none."""
    try:
        text = host.decode("utf-8").strip().removesuffix(".")
        if not text.isascii():
            text = text.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
    text = text.lower()
    return text if "." in text and len(text) <= 253 and _DOMAIN.match(text) else ""
