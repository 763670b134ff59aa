"""The TXT record and the policy of MTA-STS: parsed, and matched against MX hosts. Pure and total.

Laws
- What does not follow the grammar is None: the domain is then as one without a policy, never one with half of it.
- Unknown fields are passed over; of a field that comes twice (but mx) the first counts. RFC 8461 §3.1, §3.2.
- Bounded: a policy of more than MAX_OCTETS, or with more than MAX_PATTERNS mx lines, is no policy.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence

import attrs

MAX_OCTETS = 64 * 1024  # RFC 8461 §3.3 suggests it
MAX_PATTERNS = 100  # the largest hosters list about 20
MAX_AGE_SECONDS = 31_557_600  # RFC 8461 §3.2: at most a year; more is cut to it

# sts-version = %s"v=STSv1"; sts-field-delim = *WSP ";" *WSP                          RFC 8461 §3.1
_RECORD = re.compile(r"v=STSv1[ \t]*;")
_DELIMITER = re.compile(r"[ \t]*;[ \t]*")
# sts-id = %s"id=" 1*32(ALPHA / DIGIT)
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
# sts-extension = sts-ext-name "=" sts-ext-value
_EXTENSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+")

# sts-policy-ext-name = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / "."); field-delim = ":" *WSP    RFC 8461 §3.2
_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*(.*?)[ \t]*")
# sts-policy-max-age = 1*10(DIGIT)
_MAX_AGE = re.compile(r"[0-9]{1,10}")
# sts-policy-mx = ["*."] Domain; an internationalized name stands there in its A-labels
_PATTERN = re.compile(r"(?:\*\.)?(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}")
_MAX_NAME = 253 + 2


class Mode(enum.Enum):
    """RFC 8461 §3.2, §5."""

    ENFORCE = "enforce"  # no mail to a host that does not match or whose certificate does not verify
    TESTING = "testing"  # delivered all the same; what would have failed is written down
    NONE = "none"  # as without a policy


@attrs.frozen
class Policy:
    """A policy. `patterns` are lower case, empty only with NONE; `max_age_seconds` counts from when it was fetched."""

    mode: Mode
    max_age_seconds: int
    patterns: tuple[str, ...] = ()

    def matches(self, host: str) -> bool:
        """Whether an MX host is one of the policy's. RFC 8461 §4.1: "*." stands for exactly one label."""
        name = ascii_name(host)
        parent = name.partition(".")[2]
        return bool(name) and (name in self.patterns or f"*.{parent}" in self.patterns)


def ascii_name(name: str) -> str:
    """A domain name in A-labels (RFC 5890), lower case, without its final dot; empty where it cannot be written so."""
    try:
        return name.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""


def parse_record(texts: Sequence[str]) -> str | None:
    """The id of the policy by the TXT records of _mta-sts.DOMAIN; None: the domain has none."""
    # RFC 8461 §3.1: others are left out; if not exactly one is left, there is no policy
    records = [text for text in texts if _RECORD.match(text)]
    if len(records) != 1:
        return None
    fields = _DELIMITER.split(records[0].rstrip(" \t"))
    if fields[-1] == "":
        fields.pop()
    identity = None
    for field in fields[1:]:
        if field.startswith("id="):
            if not _ID.fullmatch(field[3:]):
                return None
            identity = identity or field[3:]
        elif not _EXTENSION.fullmatch(field):
            return None
    return identity


def parse_policy(body: bytes) -> Policy | None:
    """The policy in a file; None when it is none."""
    if len(body) > MAX_OCTETS:
        return None
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    fields: dict[str, str] = {}
    patterns: dict[str, None] = {}
    # LF or CRLF, and nothing else that str.splitlines would take; empty lines are common at the end
    for line in text.replace("\r\n", "\n").split("\n"):
        if not line.strip(" \t"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        name, value = match.groups()
        if name == "mx":
            patterns[value.lower()] = None
        else:
            fields.setdefault(name, value)
    return _policy(fields, tuple(patterns))


def _policy(fields: dict[str, str], patterns: tuple[str, ...]) -> Policy | None:
    if fields.get("version") != "STSv1" or not _MAX_AGE.fullmatch(fields.get("max_age", "")):
        return None
    return make_policy(fields.get("mode", ""), int(fields["max_age"]), patterns)


def make_policy(mode_text: str, max_age_seconds: int, patterns: tuple[str, ...]) -> Policy | None:
    """A policy of values from outside (a file); None when they do not make one."""
    try:
        mode = Mode(mode_text)
    except ValueError:
        return None
    if len(patterns) > MAX_PATTERNS or not all(map(_is_pattern, patterns)):
        return None
    # RFC 8461 §3.2: at least one mx where the mode is not none
    if (mode is not Mode.NONE and not patterns) or max_age_seconds < 0:
        return None
    return Policy(mode, min(max_age_seconds, MAX_AGE_SECONDS), patterns)


def _is_pattern(text: str) -> bool:
    return len(text) <= _MAX_NAME and _PATTERN.fullmatch(text) is not None
