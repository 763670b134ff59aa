"""Rights on a mailbox, as bits. RFC 4314 §2.1; pure.

The obsolete rights ``c`` and ``d`` of RFC 2086 are read as what they stand for (``kx`` and ``et``) and shown beside them (RFC 4314 §2.1.1).
"""

from collections.abc import Iterable, Sequence
from enum import IntFlag
from typing import Final


class Rights(IntFlag):
    """RFC 4314 §2.1, in the order in which they are shown."""

    LOOKUP = 1
    READ = 2
    SEEN = 4
    WRITE = 8
    """All flags but \\Seen and \\Deleted, and keywords."""
    INSERT = 16
    POST = 32
    """To send mail to the mailbox's address: kept, without effect."""
    CREATE = 64
    DELETE_MAILBOX = 128
    DELETE_MESSAGES = 256
    """The flag \\Deleted."""
    EXPUNGE = 512
    ADMINISTER = 1024


NO_RIGHTS: Final = Rights(0)
ALL_RIGHTS: Final = Rights(2047)
ALL_RIGHTS_BITS: Final = int(ALL_RIGHTS)
LETTERS: Final = "lrswipkxtea"
FLAG_RIGHTS: Final = Rights.SEEN | Rights.WRITE | Rights.DELETE_MESSAGES
READ_WRITE_RIGHTS: Final = FLAG_RIGHTS | Rights.INSERT | Rights.EXPUNGE
"""RFC 4314 §5.2: with none of these a mailbox is READ-ONLY; all flags are shared by all users of a mailbox."""
ANY_RIGHTS: Final = (
    Rights.LOOKUP | Rights.READ | Rights.INSERT | Rights.CREATE | Rights.DELETE_MAILBOX | Rights.ADMINISTER
)
"""RFC 4314 §4: with one of these MYRIGHTS answers."""
ANYONE: Final = "anyone"
"""RFC 4314 §2: everybody, the owner too."""

_BITS: Final = {letter: Rights(1 << position) for position, letter in enumerate(LETTERS)} | {
    # RFC 4314 §2.1.1: of the two readings of RFC 2086, the one in which DELETE belongs to "c"
    "c": Rights.CREATE | Rights.DELETE_MAILBOX,
    "d": Rights.DELETE_MESSAGES | Rights.EXPUNGE,
}


def parse_rights(text: str) -> Rights | None:
    """Rights as a client writes them; None where a letter is not a right (RFC 4314 §3.1: to be refused)."""
    rights = NO_RIGHTS
    for letter in text:
        right = _BITS.get(letter)
        if right is None:
            return None
        rights |= right
    return rights


def format_rights(bits: int) -> str:
    """As the responses show them, with the obsolete letters where any of what they stand for is there."""
    shown = "".join(letter for position, letter in enumerate(LETTERS) if bits >> position & 1)
    # RFC 4314 §2.1.1: MUST also include "c" and "d"
    return shown + "".join(letter for letter in "cd" if bits & _BITS[letter])


def effective(entries: Iterable[tuple[bool, int]]) -> Rights:
    """RFC 4314 §2: the union of what identifiers are given, less the union of what they are denied; ``(negative, bits)``."""
    given = denied = 0
    for negative, bits in entries:
        if negative:
            denied |= bits
        else:
            given |= bits
    return Rights(given & ~denied)


def permitted_names(names: Sequence[str], rights: Rights) -> tuple[str, ...]:
    """Of flag names those that rights let an account set."""
    if FLAG_RIGHTS & rights == FLAG_RIGHTS:
        return tuple(names)
    needed = {"\\seen": Rights.SEEN, "\\deleted": Rights.DELETE_MESSAGES}
    return tuple(name for name in names if rights & needed.get(name.lower(), Rights.WRITE))
