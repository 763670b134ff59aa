"""Names of mailboxes: Unicode, levels divided by ``/``, INBOX in any case.

RFC 3501 §5.1: INBOX is special and case-insensitive; all other names are compared as they are, after NFC. RFC 9051 §5.1
forbids control characters and what cannot be shown. Modified UTF-7 is the IMAP edge's business.
"""

import unicodedata
from typing import Final

import attrs

from shared.errors import InvalidMailboxName

INBOX: Final = "INBOX"
SEPARATOR: Final = "/"

# RFC 6154 §2
DEFAULT_MAILBOXES: Final = (
    (INBOX, ""),
    ("Archive", "\\Archive"),
    ("Drafts", "\\Drafts"),
    ("Junk", "\\Junk"),
    ("Sent", "\\Sent"),
    ("Trash", "\\Trash"),
)
SPECIAL_USES: Final = frozenset(
    {"", "\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Important", "\\Junk", "\\Sent", "\\Trash"}
)


@attrs.frozen
class NameLimits:
    """Bounds from the settings. A page of mailboxes has room for names of 1,000 octets, the most that can be set."""

    octets: int = 400
    levels: int = 20
    mailboxes: int = 100_000
    """Of one account."""


DEFAULT_LIMITS: Final = NameLimits()
_PATHS: Final = frozenset({".", ".."})
"""They harm nobody here, but every export into files and many a client that keeps mailboxes as folders."""
# What must not be in a name: controls, line and paragraph separators, surrogates.
_FORBIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def fold_inbox(name: str) -> str:
    """The name with INBOX, alone or as first level, in capitals."""
    head, slash, rest = name.partition(SEPARATOR)
    return INBOX + slash + rest if head.upper() == INBOX else name


def lookup_name(name: str) -> str:
    """The form in which an existing mailbox would be kept; never raises."""
    return fold_inbox(unicodedata.normalize("NFC", name))


def check_name(name: str, limits: NameLimits = DEFAULT_LIMITS) -> str:
    """A name that a new mailbox may have, in the form in which it is kept. Raises InvalidMailboxName."""
    # RFC 3501 §6.3.3: a trailing hierarchy separator only declares that names will be made below
    name = lookup_name(name[:-1] if name.endswith(SEPARATOR) else name)
    if not name or len(name.encode("utf-8", "replace")) > limits.octets:
        raise InvalidMailboxName("empty or too long")
    levels = name.split(SEPARATOR)
    if len(levels) > limits.levels:
        raise InvalidMailboxName("too many levels")
    if not all(levels):
        raise InvalidMailboxName("empty level")
    if any(level in _PATHS for level in levels):
        raise InvalidMailboxName("a level that means another in a file system")
    if any(unicodedata.category(character) in _FORBIDDEN_CATEGORIES for character in name):
        raise InvalidMailboxName("control character")
    if any(_is_noncharacter(ord(character)) for character in name):
        raise InvalidMailboxName("noncharacter")
    # RFC 3501 §6.3.8: the wildcards of LIST could never be asked for
    if any(character in "*%" for character in name):
        raise InvalidMailboxName("wildcard")
    return name


def _is_noncharacter(point: int) -> bool:
    """Unicode §23.7: for internal use, never for interchange."""
    return point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF


def parents(name: str) -> list[str]:
    """The levels above a name, topmost first."""
    levels = name.split(SEPARATOR)
    return [SEPARATOR.join(levels[:depth]) for depth in range(1, len(levels))]


LAST: Final = chr(0x10FFFF)
"""No name holds it: it follows everything that begins as a name does."""


def floor_of(prefix: str) -> str:
    """What lies right before the names that begin with a prefix, in code point order."""
    if not prefix:
        return ""
    before = ord(prefix[-1]) - 1
    return prefix[:-1] + chr(0xD7FF if before == 0xDFFF else before) + LAST


def ceiling_of(name: str) -> str:
    """What lies right behind all names below a name."""
    return name + SEPARATOR + LAST


@attrs.frozen
class NameRange:
    """All names below a name are those with ``low`` < name < ``high``, compared by code points."""

    low: str
    high: str


def below(name: str) -> NameRange:
    """The range of names below a name: ``/`` is followed by ``0`` in code point order."""
    return NameRange(name + SEPARATOR, name + chr(ord(SEPARATOR) + 1))
