"""Dates of header fields and of IMAP, read and written. No clock: times are seconds since 1970 in UTC, offsets minutes east.

Reading takes RFC 5322 §3.3 with the obsolete forms of §4.3 (two-digit years, zone names, comments), and what is seen in the wild:
asctime, ISO 8601, missing seconds, missing zones. A date that does not exist gives None; nothing raises.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, NamedTuple


class SentDate(NamedTuple):
    """A point in time and the zone it was written in."""

    seconds: int
    offset_minutes: int


_MONTHS: Final = {
    month: number
    for number, month in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_MONTH_NAMES: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_NAMES: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

# RFC 5322 §4.3; military letters other than Z are read as -0000, because RFC 822 had their signs wrong.
_ZONES: Final = {
    "ut": 0,
    "utc": 0,
    "gmt": 0,
    "z": 0,
    "edt": -240,
    "est": -300,
    "cdt": -300,
    "cst": -360,
    "mdt": -360,
    "mst": -420,
    "pdt": -420,
    "pst": -480,
    "kst": 540,
    "jst": 540,
    "bst": 60,
    "cet": 60,
    "cest": 120,
    "wet": 0,
    "west": 60,
    "eet": 120,
    "eest": 180,
    "msk": 180,
    "ist": 330,
    "aest": 600,
    "aedt": 660,
}
_DATE: Final = re.compile(
    rb"\s*+(?:[A-Za-z]{2,9}+\.?+\s*+,?+\s*+)?+(\d{1,2}+)[\s-]++([A-Za-z]{3})[a-z]*+\.?+[\s,-]++(\d{2,4}+)[\s,]++"
    rb"(\d{1,2}+)\s*+[:.]\s*+(\d{1,2}+)(?:\s*+[:.]\s*+(\d{1,2}+)(?:\.\d++)?)?+\s*+(?:(?:GMT|UTC)?([+-]\d{4})|([A-Za-z]++))?"
)
_ASCTIME: Final = re.compile(
    rb"\s*+[A-Za-z]{3,9}+,?+\s++([A-Za-z]{3})[a-z]*+\s++(\d{1,2}+),?+\s++(\d{1,2}+):(\d{2}):(\d{2})(?:\s++[A-Z]{1,5}+)?+\s++(\d{4})"
)
_ISO: Final = re.compile(
    rb"\s*+(\d{4})-(\d{2})-(\d{2})[T\s]\s*+(\d{2}):(\d{2})(?::(\d{2})(?:\.\d++)?)?\s*+(?:([+-]\d{2}):?(\d{2})|([A-Za-z]++))?"
)
_COMMENT: Final = re.compile(rb"\([^()]*+\)")
_INTERNALDATE: Final = re.compile(
    rb" ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})", re.ASCII
)
_MAX_OCTETS: Final = 200


def parse_date(value: bytes) -> SentDate | None:
    """The date of a Date field's unfolded value, or None."""
    value = value[:_MAX_OCTETS]
    match = _DATE.match(value)
    if match is None and b"(" in value:
        value = _COMMENT.sub(b" ", value)
        match = _DATE.match(value)
    if match is not None:
        day, month, year, hour, minute, second, zone, zone_name = match.groups()
        return _date(_year(year), month, day, hour, minute, second, _offset(zone, zone_name))
    match = _ASCTIME.match(value)
    if match is not None:
        month, day, hour, minute, second, year = match.groups()
        return _date(int(year), month, day, hour, minute, second, 0)
    match = _ISO.match(value)
    if match is not None:
        year, number, day, hour, minute, second, zone_hours, zone_minutes, zone_name = match.groups()
        offset = _offset(zone_hours and zone_hours + zone_minutes, zone_name)
        return _make(int(year), int(number), int(day), int(hour), int(minute), int(second or 0), offset)
    return None


def _year(digits: bytes) -> int:
    """RFC 5322 §4.3: 00 to 49 are 2000 to 2049, other short years count from 1900."""
    year = int(digits)
    if len(digits) == 2 and year < 50:
        return year + 2000
    return year + 1900 if len(digits) < 4 else year


def _offset(zone: bytes | None, name: bytes | None) -> int:
    if zone:
        hours, minutes = int(zone[1:3]), int(zone[3:5])
        if hours > 15 or minutes > 59:
            return 0
        return -(hours * 60 + minutes) if zone[:1] == b"-" else hours * 60 + minutes
    return _ZONES.get(name.decode("ascii").lower(), 0) if name else 0


def _date(
    year: int, month: bytes, day: bytes, hour: bytes, minute: bytes, second: bytes | None, offset: int
) -> SentDate | None:
    number = _MONTHS.get(month.decode("ascii").lower())
    if number is None:
        return None
    return _make(year, number, int(day), int(hour), int(minute), int(second or 0), offset)


def _make(year: int, month: int, day: int, hour: int, minute: int, second: int, offset: int) -> SentDate | None:
    try:
        # RFC 5322 §3.3: a leap second is the second after 59
        moment = datetime(year, month, day, hour, minute, min(second, 59) if second <= 60 else second, tzinfo=UTC)
    except ValueError:
        return None
    return SentDate(_seconds(moment) - offset * 60, offset)


def _seconds(moment: datetime) -> int:
    elapsed = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return elapsed.days * 86400 + elapsed.seconds


def _local(seconds: int, offset_minutes: int) -> datetime:
    zone = timezone(timedelta(minutes=offset_minutes))
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).astimezone(zone)


def _zone(offset_minutes: int) -> str:
    hours, minutes = divmod(abs(offset_minutes), 60)
    return f"{'-' if offset_minutes < 0 else '+'}{hours:02}{minutes:02}"


# RFC 5322 §3.3
def format_date(seconds: int, offset_minutes: int = 0) -> str:
    """As ``Fri, 21 Nov 1997 09:55:06 -0600``. Years 1 to 9999 only, else OverflowError."""
    at = _local(seconds, offset_minutes)
    return (
        f"{_DAY_NAMES[at.weekday()]}, {at.day} {_MONTH_NAMES[at.month - 1]} {at.year:04} "
        f"{at.hour:02}:{at.minute:02}:{at.second:02} {_zone(offset_minutes)}"
    )


# RFC 3501 §9 date-time
def format_internaldate(seconds: int, offset_minutes: int = 0) -> bytes:
    """As ``17-Jul-1996 02:44:25 -0700`` without the quotes, the day padded by a space. Years 1 to 9999 only, else OverflowError."""
    at = _local(seconds, offset_minutes)
    return (
        f"{at.day:2}-{_MONTH_NAMES[at.month - 1]}-{at.year:04} "
        f"{at.hour:02}:{at.minute:02}:{at.second:02} {_zone(offset_minutes)}"
    ).encode("ascii")


# RFC 3501 §9 date-time
def parse_internaldate(value: bytes) -> SentDate | None:
    """IMAP date-time without its quotes, strictly; None where it is no such thing or no such date."""
    match = _INTERNALDATE.fullmatch(value)
    if match is None:
        return None
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
    number = _MONTHS.get(month.decode("ascii").lower())
    offset = int(zone_hours) * 60 + int(zone_minutes)
    if number is None or int(zone_minutes) > 59 or offset >= 24 * 60:
        return None
    signed = -offset if sign == b"-" else offset
    return _make(int(year), number, int(day), int(hour), int(minute), int(second), signed)
