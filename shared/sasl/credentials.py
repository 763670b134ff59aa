"""What a SASL exchange is about and how it ends, seen from the server.

Laws: a password is in no repr, no exception and no log line. Nothing here decides whether credentials are right; the
store does. What can fail: `MalformedExchange` (the client broke the mechanism's syntax: SMTP 501 5.5.2, IMAP BAD,
POP3 -ERR), `ExchangeCancelled` (the client sent "*": SMTP 501 5.7.0, IMAP BAD, POP3 -ERR).
"""

from __future__ import annotations

from typing import Protocol

from attrs import field, frozen

MAX_FIELD_OCTETS = 1024
"""Longest user name or password. RFC 4616 §2 asks for at least 255 octets of each."""

MAX_RESPONSE_OCTETS = 3 * MAX_FIELD_OCTETS + 2
"""Longest client response of any mechanism here, decoded: PLAIN's three fields and two NULs."""

MAX_RESPONSE_LINE_OCTETS = (MAX_RESPONSE_OCTETS + 2) // 3 * 4 + 2
"""The same as a base64 line with its CRLF: what a line reader must allow during an exchange."""


class SaslError(Exception):
    """An exchange that cannot go on. Its text is safe to show and to log."""


class MalformedExchange(SaslError):
    """Not base64, or not what the mechanism's grammar allows."""


class ExchangeCancelled(SaslError):
    """The client sent "*" instead of a response."""


@frozen
class Credentials:
    """The outcome of an exchange: who says they are `authcid` with `password`.

    `authzid` is the identity they wish to act as; "" means their own.
    """

    authcid: str
    password: str = field(repr=False)
    authzid: str = ""

    @property
    def acts_as_other(self) -> bool:
        """The client asks for another identity than its own, which no account here may."""
        return self.authzid not in ("", self.authcid)


@frozen
class Challenge:
    """The server's next challenge, decoded."""

    data: bytes


@frozen
class ClientMessage:
    """What the client said in an exchange whose next step is the store's (SCRAM), decoded: a challenge answers it, or the end."""

    mechanism: str
    data: bytes = field(repr=False)
    first: bool
    """It begins an exchange; whatever was known of an earlier one is void."""


Step = Challenge | Credentials | ClientMessage


class ServerMechanism(Protocol):
    """One exchange of one mechanism on the server's side."""

    name: str

    def start(self, initial: bytes | None) -> Step:
        """Begin, with the initial response if the client sent one. Raises MalformedExchange."""
        ...

    def respond(self, response: bytes) -> Step:
        """The client's answer to the last challenge. Raises MalformedExchange."""
        ...


class ClientMechanism(Protocol):
    """One exchange of one mechanism on the client's side."""

    name: str

    def initial(self) -> bytes | None:
        """The initial response, or None for a mechanism in which the server speaks first."""
        ...

    def respond(self, challenge: bytes) -> bytes:
        """The answer to a challenge. Raises MalformedExchange when the mechanism has no more to say."""
        ...


def decode_text(data: bytes) -> str:
    """A field of a response as text: UTF-8 without NUL, within the bound. Raises MalformedExchange (text not in it)."""
    if len(data) > MAX_FIELD_OCTETS:
        raise MalformedExchange("user name or password is too long")
    if b"\0" in data:
        raise MalformedExchange("NUL in user name or password")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedExchange("user name or password is not UTF-8") from None
