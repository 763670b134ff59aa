"""What is counted: a session, the policy that it was under, and how it failed. Pure."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Iterable

import attrs

from services.smtp_out.dane.judge import Dane
from services.smtp_out.mta_sts.policy import Mode, Policy

MAX_STRINGS = 32  # of a policy, that are told
MAX_STRING = 500  # characters
DAY_SECONDS = 86_400
TRACE_PREFIX = "tlsrpt-"  # of our reports' own traces; "l" is in no other (`shared.observe.trace`)


class PolicyType(enum.StrEnum):
    """RFC 8460 §4.2."""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


class Failure(enum.StrEnum):
    """RFC 8460 §4.3."""

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    CERTIFICATE_HOST_MISMATCH = "certificate-host-mismatch"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION_FAILURE = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    STS_FETCH_ERROR = "sts-policy-fetch-error"
    STS_POLICY_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"


@attrs.frozen
class Applied:
    """The policy that a session was under: its type, its text line by line, the hosts that it is about."""

    type: PolicyType = PolicyType.NONE
    strings: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


@attrs.frozen
class Seen:
    """One session, or one that did not come about. `host` and `address` where it failed."""

    domain: str
    policy: Applied
    failure: Failure | None = None
    host: str = ""
    address: str = ""


Note = Callable[[Seen], None]


def note_nothing(seen: Seen) -> None:
    """Where no reports are sent."""


def applied(policy: Policy | None, host: str, dane: Dane | None) -> Applied:
    """What holds for a host: its TLSA records, or else the domain's MTA-STS policy."""
    if dane is not None:
        return Applied(PolicyType.TLSA, _cut(record.text for record in dane.records), (host,))
    if policy is None or policy.mode is Mode.NONE:
        return Applied()
    head = ("version: STSv1", f"mode: {policy.mode.value}")
    lines = (*head, *(f"mx: {one}" for one in policy.patterns[: MAX_STRINGS - 3]), f"max_age: {policy.max_age_seconds}")
    return Applied(PolicyType.STS, _cut(lines), policy.patterns[:MAX_STRINGS])


def failure_by_words(why: str) -> Failure:
    """What a certificate failed by, from the words of who verified it."""
    words = why.lower()
    if "no tlsa record" in words:
        return Failure.VALIDATION_FAILURE
    if "mismatch" in words or "subjectaltname" in words:
        return Failure.CERTIFICATE_HOST_MISMATCH
    if "expired" in words or "not valid at" in words:
        return Failure.CERTIFICATE_EXPIRED
    return Failure.CERTIFICATE_NOT_TRUSTED


def policy_failure_by_words(why: str) -> Failure:
    """Why an MTA-STS policy is not known, from the words of who fetched it."""
    if "certificate not accepted" in why:
        return Failure.STS_WEBPKI_INVALID
    return Failure.STS_POLICY_INVALID if "is no policy" in why else Failure.STS_FETCH_ERROR


def _cut(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(text[:MAX_STRING] for text in itertools.islice(texts, MAX_STRINGS))
