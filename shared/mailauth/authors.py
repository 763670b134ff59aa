"""Who claims to have written a message: the domains of its From field, as DMARC looks at them (RFC 9989 §5.1, RFC 7489 §6.6.1).

Decisions, so that no forged From passes as authenticated: a second From field, more than MAX_DOMAINS domains, or an address
without a usable domain is a fault, and nothing can pass for a From with a fault; the domains that can be used are given all
the same, and their owners' policies hold. Several addresses of several domains are each looked at; the strictest verdict
stands. Display names are never looked at: an address in one means nothing.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import attrs

from shared.mail.address import parse_addresses
from shared.mail.header import get_all
from shared.mail.mailbox_name import domain_to_a_labels

MAX_DOMAINS: Final = 4
_MAX_ADDRESSES: Final = 100
_DOMAIN: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\Z")


class AuthorFault(StrEnum):
    """Why nothing can pass for a From; the value is for people."""

    NONE = ""
    NO_FIELD = "there is no From field"
    SEVERAL_FIELDS = "there are several From fields"
    NO_ADDRESS = "there is no address in From"
    NO_DOMAIN = "an address in From has no usable domain"
    TOO_MANY = "there are too many domains in From"


@attrs.frozen
class Authors:
    """Domains in lower case as A-labels, each once, MAX_DOMAINS at the most."""

    domains: tuple[str, ...]
    fault: AuthorFault = AuthorFault.NONE


def read_authors(header: bytes) -> Authors:
    """Of a header block. Total."""
    values = get_all(header, 0, len(header), b"from")
    if not values:
        return Authors((), AuthorFault.NO_FIELD)
    fault = AuthorFault.SEVERAL_FIELDS if len(values) > 1 else AuthorFault.NONE
    domains: dict[str, None] = {}
    addresses = 0
    for value in values[:MAX_DOMAINS]:
        for entry in parse_addresses(value, _MAX_ADDRESSES):
            if entry.mailbox is None or entry.host is None:
                continue  # the marks of a group
            addresses += 1
            domain = to_a_labels(entry.host)
            if domain:
                domains[domain] = None
            else:
                fault = fault or AuthorFault.NO_DOMAIN
    if not addresses:
        fault = fault or AuthorFault.NO_ADDRESS
    if len(domains) > MAX_DOMAINS:
        fault = fault or AuthorFault.TOO_MANY
    return Authors(tuple(domains)[:MAX_DOMAINS], fault)


def to_a_labels(host: bytes) -> str:
    """A domain in lower case, its labels in ASCII; empty where it is none."""
    try:
        text = host.decode("utf-8").strip().removesuffix(".")
        text = domain_to_a_labels(text)
    except ValueError:
        return ""
    return text if "." in text and len(text) <= 253 and _DOMAIN.match(text) else ""
