"""The verbs of SMTP and what a parsed command carries. Plain data; `parse` makes it, `connection` acts on it.

A new verb comes here as a member, into `parse` with its arguments, and into the table of `state`.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from services.smtp_in.protocol.grammar import Mailbox
from services.smtp_in.protocol.way import NOTHING_ASKED, Asked


class Verb(StrEnum):
    """What a command line begins with. The last three are kinds of lines that are no command of ours.

    A string, because the hash of a plain Enum is computed in Python and the table is asked for every command.
    """

    EHLO = "EHLO"
    HELO = "HELO"
    LHLO = "LHLO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BDAT = "BDAT"
    RSET = "RSET"
    NOOP = "NOOP"
    VRFY = "VRFY"
    EXPN = "EXPN"
    HELP = "HELP"
    QUIT = "QUIT"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    XCLIENT = "XCLIENT"
    NOT_IMPLEMENTED = "not implemented"
    """Known to an RFC, not to us."""
    HTTP = "HTTP"
    """A browser or a script that was tricked into talking to us."""
    UNKNOWN = "unknown"


BARE = frozenset({Verb.DATA, Verb.RSET, Verb.QUIT, Verb.STARTTLS})
"""Commands that take no argument (RFC 5321 §4.1.1: with one, 501)."""
IDLE = frozenset({Verb.EHLO, Verb.HELO, Verb.LHLO, Verb.RSET, Verb.NOOP, Verb.VRFY, Verb.HELP, Verb.XCLIENT})
"""Commands that move no mail: see Limits.idle_commands."""


class Body(StrEnum):
    """RFC 6152 §3, RFC 3030 §3."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT_MIME = "8BITMIME"
    BINARY_MIME = "BINARYMIME"
    """Any octets, by BDAT alone."""


@frozen
class Mail:
    """MAIL FROM: `sender` None stands for the null reverse-path `<>`."""

    sender: Mailbox | None
    size: int | None = None
    """Octets that the client declares (RFC 1870)."""
    body: Body = Body.SEVEN_BIT
    smtputf8: bool = False
    envelope_id: str = ""
    """ENVID as it came, xtext (RFC 3461 §4.4)."""
    ret: str = ""
    """RET: FULL or HDRS, empty where it was not given (RFC 3461 §4.3)."""
    asked: Asked = NOTHING_ASKED


@frozen
class Rcpt:
    """RCPT TO."""

    recipient: Mailbox
    notify: int = 0
    """NOTIFY, see ``shared.model.notify`` (RFC 3461 §4.1)."""
    orcpt: str = ""
    """ORCPT as it came (RFC 3461 §4.2)."""


@frozen
class Chunk:
    """BDAT: how many octets follow, and whether they are the message's last (RFC 3030 §2)."""

    octets: int
    last: bool


@frozen
class Auth:
    """AUTH with its mechanism as written and the initial response, base64, or None."""

    mechanism: str
    initial: bytes | None
