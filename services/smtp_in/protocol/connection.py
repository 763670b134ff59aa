"""One SMTP connection as a receiver, pure: bytes in, events out; answers in, bytes out.

How it is driven:
    connection.greet()
    loop: event = connection.next_event()
          None     -> send `take_output()`, end if `closed`, else read bytes and `feed` them
          an event -> do what it asks, then `answer(reply)` (all but ContentPiece, ContentDropped)
          StartTls -> send `take_output()`, do the handshake, `tls_started()`

Laws:
- Replies pile up until the input is used up or an event must be seen by the client, so a pipelined batch is answered with
  one write (RFC 2920 §3.2), in order.
- Order of commands is the table of `state`; a refused command changes nothing.
- A message ends at CRLF.CRLF and nowhere else. Content that is too big or has a bare CR or LF is read to its real end,
  dropped, and refused there, so the stream stays in step.
- After STARTTLS nothing survives: not what the client had sent in plaintext behind it, not its EHLO, not its
  log-in (RFC 3207 §4.2). AUTH never happens on a relay port, and without TLS only where the profile allows it.
- Any bytes in any state give replies or events; this module raises only where its driver breaks the protocol above.

RFC 5321, 1870, 2034, 2920, 3207, 4954, 6152, 6531.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from services.smtp_in.protocol import parse, replies
from services.smtp_in.protocol.commands import Mail, Verb
from services.smtp_in.protocol.events import (
    AuthRequested,
    ContentDropped,
    ContentEnded,
    ContentPiece,
    ContentStarted,
    Event,
    MailRequested,
    Profile,
    RcptRequested,
    StartTls,
    ehlo_reply,
)
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.protocol.parse import Refused
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.protocol.state import TABLE, State
from shared.sasl.credentials import Credentials, ExchangeCancelled, MalformedExchange
from shared.sasl.server import ServerSession, UnknownMechanism
from shared.wire.dots import DotReader
from shared.wire.lines import BareNewline, LineReader, LineTooLong

_CONTENT_STARTED = ContentStarted()
_START_TLS = StartTls()


class _Mode(Enum):
    """What the next bytes are."""

    COMMANDS = 1
    AUTH = 2
    CONTENT = 3
    TLS = 4
    CLOSED = 5


# Commands that take no argument (RFC 5321 §4.1.1: with one, 501).
_BARE = frozenset({Verb.DATA, Verb.RSET, Verb.QUIT, Verb.STARTTLS})
# Commands that move no mail: see Limits.idle_commands.
_IDLE = frozenset({Verb.EHLO, Verb.HELO, Verb.RSET, Verb.NOOP, Verb.VRFY, Verb.HELP})


class Connection:
    """The machine. See the module's head for how it is driven."""

    def __init__(self, profile: Profile, limits: Limits, *, tls: bool = False) -> None:
        """`tls`: the connection began under TLS (implicit TLS, RFC 8314)."""
        self.profile = profile
        self.limits = limits
        self.tls = tls
        self.state = State.START
        self.helo: str | None = None
        self.esmtp = False
        """The client said EHLO, not HELO."""
        self.authenticated = False
        self.mail: Mail | None = None
        """The transaction's MAIL, while one is under way."""
        self.errors = 0
        self.refused_recipients = 0
        self.messages = 0
        """Contents that were answered, well or badly."""
        self.close_reason: str | None = None
        """Why the connection was closed, once it is: a word for the log."""
        self.draining = False
        self._mode = _Mode.COMMANDS
        self._reader = LineReader(self._line_limit())
        self._output: list[bytes] = []
        self._events: list[Event] = []
        self._pending: Event | None = None
        self._recipients = 0
        self._idle_commands = 0
        self._auth_failures = 0
        self._sasl: ServerSession | None = None
        self._dots: DotReader | None = None
        self._content_octets = 0
        self._content_refusal: Reply | None = None

    # What the driver calls.

    def greet(self, refusal: Reply | None = None) -> None:
        """Queue the greeting, or the reply that refuses the connection before it began (RFC 5321 §3.1)."""
        if refusal is None:
            self._send(replies.greeting(self.profile.hostname))
        else:
            self.close(refusal, "refused")

    def feed(self, data: bytes) -> None:
        """Bytes from the client. Call only after `next_event` returned None."""
        if self._mode is not _Mode.CLOSED:
            self._reader.feed(data)

    def take_output(self) -> bytes:
        """What has to be sent now; b"" when nothing has."""
        if not self._output:
            return b""
        data = self._output[0] if len(self._output) == 1 else b"".join(self._output)
        self._output.clear()
        return data

    @property
    def closed(self) -> bool:
        """No more bytes are read; the connection ends after the output was sent."""
        return self._mode is _Mode.CLOSED

    @property
    def in_transaction(self) -> bool:
        """Between an accepted MAIL and the reply that ends the transaction."""
        return self.state in (State.MAIL, State.RCPT) or self._mode is _Mode.CONTENT or self._pending is not None

    def next_event(self) -> Event | None:
        """The next thing to do, or None when more bytes are needed (or the connection is closed)."""
        if self._pending is not None:
            raise RuntimeError("the last event was not answered")
        while True:
            if self._events:
                event = self._events.pop(0)
                if isinstance(event, ContentEnded):
                    self._pending = event
                return event
            if self._mode is _Mode.COMMANDS:
                if self.draining and not self.in_transaction:
                    self.drain()
                elif not self._step_command():
                    return None
            elif self._mode is _Mode.CONTENT:
                if not self._step_content():
                    return None
            elif self._mode is _Mode.AUTH:
                if not self._step_auth():
                    return None
            else:
                return None
            if self._pending is not None:
                return self._pending

    def answer(self, reply: Reply) -> None:
        """The answer to the last event that wants one."""
        event, self._pending = self._pending, None
        if event is None:
            raise RuntimeError("there is nothing to answer")
        self._send(reply)
        if isinstance(event, MailRequested):
            self._after_mail(event, reply)
        elif isinstance(event, RcptRequested):
            self._after_rcpt(reply)
        elif isinstance(event, AuthRequested):
            self._after_auth(reply)
        else:
            self._after_content(reply)
        if reply.code == 421:
            self.close(None, "refused")

    def tls_started(self) -> int:
        """The handshake is done; how many octets of plaintext were thrown away that the client had sent behind STARTTLS."""
        # RFC 3207 §4.2
        dropped = self._reader.discard()
        self.tls = True
        self.authenticated = False
        self.helo = None
        self.esmtp = False
        self.state = State.START
        self._mode = _Mode.COMMANDS
        self._set_line_limit()
        return dropped

    def close(self, reply: Reply | None, reason: str) -> None:
        """End the connection, with a last reply if there is one to give."""
        if self._mode is _Mode.CLOSED:
            return
        if reply is not None:
            self._send(reply)
        self._mode = _Mode.CLOSED
        self._pending = None
        self.close_reason = reason

    def drain(self) -> None:
        """The service stops: 421 now, or as soon as the transaction under way has ended."""
        self.draining = True
        if not self.in_transaction:
            self.close(replies.unavailable(self.profile.hostname), "drained")

    def time_out(self) -> None:
        """The client was silent for too long."""
        self.close(replies.timed_out(self.profile.hostname), "timeout")

    # Commands.

    def _step_command(self) -> bool:
        try:
            line = self._reader.next_line()
        except LineTooLong:
            self._error(replies.LINE_TOO_LONG)
            return True
        except BareNewline:
            self._error(replies.BARE_NEWLINE_IN_COMMAND)
            return True
        if line is None:
            return False
        verb, argument = parse.split_verb(line)
        rule = TABLE[verb, self.state]
        if rule.refusal is not None:
            self._error(rule.refusal)
        elif parse.has_control_characters(line):
            self._error(replies.BAD_CHARACTERS)
        elif argument and verb in _BARE:
            self._error(replies.NO_ARGUMENTS)
        elif not (verb in _IDLE and self._is_idling()):
            try:
                _HANDLERS[verb](self, argument, rule.then or self.state)
            except Refused as refused:
                self._error(refused.reply)
        return True

    def _is_idling(self) -> bool:
        self._idle_commands += 1
        if self._idle_commands > self.limits.idle_commands:
            self.close(replies.TOO_MANY_ERRORS, "errors")
            return True
        return False

    def _handle_ehlo(self, argument: bytes, then: State) -> None:
        self.helo = parse.parse_host(argument)
        self.esmtp = True
        self._begin(then)
        self._send(self._ehlo_reply())

    def _handle_helo(self, argument: bytes, then: State) -> None:
        self.helo = parse.parse_host(argument)
        self.esmtp = False
        self._begin(then)
        self._send(replies.helo(self.profile.hostname))

    def _handle_mail(self, argument: bytes, then: State) -> None:
        if self.profile.submission and not self.authenticated:
            raise Refused(replies.AUTH_REQUIRED if self._may_auth() else replies.NEED_TLS)
        mail = parse.parse_mail(argument, self.limits)
        # RFC 1870 §6.1
        if mail.size is not None and mail.size > self.limits.message_octets:
            raise Refused(replies.MESSAGE_TOO_BIG)
        if self.messages >= self.limits.messages:
            self.close(replies.TOO_MANY_MESSAGES, "messages")
            return
        self._pending = MailRequested(mail)

    def _after_mail(self, event: MailRequested, reply: Reply) -> None:
        if reply.is_positive:
            self.state = TABLE[Verb.MAIL, self.state].then or self.state
            self.mail = event.mail
            self._recipients = 0

    def _handle_rcpt(self, argument: bytes, then: State) -> None:
        mail = self.mail
        if mail is None:
            raise RuntimeError("state without a transaction")
        rcpt = parse.parse_rcpt(argument, self.limits, smtputf8=mail.smtputf8)
        # RFC 5321 §4.5.3.1.10
        if self._recipients >= self.limits.recipients:
            self._send(replies.TOO_MANY_RECIPIENTS)
        elif mail.sender is None and self._recipients >= 1:
            # A bounce has one recipient; more is a spammer's saving. Temporary, so that the rest comes in turn.
            self._send(replies.ONE_RECIPIENT_FOR_NULL_SENDER)
        else:
            self._pending = RcptRequested(rcpt)

    def _after_rcpt(self, reply: Reply) -> None:
        if reply.is_positive:
            self.state = TABLE[Verb.RCPT, self.state].then or self.state
            self._recipients += 1
        elif not reply.is_temporary:
            self.refused_recipients += 1
            if self.refused_recipients >= self.limits.refused_recipients:
                self.close(replies.TOO_MANY_REFUSED_RECIPIENTS, "refused recipients")

    def _handle_data(self, argument: bytes, then: State) -> None:
        self._mode = _Mode.CONTENT
        self._dots = DotReader()
        self._content_octets = 0
        self._content_refusal = None
        self._send(replies.START_DATA)
        self._events.append(_CONTENT_STARTED)

    def _handle_rset(self, argument: bytes, then: State) -> None:
        self._begin(then)
        self._send(replies.RESET)

    def _handle_noop(self, argument: bytes, then: State) -> None:
        self._send(replies.OK)

    def _handle_vrfy(self, argument: bytes, then: State) -> None:
        if not argument:
            raise Refused(replies.NEEDS_ARGUMENT)
        self._send(replies.VRFY)

    def _handle_help(self, argument: bytes, then: State) -> None:
        self._send(replies.HELP)

    def _handle_quit(self, argument: bytes, then: State) -> None:
        self._begin(State.START)
        self.close(replies.closing(self.profile.hostname), "quit")

    def _handle_starttls(self, argument: bytes, then: State) -> None:
        if self.tls:
            raise Refused(replies.TLS_ACTIVE)
        if not self.profile.starttls:
            raise Refused(replies.TLS_NOT_OFFERED)
        self._send(replies.TLS_READY)
        self._mode = _Mode.TLS
        self._events.append(_START_TLS)

    # AUTH.

    def _handle_auth(self, argument: bytes, then: State) -> None:
        if not self.profile.submission:
            raise Refused(replies.AUTH_NOT_OFFERED)
        if self.authenticated:
            raise Refused(replies.ALREADY_AUTHENTICATED)
        if not self._may_auth():
            raise Refused(replies.AUTH_NEEDS_TLS)
        auth = parse.parse_auth(argument)
        try:
            self._sasl = ServerSession(auth.mechanism)
        except UnknownMechanism:
            raise Refused(replies.AUTH_UNKNOWN_MECHANISM) from None
        self._mode = _Mode.AUTH
        sasl = self._sasl
        self._advance_auth(lambda: sasl.start(auth.initial))

    def _step_auth(self) -> bool:
        sasl = self._sasl
        if sasl is None:
            raise RuntimeError("no exchange under way")
        try:
            line = self._reader.next_line()
        except LineTooLong:
            self._end_auth(replies.AUTH_LINE_TOO_LONG)
            return True
        except BareNewline:
            self._end_auth(replies.BARE_NEWLINE_IN_COMMAND)
            return True
        if line is None:
            return False
        self._advance_auth(lambda: sasl.feed(line))
        return True

    def _advance_auth(self, step: Callable[[], bytes | Credentials]) -> None:
        try:
            outcome = step()
        except MalformedExchange:
            self._end_auth(replies.AUTH_MALFORMED)
        except ExchangeCancelled:
            self._end_auth(replies.AUTH_CANCELLED)
        else:
            if isinstance(outcome, bytes):
                self._output.append(replies.challenge(outcome))
            else:
                mechanism = self._sasl.mechanism if self._sasl else ""
                self._end_auth(None)
                self._pending = AuthRequested(outcome, mechanism)

    def _end_auth(self, refusal: Reply | None) -> None:
        self._sasl = None
        self._mode = _Mode.COMMANDS
        if refusal is not None:
            self._error(refusal)

    def _after_auth(self, reply: Reply) -> None:
        if reply.is_positive:
            self.authenticated = True
            self._set_line_limit()
        elif not reply.is_temporary:
            self._auth_failures += 1
            if self._auth_failures >= self.limits.auth_failures:
                self.close(replies.TOO_MANY_AUTH_FAILURES, "authentication failures")

    # Content.

    def _step_content(self) -> bool:
        dots = self._dots
        if dots is None:
            raise RuntimeError("no content under way")
        data = self._reader.take()
        if not data:
            return False
        piece = dots.feed(data)
        self._content_octets += len(piece)
        if self._content_refusal is None:
            if self._content_octets > self.limits.message_octets:
                self._content_refusal = replies.MESSAGE_TOO_BIG
            elif dots.bare_newline:
                self._content_refusal = replies.BARE_NEWLINE
            elif piece:
                self._events.append(ContentPiece(piece))
        if self._content_octets > 2 * self.limits.message_octets:
            # It was told the limit in EHLO and goes on beyond twice that: reading to the end may have no end.
            self._events.append(ContentDropped(replies.MESSAGE_TOO_BIG, self._content_octets))
            self.close(replies.MESSAGE_TOO_BIG, "message too big")
        elif dots.ended:
            self._end_content(dots)
        return True

    def _end_content(self, dots: DotReader) -> None:
        self._mode = _Mode.COMMANDS
        self._dots = None
        self._reader.feed(dots.rest)
        if self._content_refusal is None:
            self._events.append(ContentEnded(self._content_octets))
            return
        reply = self._content_refusal
        self._send(reply)
        self._events.append(ContentDropped(reply, self._content_octets))
        self._after_content(reply)

    def _after_content(self, reply: Reply) -> None:
        self.messages += 1
        if reply.is_positive:
            self._idle_commands = 0
        self._begin(TABLE[Verb.DATA, State.RCPT].then or State.READY)

    # Small things.

    def _begin(self, state: State) -> None:
        """No transaction is under way any more."""
        self.state = state
        self.mail = None
        self._recipients = 0

    def _send(self, reply: Reply) -> None:
        self._output.append(reply.wire)

    def _error(self, reply: Reply) -> None:
        self._send(reply)
        if reply.code == 421:
            self.close(None, "errors")
            return
        self.errors += 1
        if self.errors >= self.limits.errors:
            self.close(replies.TOO_MANY_ERRORS, "errors")

    def _may_auth(self) -> bool:
        """RFC 4954 §4, RFC 8314 §3: no password without TLS, but from networks that the owner named."""
        return self.tls or self.profile.plaintext_auth

    def _line_limit(self) -> int:
        if self.profile.submission and not self.authenticated and self._may_auth():
            return max(self.limits.command_line_octets, self.limits.auth_line_octets)
        return self.limits.command_line_octets

    def _set_line_limit(self) -> None:
        self._reader.max_line_octets = self._line_limit()

    def _ehlo_reply(self) -> Reply:
        starttls = self.profile.starttls and not self.tls
        auth = self.profile.submission and self._may_auth()
        return ehlo_reply(self.profile.hostname, self.limits.message_octets, starttls=starttls, auth=auth)


_HANDLERS: dict[Verb, Callable[[Connection, bytes, State], None]] = {
    Verb.EHLO: Connection._handle_ehlo,
    Verb.HELO: Connection._handle_helo,
    Verb.MAIL: Connection._handle_mail,
    Verb.RCPT: Connection._handle_rcpt,
    Verb.DATA: Connection._handle_data,
    Verb.RSET: Connection._handle_rset,
    Verb.NOOP: Connection._handle_noop,
    Verb.VRFY: Connection._handle_vrfy,
    Verb.HELP: Connection._handle_help,
    Verb.QUIT: Connection._handle_quit,
    Verb.STARTTLS: Connection._handle_starttls,
    Verb.AUTH: Connection._handle_auth,
}
