"""The server's side of a SASL exchange in a line protocol: base64 lines in, base64 challenges out.

The profiles of SMTP (RFC 4954 §4), IMAP (RFC 9051 §6.2.2, RFC 4959) and POP3 (RFC 5034 §4) agree on this layer: "="
as an initial response is an empty one, "*" cancels, everything else is base64. The protocol adds its own frame
("334 ", "+ ").
What can fail: UnknownMechanism, MalformedExchange, ExchangeCancelled. After any of them the exchange is over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from shared.sasl.credentials import (
    MAX_RESPONSE_OCTETS,
    Challenge,
    ClientMessage,
    Credentials,
    ExchangeCancelled,
    MalformedExchange,
    SaslError,
    ServerMechanism,
    Step,
)
from shared.sasl.login import LoginServer
from shared.sasl.plain import PlainServer
from shared.sasl.scram import SCRAM, SCRAM_PLUS
from shared.sasl.scram_relay import ScramRelay
from shared.wire import base64

SERVER_MECHANISMS: Mapping[str, Callable[[], ServerMechanism]] = {
    SCRAM_PLUS: partial(ScramRelay, SCRAM_PLUS),
    SCRAM: partial(ScramRelay, SCRAM),
    "PLAIN": PlainServer,
    "LOGIN": LoginServer,
}
"""All there are, by name; each protocol offers what fits its connection."""


class UnknownMechanism(SaslError):
    """The client named a mechanism that is not offered (SMTP 504 5.5.4, IMAP NO, POP3 -ERR)."""


class ServerSession:
    """One exchange: `start`, then `feed` for each line, until Credentials come out; after a ClientMessage the challenge is the caller's."""

    __slots__ = ("_mechanism",)

    def __init__(self, mechanism: str) -> None:
        """Begin an exchange by mechanism name, any case. Raises UnknownMechanism."""
        make = SERVER_MECHANISMS.get(mechanism.upper())
        if make is None:
            raise UnknownMechanism("unknown authentication mechanism")
        self._mechanism = make()

    @property
    def mechanism(self) -> str:
        """The mechanism's registered name."""
        return self._mechanism.name

    def start(self, initial: bytes | None = None) -> bytes | Credentials | ClientMessage:
        """The first challenge as base64, or what came of the initial response.

        `initial` is that response as it stood on the command line (base64 or "="), None if there was none. Raises MalformedExchange.
        """
        if initial is None:
            return _encode(self._mechanism.start(None))
        # RFC 4954 §4, RFC 4959 §3: "=" stands for an initial response that is present and empty.
        return _encode(self._mechanism.start(decode_initial(initial)))

    def feed(self, line: bytes) -> bytes | Credentials | ClientMessage:
        """The next challenge as base64, or what came of it. `line` comes without its CRLF.

        Raises MalformedExchange, ExchangeCancelled.
        """
        return _encode(self._mechanism.respond(decode_response(line)))


def decode_initial(text: bytes) -> bytes:
    """An initial response as it stood on the command line. Raises MalformedExchange."""
    return b"" if text == b"=" else _decode(text)


def decode_response(line: bytes) -> bytes:
    """A response as it stood on its line. Raises MalformedExchange, ExchangeCancelled."""
    if line == b"*":
        raise ExchangeCancelled("authentication cancelled by the client")
    return _decode(line)


def _decode(text: bytes) -> bytes:
    try:
        return base64.decode(text, MAX_RESPONSE_OCTETS)
    except base64.InvalidBase64:
        raise MalformedExchange("response is not base64 or too long") from None


def _encode(step: Step) -> bytes | Credentials | ClientMessage:
    return base64.encode(step.data) if isinstance(step, Challenge) else step
