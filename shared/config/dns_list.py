"""A DNS list of addresses as the settings name it: `zone`, or `zone=127.0.0.2-11` where only these answers count. RFC 5782."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import attrs

_ENTRY: Final = re.compile(
    r"(?P<zone>(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z0-9-]{1,63})\.?"
    r"(?:=(?P<first>127\.\d{1,3}\.\d{1,3}\.\d{1,3})(?:-(?P<last>\d{1,3}))?)?"
)
_ZONE_OCTETS: Final = 180
"""The reversed IPv6 address in front takes 64, of at most 253."""

# RFC 5782 §2.1: an entry has an A record in 127.0.0.0/8; anything else is somebody who took the zone's name over.
_LOWEST: Final = int(ipaddress.IPv4Address("127.0.0.2"))
_HIGHEST: Final = int(ipaddress.IPv4Address("127.255.255.255"))


@attrs.frozen
class DnsList:
    """The answers from `first` to `last` (IPv4 addresses as numbers) are entries of it."""

    zone: str
    first: int = _LOWEST
    last: int = _HIGHEST


def parse_dns_list(text: str) -> DnsList:
    """Raises ValueError for what is neither `zone` nor `zone=first-last`."""
    match = _ENTRY.fullmatch(text)
    if match is None or len(match["zone"]) > _ZONE_OCTETS:
        raise ValueError(f"not a DNS list: {text!r}")
    zone = match["zone"].lower()
    if match["first"] is None:
        return DnsList(zone)
    first = ipaddress.IPv4Address(match["first"])  # AddressValueError is a ValueError
    last = int(first) if match["last"] is None else int(first) - first.packed[3] + int(match["last"])
    if not int(first) <= last <= int(first) | 255:
        raise ValueError(f"not a range: {text!r}")
    return DnsList(zone, int(first), last)
