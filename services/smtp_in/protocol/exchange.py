"""One AUTH exchange: lines of the client in, challenges, credentials or the refusal out. RFC 4954 §4. Pure."""

from __future__ import annotations

from collections.abc import Callable

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.commands import Auth
from services.smtp_in.protocol.events import AuthRequested
from services.smtp_in.protocol.parse import Refused
from services.smtp_in.protocol.replies import Reply
from shared.sasl.credentials import Credentials, ExchangeCancelled, MalformedExchange
from shared.sasl.server import ServerSession, UnknownMechanism
from shared.wire.lines import BareNewline, LineReader, LineTooLong

Step = bytes | AuthRequested | Reply
"""A challenge to send, credentials to check, or why the exchange is over."""


class Exchange:
    """Begin it, then step until it gives no challenge any more."""

    def __init__(self, auth: Auth) -> None:
        """Raises Refused for a mechanism that is not known."""
        self._initial = auth.initial
        try:
            self._session = ServerSession(auth.mechanism)
        except UnknownMechanism:
            raise Refused(replies.AUTH_UNKNOWN_MECHANISM) from None

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

    def _advance(self, step: Callable[[], bytes | Credentials]) -> Step:
        try:
            outcome = step()
        except MalformedExchange:
            return replies.AUTH_MALFORMED
        except ExchangeCancelled:
            return replies.AUTH_CANCELLED
        if isinstance(outcome, bytes):
            return outcome
        return AuthRequested(outcome, self._session.mechanism)
