"""The commands of POP3 and the arguments that each takes.

RFC 1939 §9 (all but APOP, which needs the password in clear on the server), RFC 2449 §5 (CAPA), RFC 2595 §4 (STLS),
RFC 5034 (AUTH), RFC 6856 (UTF8, LANG).
"""

from __future__ import annotations

from enum import Enum

from attrs import field, frozen


class Verb(Enum):
    """A command keyword. The value is how it looks on the wire."""

    USER = b"USER"
    PASS = b"PASS"
    AUTH = b"AUTH"
    STLS = b"STLS"
    CAPA = b"CAPA"
    QUIT = b"QUIT"
    STAT = b"STAT"
    LIST = b"LIST"
    RETR = b"RETR"
    DELE = b"DELE"
    NOOP = b"NOOP"
    RSET = b"RSET"
    TOP = b"TOP"
    UIDL = b"UIDL"
    UTF8 = b"UTF8"
    LANG = b"LANG"


class Arguments(Enum):
    """What follows a keyword."""

    NONE = "none"
    NUMBER = "a message-number"
    OPTIONAL_NUMBER = "a message-number or nothing"
    NUMBER_AND_LINES = "a message-number and a number of lines"
    TEXT = "the rest of the line as it is"
    LANGUAGE = "a language range or nothing"
    MECHANISM = "a mechanism and perhaps an initial response, or nothing"


ARGUMENTS: dict[Verb, Arguments] = {
    Verb.USER: Arguments.TEXT,
    # RFC 1939 §7: "a POP3 server may treat spaces in the argument as part of the password"
    Verb.PASS: Arguments.TEXT,
    Verb.AUTH: Arguments.MECHANISM,
    Verb.STLS: Arguments.NONE,
    Verb.CAPA: Arguments.NONE,
    Verb.QUIT: Arguments.NONE,
    Verb.STAT: Arguments.NONE,
    Verb.LIST: Arguments.OPTIONAL_NUMBER,
    Verb.RETR: Arguments.NUMBER,
    Verb.DELE: Arguments.NUMBER,
    Verb.NOOP: Arguments.NONE,
    Verb.RSET: Arguments.NONE,
    Verb.TOP: Arguments.NUMBER_AND_LINES,
    Verb.UIDL: Arguments.OPTIONAL_NUMBER,
    Verb.UTF8: Arguments.NONE,
    Verb.LANG: Arguments.LANGUAGE,
}


@frozen
class Command:
    """One command, its arguments in the form that its verb has."""

    verb: Verb
    number: int | None = None
    """Message-number as the client wrote it; not yet looked up, 0 is possible."""
    lines: int = 0
    text: str = field(default="", repr=False)
    """USER, PASS: the argument. It may be a password, so no repr shows it."""
    language: str = ""
    """LANG: the range; empty when the client asks which there are."""
    mechanism: str = ""
    """AUTH: in upper case; empty when the client asks which there are."""
    initial: bytes | None = field(default=None, repr=False)
    """AUTH: the initial response as base64, None when there was none."""
