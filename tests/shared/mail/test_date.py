"""Dates: the RFC's examples, obsolete zones, what is seen in the wild, and back."""

import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail.date import format_date, format_internaldate, parse_date, parse_internaldate

NINETIES = 880127706  # 21 Nov 1997 09:55:06 -0600
TABLE = [
    (b"Fri, 21 Nov 1997 09:55:06 -0600", (NINETIES, -360)),
    (b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", (NINETIES, -360)),
    (b"21 Nov 97 09:55:06 CST", (NINETIES, -360)),
    (b"Fri, 21 Nov 1997 09:55:06 -0600 (CST)", (NINETIES, -360)),
    (b"fri,21 nov 1997 15:55:06 gmt", (NINETIES, 0)),
    (b"Fri, 21 Nov 1997 15:55:06", (NINETIES, 0)),
    (b"Fri, 21 Nov 1997 15:55:06 UT", (NINETIES, 0)),
    (b"Fri, 21 Nov 1997 15:55:06 GMT+0000", (NINETIES, 0)),
    (b"Fri Nov 21 15:55:06 1997", (NINETIES, 0)),
    (b"1997-11-21T15:55:06Z", (NINETIES, 0)),
    (b"1997-11-21 09:55:06.123-06:00", (NINETIES, -360)),
    (b"Fri, 21 Nov 1997 15:55 +0000", (NINETIES - 6, 0)),
    (b"Thu, 1 Jan 1970 00:00:00 +0000", (0, 0)),
    (b"Thu, 1 Jan 1970 09:00:00 KST (Korea)", (0, 540)),
    (b"1 Jan 70 00:00 GMT", (0, 0)),
    (b"Thu, 1 Jan 1970 00:00:00 A", (0, 0)),
    (b"Thu, 1 Jan 1970 00:00:00 +9999", (0, 0)),
    (b"Thu, 31 Dec 1998 23:59:60 +0000", (915148799, 0)),
    (b"Tue, 19 Jan 2038 03:14:08 +0000", (2**31, 0)),
    (b"Wed, 1 Apr 126 10:00:00 +0000", (1775037600, 0)),
    (b"Mon, 31 Feb 2026 25:61:61 +9999", None),
    (b"tomorrow", None),
    (b"", None),
    (b"1 Foo 2026 00:00:00 +0000", None),
    (b"1 Jan 0000 00:00:00 +0000", None),
    (b"\xff\xfe", None),
]


@pytest.mark.parametrize(("value", "expected"), TABLE, ids=[repr(value) for value, _ in TABLE])
def test_table(value: bytes, expected: tuple[int, int] | None) -> None:
    assert parse_date(value) == expected


MOMENT = st.integers(-(10**10), 10**11)
OFFSET = st.integers(-14 * 60, 14 * 60)


@given(MOMENT, OFFSET)
def test_dates_that_we_write(seconds: int, offset: int) -> None:
    text = format_date(seconds, offset)
    assert parse_date(text.encode()) == (seconds, offset)
    assert int(email.utils.parsedate_to_datetime(text).timestamp()) == seconds
    internal = format_internaldate(seconds, offset)
    assert parse_internaldate(internal) == (seconds, offset)
    assert len(internal) == 26


def test_formats() -> None:
    assert format_date(NINETIES, -360) == "Fri, 21 Nov 1997 09:55:06 -0600"
    assert format_internaldate(837596665, -420) == b"17-Jul-1996 02:44:25 -0700"
    assert format_internaldate(0) == b" 1-Jan-1970 00:00:00 +0000"


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"1-Jan-1970", b"31-Feb-1970 00:00:00 +0000", b"1-Jan-1970 00:00:00", b"1-Jan-1970 24:00:00 +0000"),
        *(
            b"1-Jan-70 00:00:00 +0000",
            b"1-Jxn-1970 00:00:00 +0000",
            b"1-Jan-1970 00:00:00 +0060",
            b"1-Jan-1970 00:00:00 +2400 ",
        ),
        *(b"1-Jan-1970 00:00:00 +2400", "١-Jan-1970 00:00:00 +0000".encode()),
    ],
)
def test_internaldate_is_strict(value: bytes) -> None:
    assert parse_internaldate(value) is None


@given(st.binary(max_size=60))
def test_never_raises(value: bytes) -> None:
    parse_date(value)
    parse_date(b"1 Jan " + value)
    parse_internaldate(value)
