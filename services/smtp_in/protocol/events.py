"""What passes between the protocol machine and its driver: the profile of a port, and the events.

Plain data. Events that want an answer: MailRequested, RcptRequested, AuthRequested, ScramRequested, XClientRequested,
ContentEnded.
"""

from __future__ import annotations

from functools import lru_cache

from attrs import field, frozen

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.commands import Mail, Rcpt
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.protocol.way import NOTHING_OFFERED, WayOffer
from services.smtp_in.protocol.xclient import OFFER, XClient
from shared.sasl.credentials import ClientMessage, Credentials


@frozen
class Profile:
    """What a port offers to a client; shared by all connections of one kind."""

    hostname: str
    submission: bool
    """Message submission (RFC 6409): authentication is offered and required. Otherwise relay-in (port 25)."""
    starttls: bool = True
    """STARTTLS is offered while the connection is in plaintext."""
    plaintext_auth: bool = False
    """This client may authenticate without TLS (auth.plaintext_networks)."""
    lmtp: bool = False
    """LMTP instead of SMTP (RFC 2033): LHLO, and one reply per recipient after the content."""
    xclient: bool = False
    """The peer may say for whom it speaks (smtp_in.xclient_networks)."""
    way: WayOffer = NOTHING_OFFERED
    """What may be asked of a message's way."""


@frozen
class MailRequested:
    """MAIL FROM is well-formed and allowed: answer 250 to begin the transaction."""

    mail: Mail


@frozen
class RcptRequested:
    """RCPT TO is well-formed and allowed: answer 250 to take the recipient."""

    rcpt: Rcpt


@frozen
class AuthRequested:
    """Credentials to check: answer 235, 535 or 454."""

    credentials: Credentials = field(repr=False)
    mechanism: str


@frozen
class ScramRequested:
    """A message of a SCRAM exchange for the store: `challenge` goes on, or answer 235, 535, 501 or 454, which ends it."""

    message: ClientMessage


@frozen
class XClientRequested:
    """Somebody else is the client from here on: set `profile` for it, then answer with the greeting, or refuse it."""

    xclient: XClient


@frozen
class ContentStarted:
    """DATA was accepted; content follows. Wants no answer."""


@frozen
class ContentPiece:
    """A piece of the content, dots removed. Wants no answer."""

    data: bytes = field(repr=False)


@frozen
class ContentEnded:
    """The content is complete: answer 250 once it is durable, or refuse it."""

    octets: int


@frozen
class ContentDropped:
    """The content ended and is refused already with `reply`: forget its pieces. Wants no answer."""

    reply: Reply
    octets: int


@frozen
class ContentAbandoned:
    """The client gave up a message of which it had sent chunks: forget its pieces. Wants no answer."""


@frozen
class StartTls:
    """Send the output, do the handshake, call `tls_started`."""


Event = (
    MailRequested
    | RcptRequested
    | AuthRequested
    | ScramRequested
    | XClientRequested
    | ContentStarted
    | ContentPiece
    | ContentEnded
    | ContentDropped
    | ContentAbandoned
    | StartTls
)


@lru_cache(maxsize=16)
def ehlo_reply(
    hostname: str,
    limits: Limits,
    *,
    starttls: bool,
    mechanisms: tuple[str, ...],
    xclient: bool = False,
    more: tuple[str, ...] = (),
) -> Reply:
    """The answer to EHLO: what is offered now. One of few for all clients, so made once."""
    return replies.ehlo(
        hostname,
        (
            "PIPELINING",
            f"SIZE {limits.message_octets}",
            *(("STARTTLS",) if starttls else ()),
            *(("AUTH " + " ".join(mechanisms),) if mechanisms else ()),
            "ENHANCEDSTATUSCODES",
            "8BITMIME",
            "SMTPUTF8",
            "CHUNKING",
            "BINARYMIME",
            *((OFFER,) if xclient else ()),
            "DSN",
            *more,
            # RFC 9422 §4
            f"LIMITS MAILMAX={limits.messages} RCPTMAX={limits.recipients}",
        ),
    )
