"""Whether the client's address has a name that leads back to it: "iprev" (RFC 8601 §3). Bounded: the first MAX_NAMES names."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import attrs

from shared.dns.answers import DnsFailure
from shared.mailauth.lookups import Evaluation, Question

MAX_NAMES: Final = 5


class IprevResult(StrEnum):
    """RFC 8601 §2.7.3."""

    PASS = "pass"  # noqa: S105  a result, no password
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@attrs.frozen
class IprevVerdict:
    """``name``: the confirmed one, empty without."""

    result: IprevResult
    name: str
    reason: str


def check_iprev(ip: IPv4Address | IPv6Address) -> Evaluation[IprevVerdict]:
    """The verdict on an address."""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    reply = yield Question(ip.reverse_pointer, "PTR")
    if isinstance(reply, DnsFailure):
        return IprevVerdict(IprevResult.TEMPERROR, "", f"its name could not be asked for: {reply.reason}")
    if not reply.records:
        return IprevVerdict(IprevResult.PERMERROR, "", "the address has no name")
    failed = False
    for name in reply.records[:MAX_NAMES]:
        answer = yield Question(name, "A" if ip.version == 4 else "AAAA")
        if isinstance(answer, DnsFailure):
            failed = True
            continue
        if any(_is(text, ip) for text in answer.records):
            return IprevVerdict(IprevResult.PASS, name, name)
    if failed:
        return IprevVerdict(IprevResult.TEMPERROR, "", "its name could not be confirmed now")
    return IprevVerdict(IprevResult.FAIL, "", f"{reply.records[0]} does not lead back to it")


def _is(text: str, ip: IPv4Address | IPv6Address) -> bool:
    try:
        return ip_address(text) == ip
    except ValueError:
        return False
