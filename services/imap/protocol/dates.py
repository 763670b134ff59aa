"""Dates of the grammar, without a clock or a time zone database.

RFC 3501 §9: date, date-time. Days and seconds count from 1970-01-01 UTC.
"""

import re
from datetime import date
from typing import Final

MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH_NUMBERS: Final = {name.lower(): number for number, name in enumerate(MONTHS, 1)}
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY_SECONDS: Final = 86400

# RFC 3501 §9: date-text = date-day "-" date-month "-" date-year
_DATE: Final = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\Z")
# RFC 3501 §9: date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
_DATE_TIME: Final = re.compile(
    rb" {0,2}([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})\Z"
)


def _day_number(day: bytes, month: bytes, year: bytes) -> int | None:
    try:
        return date(int(year), _MONTH_NUMBERS[month.lower()], int(day)).toordinal() - _EPOCH
    except (KeyError, ValueError):
        return None


def parse_date(text: bytes) -> int | None:
    """The day of a date-text, or None."""
    match = _DATE.match(text)
    return None if match is None else _day_number(match.group(1), match.group(2), match.group(3))


def parse_date_time(text: bytes) -> int | None:
    """The second of a date-time (without its quotes), or None."""
    match = _DATE_TIME.match(text)
    if match is None:
        return None
    day = _day_number(match.group(1), match.group(2), match.group(3))
    hour, minute, second = int(match.group(4)), int(match.group(5)), int(match.group(6))
    zone = int(match.group(8)) * 60 + int(match.group(9))
    if day is None or hour > 23 or minute > 59 or second > 60 or int(match.group(9)) > 59:
        return None
    if match.group(7) == b"-":
        zone = -zone
    return day * _DAY_SECONDS + hour * 3600 + minute * 60 + second - zone * 60


class DateTimeRenderer:
    """Renders INTERNALDATE (always in UTC); the day's text is kept, as neighbours in a mailbox share it."""

    def __init__(self, max_days: int = 4096) -> None:
        self._days: dict[int, bytes] = {}
        self._max_days = max_days

    def __call__(self, seconds: int) -> bytes:
        """``17-Jul-1996 02:44:25 +0000``; a year outside 1 to 9999 becomes the nearest that can be written."""
        day, rest = divmod(seconds, _DAY_SECONDS)
        text = self._days.get(day)
        if text is None:
            text = self._remember(day)
        minutes, second = divmod(rest, 60)
        return b"%b %02d:%02d:%02d +0000" % (text, minutes // 60, minutes % 60, second)

    def _remember(self, day: int) -> bytes:
        ordinal = min(max(day + _EPOCH, 1), date.max.toordinal())
        when = date.fromordinal(ordinal)
        # RFC 3501 §9: date-day-fixed = (SP DIGIT) / 2DIGIT
        text = b"%2d-%b-%04d" % (when.day, MONTHS[when.month - 1], when.year)
        if len(self._days) >= self._max_days:
            self._days.clear()
        self._days[day] = text
        return text
