"""Logging in on one connection, pure: lines of the client in; challenges, requests to the driver or the refusal out.

Laws:
- Only a mechanism that is offered now can be used: -PLUS under TLS whose channel can be bound, none where a password could be overheard.
- Every line of the client belongs to the exchange until a reply ends it.

RFC 4954 §4, RFC 5802 §6.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from services.smtp_in.protocol import parse, replies
from services.smtp_in.protocol.events import AuthRequested, Profile, ScramRequested
from services.smtp_in.protocol.parse import Refused
from services.smtp_in.protocol.replies import Reply
from shared.sasl.credentials import ClientMessage, Credentials, ExchangeCancelled, MalformedExchange
from shared.sasl.scram import scram_mechanisms
from shared.sasl.server import ServerSession
from shared.wire.lines import BareNewline, LineReader, LineTooLong

Step = bytes | AuthRequested | ScramRequested | Reply
"""A challenge to send, something to check, or why the exchange is over."""


def offered_mechanisms(profile: Profile, *, tls: bool, binding: bool) -> tuple[str, ...]:
    """What a client may log in by now, the best first."""
    # RFC 4954 §4, RFC 8314 §3: no password without TLS, but from networks that the owner named
    if not profile.submission or not (tls or profile.plaintext_auth):
        return ()
    return (*scram_mechanisms(binding=binding), "PLAIN", "LOGIN")


class Exchange:
    """Begin it, then step until it ends in a reply; a ScramRequested that is answered by a challenge goes on."""

    def __init__(self, argument: bytes, profile: Profile, offered: Collection[str]) -> None:
        """``argument``: of AUTH. Raises Refused for what is malformed or not offered."""
        if not profile.submission:
            raise Refused(replies.AUTH_NOT_OFFERED)
        if not offered:
            raise Refused(replies.AUTH_NEEDS_TLS)
        auth = parse.parse_auth(argument)
        if auth.mechanism.upper() not in offered:
            raise Refused(replies.AUTH_UNKNOWN_MECHANISM)
        self._initial = auth.initial
        self._session = ServerSession(auth.mechanism)

    def begin(self) -> Step:
        """With the initial response, if there is one."""
        return self._advance(lambda: self._session.start(self._initial))

    def step(self, reader: LineReader) -> Step | None:
        """The client's next line; None when it is not complete yet."""
        try:
            line = reader.next_line()
        except LineTooLong:
            return replies.AUTH_LINE_TOO_LONG
        except BareNewline:
            return replies.BARE_NEWLINE_IN_COMMAND
        return None if line is None else self._advance(lambda: self._session.feed(line))

    def _advance(self, step: Callable[[], bytes | Credentials | ClientMessage]) -> Step:
        try:
            outcome = step()
        except MalformedExchange:
            return replies.AUTH_MALFORMED
        except ExchangeCancelled:
            return replies.AUTH_CANCELLED
        if isinstance(outcome, bytes):
            return outcome
        if isinstance(outcome, ClientMessage):
            return ScramRequested(outcome)
        return AuthRequested(outcome, self._session.mechanism)
