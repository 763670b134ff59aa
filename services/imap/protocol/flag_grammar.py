"""Flags among a command's arguments. RFC 3501 §9; RFC 9051 §2.3.2."""

from typing import Final

from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.tokens import Scanner, SyntaxFault

_SYSTEM_FLAGS: Final = frozenset({"\\SEEN", "\\ANSWERED", "\\FLAGGED", "\\DELETED", "\\DRAFT"})


def parse_flag(scanner: Scanner) -> str:
    """A system flag or any keyword ($Forwarded, $MDNSent, $Junk, $NotJunk, $Phishing and what clients make up)."""
    flag = scanner.flag()
    if flag.startswith("\\") and flag.upper() not in _SYSTEM_FLAGS and flag.upper() != "\\RECENT":
        # RFC 3501 §9: flag-extension: the server must not accept what it does not know to be permanent
        raise SyntaxFault("unknown system flag")
    return flag


def parse_flag_list(scanner: Scanner, limits: GrammarLimits) -> tuple[str, ...]:
    """RFC 3501 §9: flag-list = "(" [flag *(SP flag)] ")"; after the parenthesis."""
    flags: list[str] = []
    scanner.skip_spaces()
    while not scanner.take(b")"):
        flags.append(parse_flag(scanner))
        if len(flags) > limits.list_items:
            raise SyntaxFault("too many flags")
        scanner.skip_spaces()
    return tuple(flags)


def without_recent(flags: tuple[str, ...]) -> tuple[str, ...]:
    """RFC 3501 §2.3.2: \\Recent cannot be set by clients; ignored as others do."""
    return tuple(flag for flag in flags if flag.upper() != "\\RECENT")
