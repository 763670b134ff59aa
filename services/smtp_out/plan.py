"""From DNS answers to the hosts to try, in order. Pure: answers and randomness are passed in.

Theory (RFC 5321 §5.1): MX records sorted by preference, those of one preference in random order; without MX records the
domain itself is the host (implicit MX); a null MX means no mail (RFC 7505 §3); our own host name among the records cuts
off itself and everything less preferred, so that mail never loops through us.

Laws
- Only answers that the zone stands by lead to a `Refusal` (permanent); DNS failures never come here.
- The number of hosts is bounded whatever the zone holds: a zone with thousands of MX records costs no more than 16.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Collection, Sequence

import attrs

from shared.dns.answers import DnsAnswer, DnsStatus, MxRecord

MAX_HOSTS = 16  # hosts of one domain that are tried; the largest senders list 5 to 10
MAX_ADDRESSES = 32  # addresses over all hosts of one attempt


@attrs.frozen
class Refusal:
    """Mail for this destination can never be delivered as things stand."""

    code: int
    enhanced: str
    text: str


@attrs.frozen
class Hosts:
    """Host names to try, in order. `literal`: the single entry is an IP address (RFC 5321 §4.1.3)."""

    names: tuple[str, ...]
    literal: bool = False


def plan_hosts(
    domain: str, answer: DnsAnswer, records: Sequence[MxRecord], own_names: Collection[str], rng: random.Random
) -> Hosts | Refusal:
    """The hosts for a domain by its MX answer. `own_names` are our host names, lower case."""
    if answer.status is DnsStatus.NO_NAME:
        # RFC 5321 §5.1, RFC 3463 §3.2 X.1.2
        return Refusal(550, "5.1.2", f"the domain {domain} does not exist")
    if not records:
        return Hosts((domain,))
    # RFC 7505 §3: one record with the root as its host; next to others it says nothing
    usable = [record for record in records if record.host]
    if not usable:
        return Refusal(556, "5.1.10", f"the domain {domain} accepts no mail (null MX)")
    own = [record.preference for record in usable if record.host in own_names]
    if own:
        # RFC 5321 §5.1: drop ourselves and everyone who is not more preferred
        usable = [record for record in usable if record.preference < min(own)]
        if not usable:
            return Refusal(
                554, "5.4.6", f"the mail exchanger of {domain} is this server, which does not know the domain"
            )
    return Hosts(_ordered(usable, rng)[:MAX_HOSTS])


def _ordered(records: Sequence[MxRecord], rng: random.Random) -> tuple[str, ...]:
    # RFC 5321 §5.1: equal preferences in random order, which spreads load
    keyed = sorted((record.preference, rng.random(), record.host) for record in records)
    return tuple(dict.fromkeys(host for _, _, host in keyed))


def plan_literal(domain: str) -> Hosts | Refusal | None:
    """An address literal as the destination ("[192.0.2.1]", "[IPv6:2001:db8::1]"); None for a domain name."""
    if not domain.startswith("["):
        return None
    inner = domain.strip("[]")
    text = inner[5:] if inner.lower().startswith("ipv6:") else inner
    try:
        return Hosts((str(ipaddress.ip_address(text)),), literal=True)
    except ValueError:
        return Refusal(501, "5.1.2", f"{domain} is not an address that mail can be sent to")


def refuse_address(address: str, allow_private: bool) -> str | None:
    """Why an address is never dialled, in words; None when it may be.

    0.0.0.0, :: and multicast never; loopback, link-local and private ranges only with `allow_private`: a stranger's MX
    record must not make us talk to the machines at home (RFC 6890 lists the ranges).
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "is not an IP address"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_unspecified:
        return "is the unspecified address"
    if ip.is_multicast:
        return "is a multicast address"
    if str(ip) == "255.255.255.255":
        return "is the broadcast address"
    if allow_private or ip.is_global:
        return None
    return "is in a loopback, private or reserved range"
