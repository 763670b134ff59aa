"""An SMTP dialogue as it is kept: what was said in an attempt, by whom, when; packed small by who had it, read by people.

Laws
- Pure. `unpack` takes any octets: what is no dialogue is an empty one, and nothing grows beyond MAX_RAW_OCTETS.
- At most MAX_LINES lines with MAX_OCTETS octets of text: of a longer one the beginning and the end stay, and a line in between says
  how much is missing.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import attrs
import msgpack

MAX_LINES: Final = 200
MAX_OCTETS: Final = 8 * 1024
MAX_LINE_OCTETS: Final = 500
MAX_PACKED_OCTETS: Final = 16 * 1024
"""What the largest takes when nothing of it can be compressed, and some more."""
MAX_RAW_OCTETS: Final = 32 * 1024
_BEGINNING: Final = 3, 4
"""The part of the bounds that the beginning of a long dialogue may take."""


class Way(StrEnum):
    OUT = ">"
    """We said it."""
    IN = "<"
    """The other server did."""
    NOTE = "*"
    """It happened."""


@attrs.frozen
class DialogueLine:
    seconds: float
    """Since the attempt began."""
    way: Way
    text: str


def pack(lines: Sequence[DialogueLine]) -> bytes:
    """At most MAX_PACKED_OCTETS; empty for no lines."""
    if not lines:
        return b""
    plain = [(round(line.seconds * 1000), line.way.value, line.text) for line in bounded(lines)]
    return zlib.compress(msgpack.packb(plain))


def unpack(data: bytes) -> tuple[DialogueLine, ...]:
    """The lines; none where there are none or `data` is damaged."""
    if not data:
        return ()
    try:
        plain = msgpack.unpackb(zlib.decompressobj().decompress(data, MAX_RAW_OCTETS))
        return tuple(DialogueLine(int(thousandths) / 1000, Way(way), str(text)) for thousandths, way, text in plain)
    except (zlib.error, msgpack.exceptions.UnpackException, ValueError, TypeError, OverflowError):
        return ()


def bounded(lines: Sequence[DialogueLine]) -> list[DialogueLine]:
    """Beginning and end of a dialogue that is too long, lines cut to MAX_LINE_OCTETS."""
    cut = [attrs.evolve(line, text=_cut(line.text)) for line in lines]
    beginning = _fitting(cut, MAX_LINES, MAX_OCTETS)
    if beginning == len(cut):
        return cut
    part, whole = _BEGINNING
    beginning = _fitting(cut, MAX_LINES * part // whole, MAX_OCTETS * part // whole)
    rest = cut[beginning:]
    end = _fitting(rest[::-1], MAX_LINES * (whole - part) // whole - 1, MAX_OCTETS * (whole - part) // whole - MAX_LINE_OCTETS)
    missing = len(rest) - end
    note = DialogueLine(rest[missing - 1].seconds, Way.NOTE, f"({missing} lines are left out here)")
    return [*cut[:beginning], note, *rest[missing:]]


def _fitting(lines: Sequence[DialogueLine], most_lines: int, most_octets: int) -> int:
    """How many of the first lines stay within the bounds."""
    octets = 0
    for number, line in enumerate(lines[:most_lines]):
        octets += len(line.text.encode())
        if octets > most_octets:
            return number
    return min(len(lines), most_lines)


def _cut(text: str) -> str:
    octets = text.encode("utf-8", "replace")
    if len(octets) <= MAX_LINE_OCTETS:
        return octets.decode()
    return octets[: MAX_LINE_OCTETS - 3].decode("utf-8", "ignore") + "..."
