"""DMARC (RFC 9989, successor of RFC 7489): does what passed SPF or DKIM belong to the domain in From, and what does its owner ask for.

The organisational domain is found by a walk up the DNS tree (RFC 9989 §4.10), or by the older rule, from a list of public suffixes
(RFC 7489 §3.2): then the author's domain and that one are asked and no others, and what records say of public suffixes is passed over.

Laws: at most MAX_QUERIES questions for each domain; a failed look-up of a policy is temperror, never "no policy"; any input ends in a
verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Final

import attrs

from shared.dns.answers import DnsFailure, DnsStatus
from shared.mailauth.dmarc_record import Disposition, DmarcRecord, PublicSuffix, parse_dmarc
from shared.mailauth.lookups import Evaluation, Question

MAX_QUERIES: Final = 8
"""RFC 9989 §4.10: of one walk."""


class DmarcResult(StrEnum):
    """RFC 9989 §5, RFC 8601 §2.7."""

    NONE = "none"
    PASS = "pass"  # noqa: S105  a result, no password
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@attrs.frozen
class DmarcVerdict:
    """``disposition``: what the owner asks for a failure, NONE where there is none. ``reason``: in words, for people."""

    result: DmarcResult
    domain: str
    disposition: Disposition
    reason: str


@attrs.frozen
class Identifiers:
    """What was authenticated: the domain of an SPF pass (empty without one), and the domains of valid DKIM signatures."""

    spf: str = ""
    dkim: tuple[str, ...] = ()


_Walk = list[tuple[str, DmarcRecord]]
Organisations = Callable[[str], str]
"""The organisational domain of a domain, from a list of public suffixes."""


class _TemporaryError(Exception):
    pass


def evaluate_dmarc(
    author_domain: str, found: Identifiers, listed: Organisations | None = None
) -> Evaluation[DmarcVerdict]:
    """The verdict for one domain of the From field (lower case, A-labels). Without ``listed`` by the tree walk."""
    try:
        if listed is None:
            walk = yield from _walk(author_domain)
            organisation = _organisation(author_domain, walk)
        else:
            organisation = listed(author_domain)
            walk = yield from _listed_records(author_domain, organisation)
        applied = _policy(author_domain, organisation, walk)
        if applied is None:
            return DmarcVerdict(
                DmarcResult.NONE, author_domain, Disposition.NONE, f"{author_domain} publishes no policy"
            )
        record, disposition = applied
        if disposition is None:
            disposition = yield from _inherited(author_domain, record)
        aligned = yield from _aligned(author_domain, organisation, record, found, listed)
    except _TemporaryError as error:
        return DmarcVerdict(DmarcResult.TEMPERROR, author_domain, Disposition.NONE, str(error))
    if aligned:
        return DmarcVerdict(DmarcResult.PASS, author_domain, disposition, f"{aligned} belongs to {author_domain}")
    return DmarcVerdict(
        DmarcResult.FAIL, author_domain, disposition, f"nothing that belongs to {author_domain} was authenticated"
    )


def _policy(author_domain: str, organisation: str, walk: _Walk) -> tuple[DmarcRecord, Disposition | None] | None:
    """RFC 9989 §4.10.1: the record that applies; the disposition None where it is that of a subdomain."""
    if not walk:
        return None
    name, record = walk[0]
    if name == author_domain:
        return record, _gentler(record.policy, record)
    for name, record in walk:
        if name == organisation:
            return record, None
    # RFC 9989 §4.10.1: else the record of the public suffix itself
    name, record = walk[-1]
    return (record, None) if record.psd is PublicSuffix.YES else None


def _inherited(author_domain: str, record: DmarcRecord) -> Evaluation[Disposition]:
    """np for a name that does not exist, else sp, else p (RFC 9989 §4.7)."""
    chosen = record.subdomain_policy or record.policy
    if record.nonexistent_policy is not None and record.nonexistent_policy is not chosen:
        reply = yield Question(author_domain, "A")
        if not isinstance(reply, DnsFailure) and reply.status is DnsStatus.NO_NAME:
            chosen = record.nonexistent_policy
    return _gentler(chosen, record)


def _gentler(disposition: Disposition, record: DmarcRecord) -> Disposition:
    """RFC 9989 §4.7, tag t."""
    if not record.testing:
        return disposition
    return Disposition.QUARANTINE if disposition is Disposition.REJECT else Disposition.NONE


def _aligned(
    author_domain: str, organisation: str, record: DmarcRecord, found: Identifiers, listed: Organisations | None
) -> Evaluation[str]:
    """What of that which was authenticated belongs to the author's domain, in words; empty: nothing (RFC 9989 §4.4)."""
    relaxed: list[tuple[str, str]] = []
    for kind, domain, strict in (
        *(("the DKIM signature of", domain, record.strict_dkim) for domain in found.dkim),
        *((("the SPF pass of", found.spf, record.strict_spf),) if found.spf else ()),
    ):
        if domain == author_domain:
            return f"{kind} {domain}"
        if not strict:
            relaxed.append((kind, domain))
    for kind, domain in relaxed:
        if not _may_share(domain, organisation):
            continue
        theirs = _organisation(domain, (yield from _walk(domain))) if listed is None else listed(domain)
        if theirs == organisation:
            return f"{kind} {domain}"
    return ""


def _may_share(domain: str, organisation: str) -> bool:
    """Only names at or below the organisational domain can have the same one: the others need no questions."""
    return domain == organisation or domain.endswith("." + organisation)


def _organisation(domain: str, walk: _Walk) -> str:
    """RFC 9989 §4.10.2."""
    for name, record in walk:
        if record.psd is PublicSuffix.NO:
            return name
        if record.psd is PublicSuffix.YES and name != domain:
            # one label below the public suffix, on the way to the domain
            below = domain[: -len(name) - 1].rpartition(".")[2]
            return f"{below}.{name}"
    return walk[-1][0] if walk else domain


def _walk(domain: str) -> Evaluation[_Walk]:
    """RFC 9989 §4.10: the records from the domain up, until one says that it is, or is not, a public suffix."""
    return _records(walk_names(domain), lambda record: record.psd is not PublicSuffix.UNKNOWN)


def _listed_records(author_domain: str, organisation: str) -> Evaluation[_Walk]:
    """RFC 7489 §6.6.3: of the domain, else of its organisational domain."""
    found = yield from _records(dict.fromkeys((author_domain, organisation)), lambda record: True)
    return [(name, attrs.evolve(record, psd=PublicSuffix.UNKNOWN)) for name, record in found]


def _records(names: Iterable[str], is_last: Callable[[DmarcRecord], bool]) -> Evaluation[_Walk]:
    found: _Walk = []
    for name in names:
        reply = yield Question(f"_dmarc.{name}", "TXT")
        if isinstance(reply, DnsFailure):
            raise _TemporaryError(f"the policy of {name} could not be asked for: {reply.reason}")
        records = [record for text in reply.records if (record := parse_dmarc(text)) is not None]
        # RFC 9989 §4.10: more than one is none
        if len(records) == 1:
            found.append((name, records[0]))
            if is_last(records[0]):
                break
    return found


def walk_names(domain: str) -> Sequence[str]:
    """The names that are asked, the longest first: of a long name only the last seven labels follow (RFC 9989 §4.10)."""
    labels = domain.split(".")
    names = [domain]
    rest = labels[1:] if len(labels) < MAX_QUERIES else labels[-(MAX_QUERIES - 1) :]
    while rest:
        names.append(".".join(rest))
        rest = rest[1:]
    return names[:MAX_QUERIES]
