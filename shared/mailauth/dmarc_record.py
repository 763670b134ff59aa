"""A DMARC policy record's text (RFC 9989 §4.7; RFC 7489 §6.4 for what is still published). `parse_dmarc` is total."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import attrs

MAX_RECORD_CHARACTERS: Final = 4096
_VERSION: Final = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_TAG: Final = re.compile(r"[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*([^;]*?)[ \t]*\Z")


class Disposition(StrEnum):
    """What the domain's owner asks for (RFC 9989 §4.7, tags p, sp and np)."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


class PublicSuffix(StrEnum):
    """The psd tag: whether the domain is a public suffix."""

    YES = "y"
    NO = "n"
    UNKNOWN = "u"


@attrs.frozen
class DmarcRecord:
    """One record. ``testing``: the owner asks that failures are treated one level more gently."""

    policy: Disposition
    subdomain_policy: Disposition | None = None
    nonexistent_policy: Disposition | None = None
    strict_dkim: bool = False
    strict_spf: bool = False
    testing: bool = False
    psd: PublicSuffix = PublicSuffix.UNKNOWN


def parse_dmarc(text: str) -> DmarcRecord | None:
    """A record, or None for a text that is none: the wrong version, or no usable policy and no report address."""
    if len(text) > MAX_RECORD_CHARACTERS or not _VERSION.match(text):
        return None
    tags: dict[str, str] = {}
    for part in text.split(";"):
        match = _TAG.match(part)
        if match is not None:
            tags.setdefault(match.group(1).lower(), match.group(2))
    policy = _disposition(tags.get("p"))
    if policy is None:
        # RFC 9989 §4.7: without a valid p a record counts as p=none where it asks for reports
        if "rua" not in tags and "psd" not in tags:
            return None
        policy = Disposition.NONE
    try:
        psd = PublicSuffix(tags.get("psd", "u").lower())
    except ValueError:
        psd = PublicSuffix.UNKNOWN
    return DmarcRecord(
        policy,
        _disposition(tags.get("sp")),
        _disposition(tags.get("np")),
        tags.get("adkim", "r").lower() == "s",
        tags.get("aspf", "r").lower() == "s",
        # RFC 9989 §A.6: pct went; its 0 was how owners said "testing"
        tags.get("t", "n").lower() == "y" or tags.get("pct") == "0",
        psd,
    )


def _disposition(value: str | None) -> Disposition | None:
    try:
        return None if value is None else Disposition(value.lower())
    except ValueError:
        return None
