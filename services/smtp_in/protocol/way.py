"""The parameters of MAIL that ask something of the message's way, and what EHLO offers of them. Pure: no clock.

Laws: a parameter that is not offered to this client now is refused as one that is not known; a value that is not exactly of its
grammar with 501. Times are counted by who has the clock (`services.smtp_in.way`).

RFC 8689 §2 (REQUIRETLS: under TLS), RFC 4865 (FUTURERELEASE) and RFC 2852 (DELIVERBY): submission only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from attrs import frozen

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.replies import Reply

# RFC 4865: HOLDFOR is 1*9DIGIT without a leading zero
_HOLD_FOR = re.compile(rb"[1-9][0-9]{0,8}")
# RFC 4865: HOLDUNTIL is the date-time of RFC 3339 §5.6
_DATE = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:)([0-9]{2})(?:\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})",
    re.IGNORECASE,
)
# RFC 2852 §4: by-value = by-time ";" by-mode [by-trace]; by-time = ["-" / "+"] 1*9DIGIT
_BY = re.compile(rb"([-+]?[0-9]{1,9});([NR])(T?)", re.IGNORECASE)
_LEAP_SECOND = b"60"


@frozen
class WayOffer:
    """What a port offers beyond TLS; 0: not offered."""

    hold_seconds: int = 0
    """How long a message may be held at most."""
    hold_until: str = ""
    """The latest date, as EHLO tells it."""
    by_seconds: int = 0
    """The shortest time in which a message that is to go back may have to be delivered."""


@frozen
class Asked:
    """What MAIL asks for."""

    require_tls: bool = False
    hold_seconds: int = 0
    """HOLDFOR; 0: not given."""
    hold_until: float | None = None
    """HOLDUNTIL, seconds since 1970."""
    by_seconds: int = 0
    by_mode: str = ""
    """R or N; empty: no BY."""
    by_trace: bool = False


NOTHING_OFFERED = WayOffer()
NOTHING_ASKED = Asked()


def keywords(offer: WayOffer, *, tls: bool) -> Iterator[str]:
    """Lines of the answer to EHLO."""
    if tls:
        # RFC 8689 §2: in the answer to the EHLO behind STARTTLS
        yield "REQUIRETLS"
    if offer.hold_seconds:
        yield f"FUTURERELEASE {offer.hold_seconds} {offer.hold_until}"
    if offer.by_seconds:
        yield f"DELIVERBY {offer.by_seconds}"


def objection(asked: Asked, offer: WayOffer, *, tls: bool) -> Reply | None:
    """What is asked for and not offered, or contradicts itself."""
    if asked.require_tls and not tls:
        return replies.REQUIRETLS_NEEDS_TLS
    held = asked.hold_seconds or asked.hold_until is not None
    if (held and not offer.hold_seconds) or (asked.by_mode and not offer.by_seconds):
        return replies.UNKNOWN_PARAMETER
    if asked.hold_seconds and asked.hold_until is not None:
        return replies.TWO_HOLDS
    if asked.hold_seconds > offer.hold_seconds:
        return replies.HELD_TOO_LONG
    # RFC 2852 §4: what was due before it came cannot be delivered in time
    if asked.by_mode == "R" and asked.by_seconds <= 0:
        return replies.BAD_PARAMETER
    if asked.by_mode == "R" and asked.by_seconds < offer.by_seconds:
        return replies.BY_TOO_SOON
    return None


def parse_hold_for(value: bytes | None) -> int | None:
    """Seconds; None where it is malformed."""
    return int(value) if value is not None and _HOLD_FOR.fullmatch(value) else None


def parse_hold_until(value: bytes | None) -> float | None:
    """Seconds since 1970; None where it is no date-time."""
    match = _DATE.fullmatch(value or b"")
    if match is None:
        return None
    # the parts of a second do not matter; RFC 3339 §5.6 has leap seconds, which the count of seconds leaves out
    seconds = b"59" if match[2] == _LEAP_SECOND else match[2]
    zone = match[3].upper().replace(b"Z", b"+00:00")
    try:
        return datetime.fromisoformat((match[1].upper() + seconds + zone).decode("ascii")).timestamp()
    except (ValueError, OverflowError):
        return None


def parse_by(value: bytes | None) -> tuple[int, str, bool] | None:
    """Seconds, mode, and whether each hop is to tell; None where it is malformed."""
    match = _BY.fullmatch(value or b"")
    return None if match is None else (int(match[1]), match[2].decode("ascii").upper(), bool(match[3]))


def written_date(seconds: float) -> str:
    """As EHLO tells the latest date: to the minute, so that it stays the same for a while, and never later than said."""
    return datetime.fromtimestamp(seconds // 60 * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
