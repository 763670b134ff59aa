"""What a DNS look-up yields: an answer that the zone stands by, or a failure that says nothing about the zone.

Law: only `DnsAnswer` may lead to a permanent decision (NXDOMAIN, no such records, null MX). `DnsFailure` is always
temporary: a timeout, SERVFAIL, a broken packet. Mixing the two up bounces good mail during an outage.
"""

from __future__ import annotations

import enum

import attrs


class DnsStatus(enum.Enum):
    """RFC 2308 §2: what a positive or negative answer says."""

    FOUND = "found"
    NO_DATA = "no data"  # the name exists, without records of this type
    NO_NAME = "no such name"  # NXDOMAIN


@attrs.frozen
class DnsAnswer:
    """One answer. `records` are in presentation format, one per record, empty unless FOUND; names end without a dot
    (the root is the empty string); MX records are "preference host". `ttl_seconds` is how long it may be kept."""

    name: str
    rdtype: str
    status: DnsStatus
    records: tuple[str, ...]
    canonical_name: str
    ttl_seconds: int
    authenticated: bool = False  # the resolver set AD (RFC 4035 §3.2.3); worth something only from a trusted resolver


@attrs.frozen
class MxRecord:
    """RFC 1035 §3.3.9. `host` is lower case without the final dot; empty for a null MX (RFC 7505)."""

    preference: int
    host: str


class DnsFailure(Exception):
    """No resolver gave a usable answer; try again later. `reason` is safe to show to a person."""

    def __init__(self, name: str, rdtype: str, reason: str) -> None:
        super().__init__(f"DNS look-up of {name} ({rdtype}) failed: {reason}")
        self.name = name
        self.rdtype = rdtype
        self.reason = reason


def parse_mx(answer: DnsAnswer) -> tuple[MxRecord, ...]:
    """The MX records of an MX answer, in the answer's order; a record that is not "number host" is left out."""
    found = []
    for text in answer.records:
        preference, _, host = text.partition(" ")
        if preference.isdigit():
            found.append(MxRecord(int(preference), host))
    return tuple(found)
