"""Message flags as a bit set of 63 bits.

Bits 0 to 4 are the system flags of RFC 3501 §2.3.2; bits 5 to 7 are kept free; from bit 8 on each bit is a *keyword slot* of
the mailbox, whose name is at that position of the mailbox's list of keywords. ``\\Recent`` is not stored: it follows from
``first_recent_uid`` (RFC 3501 §2.3.2, "session flag").
"""

from collections.abc import Iterable, Sequence
from enum import IntFlag
from typing import Final


class SystemFlag(IntFlag):
    """RFC 3501 §2.3.2."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


SYSTEM_FLAG_NAMES: Final[dict[str, int]] = {
    "\\Seen": SystemFlag.SEEN.value,
    "\\Answered": SystemFlag.ANSWERED.value,
    "\\Flagged": SystemFlag.FLAGGED.value,
    "\\Deleted": SystemFlag.DELETED.value,
    "\\Draft": SystemFlag.DRAFT.value,
}
_SYSTEM_BY_FOLDED: Final = {name.lower(): bit for name, bit in SYSTEM_FLAG_NAMES.items()}

FIRST_KEYWORD_BIT: Final = 8
MAX_KEYWORDS: Final = 50
"""Keywords per mailbox: with the eight low bits they fit a signed 64-bit column with room to spare."""
MAX_KEYWORD_OCTETS: Final = 200


def system_bit(name: str) -> int | None:
    """The bit of a system flag's name, in any case; None for a keyword or an unknown system flag."""
    return _SYSTEM_BY_FOLDED.get(name.lower())


def flag_names(bits: int, keywords: Sequence[str]) -> list[str]:
    """The names of a bit set, system flags first. Slots that ``keywords`` does not know are left out."""
    names = [name for name, bit in SYSTEM_FLAG_NAMES.items() if bits & bit]
    rest = bits >> FIRST_KEYWORD_BIT
    if rest:
        names.extend(keyword for slot, keyword in enumerate(keywords) if rest >> slot & 1)
    return names


def split_flag_names(names: Iterable[str]) -> tuple[int, list[str]]:
    """System bits and the keywords (as written, first spelling wins) of a list of flag names; unknown ``\\`` names are dropped."""
    bits = 0
    keywords: dict[str, str] = {}
    for name in names:
        bit = system_bit(name)
        if bit is not None:
            bits |= bit
        elif not name.startswith("\\"):
            keywords.setdefault(name.lower(), name)
    return bits, list(keywords.values())
