"""One SMTP connection as a receiver, pure: bytes in, events out; answers in, bytes out.

How it is driven:
    connection.greet()
    loop: event = connection.next_event()
          None     -> send `take_output()`, end if `closed`, else read bytes and `feed` them
          an event -> do what it asks, then `answer(reply)` (all but ContentPiece, ContentDropped); ScramRequested: or `challenge`
          StartTls -> send `take_output()`, do the handshake, `tls_started()`

Laws:
- Replies pile up until the input is used up or an event must be seen by the client, so a pipelined batch is answered with
  one write (RFC 2920 §3.2), in order.
- Order of commands is the table of `state`; a refused command changes nothing.
- By DATA a message ends at CRLF.CRLF and nowhere else, by BDAT with its last chunk. Content that is too big or has a
  bare CR or LF is read to its real end, dropped, and refused there, so the stream stays in step.
- After STARTTLS nothing survives: not what the client had sent in plaintext behind it, not its EHLO, not its
  log-in (RFC 3207 §4.2). AUTH never happens on a relay port, and without TLS only where the profile allows it.
- Any bytes in any state give replies or events; this module raises only where its driver breaks the protocol above.

RFC 5321, 1870, 2034, 2920, 3030, 3207, 3461, 4954, 6152, 6531, 9422.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from services.smtp_in.protocol import parse, replies
from services.smtp_in.protocol.commands import BARE, IDLE, Mail, Verb
from services.smtp_in.protocol.content import ChunkedContent, DataContent, Progress
from services.smtp_in.protocol.events import (
    AuthRequested,
    ContentAbandoned,
    ContentDropped,
    ContentEnded,
    ContentStarted,
    Event,
    MailRequested,
    Profile,
    RcptRequested,
    ScramRequested,
    StartTls,
    ehlo_reply,
)
from services.smtp_in.protocol.exchange import Exchange, Step, offered_mechanisms
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.protocol.parse import Refused
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.protocol.state import CHUNK_REFUSALS, IN_TRANSACTION, TABLE, State
from shared.wire import base64
from shared.wire.lines import BareNewline, LineReader, LineTooLong


class _Mode(Enum):
    """What the next bytes are."""

    COMMANDS = 1
    AUTH = 2
    CONTENT = 3
    TLS = 4
    CLOSED = 5


class Connection:
    """The machine. See the module's head for how it is driven."""

    def __init__(self, profile: Profile, limits: Limits, *, tls: bool = False, binding: bool = False) -> None:
        """`tls`: the connection began under TLS (implicit TLS, RFC 8314)."""
        self.profile = profile
        self.limits = limits
        self.tls = tls
        self.binding = binding
        """The channel can be bound (RFC 5929, RFC 9266); after STARTTLS the driver says so."""
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
        self._exchange: Exchange | None = None
        self._content: DataContent | ChunkedContent | None = None
        """The message under way; between two chunks it is there while commands are read."""

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
        return self.state in IN_TRANSACTION or self._mode is _Mode.CONTENT or self._pending is not None

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
            if self.draining and self._mode in (_Mode.COMMANDS, _Mode.AUTH) and not self.in_transaction:
                self.drain()
            elif self._mode is _Mode.COMMANDS:
                if not self._step_command():
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
        elif isinstance(event, (AuthRequested, ScramRequested)):
            self._after_auth(reply)
        else:
            self._after_content(reply)
        if reply.code == 421:
            self.close(None, "refused")

    def challenge(self, data: bytes) -> None:
        """The answer to ScramRequested with which the exchange goes on; raw."""
        if not isinstance(self._pending, ScramRequested):
            raise RuntimeError("there is nothing to challenge")
        self._pending = None
        self._output.append(replies.challenge(base64.encode(data)))

    def tls_started(self) -> int:
        """The handshake is done; how many octets of plaintext were thrown away that the client had sent behind STARTTLS."""
        # RFC 3207 §4.2
        dropped = self._reader.discard()
        self.tls = True
        self.binding = False
        self.authenticated = False
        self.helo = None
        self.esmtp = False
        self.state = State.START
        self._mode = _Mode.COMMANDS
        self._reader.max_line_octets = self._line_limit()
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
        except BareNewline as bare:
            self._refuse_line(bare.line, replies.BARE_NEWLINE_IN_COMMAND)
            return True
        if line is None:
            return False
        verb, argument = parse.split_verb(line)
        rule = TABLE[verb, self.state]
        if rule.refusal is not None:
            self._error(rule.refusal)
        elif parse.has_control_characters(line):
            self._refuse_line(line, replies.BAD_CHARACTERS)
        elif argument and verb in BARE:
            self._error(replies.NO_ARGUMENTS)
        elif not (verb in IDLE and self._is_idling()):
            try:
                _HANDLERS[verb](self, argument, rule.then or self.state)
            except Refused as refused:
                self._error(refused.reply)
        return True

    def _refuse_line(self, line: bytes, reply: Reply) -> None:
        if parse.is_chunk(line):
            # Octets follow, nobody knows how many: nothing that comes can be taken for a command.
            self.close(reply, "errors")
        else:
            self._error(reply)

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
        starttls = self.profile.starttls and not self.tls
        self._send(ehlo_reply(self.profile.hostname, self.limits, starttls=starttls, mechanisms=self._offered()))

    def _handle_helo(self, argument: bytes, then: State) -> None:
        self.helo = parse.parse_host(argument)
        self.esmtp = False
        self._begin(then)
        self._send(replies.helo(self.profile.hostname))

    def _handle_mail(self, argument: bytes, then: State) -> None:
        if self.profile.submission and not self.authenticated:
            raise Refused(replies.AUTH_REQUIRED if self._offered() else replies.NEED_TLS)
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
        self._content = DataContent(self.limits.message_octets)
        self._send(replies.START_DATA)
        self._events.append(ContentStarted())

    def _handle_bdat(self, argument: bytes, then: State) -> None:
        try:
            chunk = parse.parse_chunk(argument)
        except Refused as refused:
            # Nobody knows how many octets follow: nothing that comes can be taken for a command.
            self.close(refused.reply, "errors")
            return
        if not isinstance(self._content, ChunkedContent):
            refusal = CHUNK_REFUSALS.get(self.state)
            if refusal is None:
                self._events.append(ContentStarted())
            self._content = ChunkedContent(self.limits.message_octets, refusal)
        content = self._content
        self.state = then
        content.begin_chunk(chunk.octets, last=chunk.last)
        if content.will_be_far_too_big:
            self._refuse_far_too_big(content.octets)
            return
        self._mode = _Mode.CONTENT

    def _handle_rset(self, argument: bytes, then: State) -> None:
        self._begin(then)
        self._send(replies.RESET)

    def _handle_vrfy(self, argument: bytes, then: State) -> None:
        if not argument:
            raise Refused(replies.NEEDS_ARGUMENT)
        self._send(replies.VRFY)

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
        self._events.append(StartTls())

    # AUTH.

    def _handle_auth(self, argument: bytes, then: State) -> None:
        if self.authenticated:
            raise Refused(replies.ALREADY_AUTHENTICATED)
        self._exchange = Exchange(argument, self.profile, self._offered())
        self._mode = _Mode.AUTH
        self._advance_auth(self._exchange.begin())

    def _step_auth(self) -> bool:
        step = self._exchange.step(self._reader) if self._exchange is not None else None
        if step is not None:
            self._advance_auth(step)
        return step is not None

    def _advance_auth(self, step: Step) -> None:
        if isinstance(step, bytes):
            self._output.append(replies.challenge(step))
        elif isinstance(step, Reply):
            self._send(step)
            self._after_auth(step)
        else:
            self._pending = step

    def _after_auth(self, reply: Reply) -> None:
        self._exchange = None
        self._mode = _Mode.COMMANDS
        if reply.code in (500, 501):  # no credentials came of it
            self._count_error()
        elif reply.is_positive:
            self.authenticated = True
            self._reader.max_line_octets = self._line_limit()
        elif not reply.is_temporary:
            self._auth_failures += 1
            if self._auth_failures >= self.limits.auth_failures:
                self.close(replies.TOO_MANY_AUTH_FAILURES, "authentication failures")

    # Content.

    def _step_content(self) -> bool:
        content = self._content
        if content is None:
            raise RuntimeError("no content under way")
        progress, piece = content.step(self._reader)
        if piece is not None:
            self._events.append(piece)
        match progress:
            case Progress.NEEDS_MORE:
                return False
            case Progress.FAR_TOO_BIG:
                self._refuse_far_too_big(content.octets)
            case Progress.CHUNK_ENDED | Progress.ENDED if isinstance(content, ChunkedContent):
                self._end_chunk(content, progress)
            case Progress.ENDED:
                self._end_content(content.refusal, content.octets)
        return True

    def _end_chunk(self, content: ChunkedContent, progress: Progress) -> None:
        self._mode = _Mode.COMMANDS
        if self.state is not State.CHUNKS:
            # RFC 3030 §2: it was not allowed, and its octets were dropped
            self._content = None
            self._error(content.refusal or replies.NEED_MAIL)
        elif progress is Progress.ENDED:
            self._end_content(content.refusal, content.octets)
        else:
            self._send(content.refusal or replies.chunk_taken(content.chunk_octets))

    def _end_content(self, refusal: Reply | None, octets: int) -> None:
        self._mode = _Mode.COMMANDS
        self._content = None
        if refusal is None:
            self._events.append(ContentEnded(octets))
            return
        self._send(refusal)
        self._events.append(ContentDropped(refusal, octets))
        self._after_content(refusal)

    def _refuse_far_too_big(self, octets: int) -> None:
        self._content = None
        self._events.append(ContentDropped(replies.MESSAGE_TOO_BIG, octets))
        self.close(replies.MESSAGE_TOO_BIG, "message too big")

    def _after_content(self, reply: Reply) -> None:
        self.messages += 1
        if reply.is_positive:
            self._idle_commands = 0
        self._begin(TABLE[Verb.DATA, State.RCPT].then or State.READY)

    # Small things.

    def _begin(self, state: State) -> None:
        """No transaction is under way any more."""
        if self._content is not None:
            self._content = None
            self._events.append(ContentAbandoned())
        self.state = state
        self.mail = None
        self._recipients = 0

    def _send(self, reply: Reply) -> None:
        self._output.append(reply.wire)

    def _error(self, reply: Reply) -> None:
        self._send(reply)
        if reply.code == 421:
            self.close(None, "errors")
        else:
            self._count_error()

    def _count_error(self) -> None:
        self.errors += 1
        if self.errors >= self.limits.errors:
            self.close(replies.TOO_MANY_ERRORS, "errors")

    def _offered(self) -> tuple[str, ...]:
        return offered_mechanisms(self.profile, tls=self.tls, binding=self.binding)

    def _line_limit(self) -> int:
        if not self.authenticated and self._offered():
            return max(self.limits.command_line_octets, self.limits.auth_line_octets)
        return self.limits.command_line_octets


_HANDLERS: dict[Verb, Callable[[Connection, bytes, State], None]] = {
    Verb.EHLO: Connection._handle_ehlo,
    Verb.HELO: Connection._handle_helo,
    Verb.MAIL: Connection._handle_mail,
    Verb.RCPT: Connection._handle_rcpt,
    Verb.DATA: Connection._handle_data,
    Verb.BDAT: Connection._handle_bdat,
    Verb.RSET: Connection._handle_rset,
    Verb.NOOP: lambda self, *_: self._send(replies.OK),
    Verb.VRFY: Connection._handle_vrfy,
    Verb.HELP: lambda self, *_: self._send(replies.HELP),
    Verb.QUIT: Connection._handle_quit,
    Verb.STARTTLS: Connection._handle_starttls,
    Verb.AUTH: Connection._handle_auth,
}
