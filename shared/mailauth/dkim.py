"""DKIM signatures checked (RFC 6376, RFC 8301, RFC 8463) and the ARC chain (RFC 8617), by dkimpy with DNS answers that were fetched before.

    names = key_names(header)           # what must be asked
    ... answers ...
    verdicts = check_signatures(message, answers)

Decisions: at most MAX_SIGNATURES are looked at, the first ones; rsa-sha1 and keys below 1024 bits do not count (RFC 8301 §3); a signature
that covers the body only in part (l=) does not count, whatever follows could be anybody's (RFC 6376 §8.2); a From that is not
covered makes a signature invalid. A look-up that failed is temperror.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import attrs
import dkim

from shared.dns.answers import DnsFailure
from shared.mail.header import iter_fields
from shared.mailauth.lookups import Question, Reply

MAX_SIGNATURES: Final = 8
MAX_KEY_CHARACTERS: Final = 800
"""Of a key's p=: RSA with 4096 bits takes 736. The time of a check grows with modulus and exponent, and both are the sender's to choose."""
MAX_ARC_SETS: Final = 20
"""Beyond that the chain is not checked (RFC 8617 §5.1.1 allows 50)."""
_FIELDS: Final = {b"dkim-signature": MAX_SIGNATURES, b"arc-message-signature": MAX_ARC_SETS, b"arc-seal": MAX_ARC_SETS}
_SPACE: Final = re.compile(rb"[ \t\r\n]+")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62}))*\Z")
_SILENT: Final = logging.getLogger(__name__)
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
_ALGORITHMS: Final = frozenset({"rsa-sha256", "ed25519-sha256"})

Answers = Mapping[Question, Reply]


class DkimResult(StrEnum):
    """RFC 8601 §2.7.1."""

    NONE = "none"
    PASS = "pass"  # noqa: S105  a result, no password
    FAIL = "fail"
    POLICY = "policy"
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@attrs.frozen
class DkimVerdict:
    """One signature. ``signature``: the first characters of its b=, to tell it from others (RFC 6008)."""

    result: DkimResult
    domain: str
    selector: str
    algorithm: str
    signature: str
    reason: str


class ArcResult(StrEnum):
    """RFC 8601 §2.7 with RFC 8617 §10.1."""

    NONE = "none"
    PASS = "pass"  # noqa: S105  a result, no password
    FAIL = "fail"
    TEMPERROR = "temperror"


@attrs.frozen
class ArcVerdict:
    """The chain as a whole; ``domain``: who sealed last."""

    result: ArcResult
    domain: str = ""
    reason: str = ""


class _LargeKeyError(Exception):
    """A key whose check would take too long."""


class _NoAnswerError(Exception):
    """A key that could not be asked for."""


@attrs.frozen
class _Signature:
    field: bytes
    tags: Mapping[str, str]

    @property
    def question(self) -> Question | None:
        domain, selector = self.tags.get("d", ""), self.tags.get("s", "")
        name = f"{selector}._domainkey.{domain}"
        return Question(name.lower(), "TXT") if _DOMAIN.match(name) and len(name) <= 253 else None


def _tags(value: bytes) -> dict[str, str]:
    """tag=value; tag=value (RFC 6376 §3.2), without white space."""
    pairs = (part.split(b"=", 1) for part in _SPACE.sub(b"", value).split(b";") if b"=" in part)
    return {name.decode("latin-1"): rest.decode("latin-1") for name, rest in pairs}


def _signatures(header: bytes) -> list[_Signature]:
    found: list[_Signature] = []
    counts: dict[bytes, int] = {}
    for field in iter_fields(header, 0, len(header)):
        most = _FIELDS.get(field.name)
        if most is not None and counts.get(field.name, 0) < most:
            counts[field.name] = counts.get(field.name, 0) + 1
            found.append(_Signature(field.name, _tags(field.value)))
    return found


def key_names(header: bytes) -> list[Question]:
    """The keys that must be asked for, each once."""
    questions = (signature.question for signature in _signatures(header))
    return list(dict.fromkeys(question for question in questions if question is not None))


class _KeySource:
    """What dkimpy calls for a key."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def __call__(self, name: bytes, timeout: int = 0) -> bytes | None:
        del timeout
        reply = self._answers.get(Question(name.decode("latin-1").rstrip(".").lower(), "TXT"))
        if reply is None:
            return None
        if isinstance(reply, DnsFailure):
            raise _NoAnswerError(reply.reason)
        if not reply.records:
            return None
        if any(len(value) > MAX_KEY_CHARACTERS for name, value in _tags(reply.records[0].encode()).items() if name == "p"):
            raise _LargeKeyError
        return reply.records[0].encode("utf-8")


def check_signatures(header: bytes, message: bytes, answers: Answers) -> tuple[DkimVerdict, ...]:
    """The verdict on each of the first signatures, in their order. ``message`` begins with ``header``. CPU: about 1 ms each."""
    verdicts = []
    own = [signature for signature in _signatures(header) if signature.field == b"dkim-signature"]
    for index, signature in enumerate(own):
        result, reason = _check(message, index, signature, answers)
        tags = signature.tags
        verdicts.append(
            DkimVerdict(
                result,
                tags.get("d", "").lower(),
                tags.get("s", ""),
                tags.get("a", ""),
                tags.get("b", "")[:8],
                reason,
            )
        )
    return tuple(verdicts)


def _check(message: bytes, index: int, signature: _Signature, answers: Answers) -> tuple[DkimResult, str]:
    if signature.question is None:
        return DkimResult.PERMERROR, "the signature names no usable key"
    if signature.tags.get("a", "").lower() not in _ALGORITHMS:
        # RFC 8301 §3.1: rsa-sha1 must not be used
        return DkimResult.POLICY, "its algorithm is not accepted"
    if "l" in signature.tags:
        return DkimResult.POLICY, "it covers only a part of the body"
    try:
        verifier = dkim.DKIM(message, logger=_SILENT)
        if verifier.verify(idx=index, dnsfunc=_KeySource(answers)):
            return DkimResult.PASS, f"{verifier.keysize} bit key"
    except _NoAnswerError as error:
        return DkimResult.TEMPERROR, f"its key could not be asked for: {error}"
    except _LargeKeyError:
        return DkimResult.PERMERROR, "its key is larger than 4096 bits"
    except dkim.DKIMException as error:
        if str(error).startswith("body hash mismatch"):
            return DkimResult.FAIL, "the body was changed"
        return DkimResult.PERMERROR, str(error)
    except Exception as error:
        return DkimResult.PERMERROR, type(error).__name__
    reply = answers.get(signature.question)
    if reply is None or isinstance(reply, DnsFailure) or not reply.records:
        return DkimResult.PERMERROR, "it has no key in the DNS"
    return DkimResult.FAIL, "the header was changed, or somebody else signed it"


def check_arc(header: bytes, message: bytes, answers: Answers) -> ArcVerdict:
    """The verdict on the ARC chain."""
    seals = [signature for signature in _signatures(header) if signature.field == b"arc-seal"]
    if not seals:
        return ArcVerdict(ArcResult.NONE)
    last = max(seals, key=lambda seal: int(seal.tags.get("i", "0")) if seal.tags.get("i", "0").isdigit() else 0)
    domain = last.tags.get("d", "").lower()
    try:
        result, _, reason = dkim.ARC(message, logger=_SILENT).verify(dnsfunc=_KeySource(answers))
    except _NoAnswerError as error:
        return ArcVerdict(ArcResult.TEMPERROR, domain, f"a key could not be asked for: {error}")
    except Exception as error:
        return ArcVerdict(ArcResult.FAIL, domain, type(error).__name__)
    if result == dkim.CV_Pass:
        return ArcVerdict(ArcResult.PASS, domain, f"{len(seals)} seals")
    return ArcVerdict(ArcResult.FAIL, domain, str(reason))
