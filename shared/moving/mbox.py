"""mbox: messages behind one another, each after a line that begins with ``From `` (RFC 4155). Pure.

Lines that begin so inside of a message have a ``>`` in front, those with one have one more (mboxrd): nothing is lost. Flags are in the
fields Status, X-Status and X-Keywords, which are added when a message is written and taken out when it is read.
"""

import calendar
import re
import time
from collections.abc import Iterator
from typing import Final

import attrs

from shared.mail.content import Content
from shared.mail.header import header_end, iter_fields

MAX_MESSAGES: Final = 5_000_000
# RFC 4155 §A: a line that begins with "From ", after an empty one; the time keeps text that begins so from being taken for one
_SEPARATOR: Final = re.compile(rb"(?:\A|(?<=\n)\r?\n)From [^\r\n]{0,990}?\d:\d\d[^\r\n]{0,200}\r?\n")
_DATE: Final = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +(\d{1,2}) (\d\d):(\d\d)(?::(\d\d))?"
    rb"(?: [A-Z]{3,4})?(?: ([+-])(\d\d)(\d\d))? (\d{4})(?: ([+-])(\d\d)(\d\d))?"
)
_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_QUOTED: Final = re.compile(rb"(?m)^>(?=>*From )")
_TO_QUOTE: Final = re.compile(rb"(?m)^(?=>*From )")
_OWN_FIELDS: Final = frozenset({b"status", b"x-status", b"x-keywords"})
_LETTERS: Final = {"R": "\\Seen", "A": "\\Answered", "F": "\\Flagged", "T": "\\Draft", "D": "\\Deleted"}
_KEYWORD: Final = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,200}", re.ASCII)


class MboxError(ValueError):
    """Not an mbox, or beyond a bound."""


@attrs.frozen
class Entry:
    """Where a message lies, and when it came (seconds since 1970; None: its line does not say)."""

    start: int
    end: int
    came: int | None


def find_entries(data: Content) -> Iterator[Entry]:
    """In their order. Raises MboxError."""
    last: tuple[int, int | None] | None = None
    for number, match in enumerate(_SEPARATOR.finditer(data)):
        if number == 0 and match.start():
            break
        if number >= MAX_MESSAGES:
            raise MboxError(f"more than {MAX_MESSAGES} messages")
        if last is not None:
            yield Entry(last[0], match.start(), last[1])
        last = match.end(), parse_came(match.group())
    if last is None:
        if len(data):
            raise MboxError("it does not begin with a line that begins with From")
        return
    end = len(data)
    # the empty line behind the last message is no part of it
    for empty in (b"\r\n\r\n", b"\n\n"):
        if data[max(end - len(empty), last[0]) : end] == empty:
            end -= len(empty) // 2
            break
    yield Entry(last[0], end, last[1])


def parse_came(line: bytes) -> int | None:
    """The time of a line: ``Thu Jan  1 00:00:00 1970``, UTC unless it names a zone."""
    match = _DATE.search(line)
    if match is None:
        return None
    month, day, hour, minute, second, sign, hours, minutes, year, sign2, hours2, minutes2 = match.groups()
    moment = (int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second or b"0"))
    if not (moment[0] >= 1970 and 1 <= moment[2] <= calendar.monthrange(*moment[:2])[1] and moment[3] < 24 and moment[4] < 60):
        return None
    sign, hours, minutes = (sign, hours, minutes) if sign else (sign2, hours2, minutes2)
    zone = 60 * int(hours) + int(minutes) if sign else 0
    return calendar.timegm(moment) - (-60 if sign == b"-" else 60) * zone


def read_entry(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """A message without quoting and without the fields that hold flags; its flags."""
    data = _QUOTED.sub(b"", data)
    end = header_end(data, 0, len(data))
    letters, keywords = "", ""
    pieces: list[bytes] = []
    position = 0
    for field in iter_fields(data, 0, end):
        if field.name not in _OWN_FIELDS:
            continue
        value = field.value.decode("ascii", "replace")
        if field.name == b"x-keywords":
            keywords += " " + value
        else:
            letters += value
        pieces.append(data[position : field.start])
        position = field.end
    flags = [flag for letter, flag in _LETTERS.items() if letter in letters]
    flags += [word for word in keywords.replace(",", " ").split() if _KEYWORD.fullmatch(word)]
    return b"".join([*pieces, data[position:]]), tuple(dict.fromkeys(flags))


def build_entry(content: bytes, came: int, flags: tuple[str, ...]) -> bytes:
    """A message with the line before it and the empty one behind it; line ends as Unix has them."""
    when = time.asctime(time.gmtime(max(came, 0)))
    status = "RO" if "\\Seen" in flags else "O"
    marks = "".join(letter for letter, flag in _LETTERS.items() if letter != "R" and flag in flags)
    keywords = " ".join(flag for flag in flags if not flag.startswith("\\"))
    fields = f"Status: {status}\n" + (f"X-Status: {marks}\n" if marks else "") + (f"X-Keywords: {keywords}\n" if keywords else "")
    text = _TO_QUOTE.sub(b">", fields.encode("ascii", "replace") + content.replace(b"\r\n", b"\n"))
    return f"From MAILER-DAEMON {when}\n".encode() + text + (b"\n" if text.endswith(b"\n") else b"\n\n")
