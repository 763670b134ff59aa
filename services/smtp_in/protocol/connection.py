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

RFC 5321, 1870, 2033, 2034, 2920, 3030, 3207, 3461, 4954, 6152, 6531, 9422.
"""

from __future__ import annotations

from services.smtp_in.protocol import parse, replies
from services.smtp_in.protocol.commands import BARE, IDLE, Mail, Verb
from services.smtp_in.protocol.content import ChunkedContent, DataContent, Progress
from services.smtp_in.protocol.events import (
    AuthRequested,
    ContentAbandoned,
    ContentDropped,
    ContentEnded,
    Event,
    MailRequested,
    Profile,
    RcptRequested,
    ScramRequested,
    XClientRequested,
)
from services.smtp_in.protocol.exchange import Exchange, Step, offered_mechanisms
from services.smtp_in.protocol.handlers import HANDLERS
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.protocol.parse import Refused
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.protocol.state import IN_TRANSACTION, TABLE, Mode, State
from shared.wire import base64
from shared.wire.lines import BareNewline, LineReader, LineTooLong


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
        self.mode = Mode.COMMANDS
        """What the next bytes are."""
        self._reader = LineReader(self._line_limit())
        self._output: list[bytes] = []
        self._events: list[Event] = []
        self._pending: Event | None = None
        self.recipients = 0
        """Of the transaction under way, accepted."""
        self._idle_commands = 0
        self._auth_failures = 0
        self._exchange: Exchange | None = None
        self.content: DataContent | ChunkedContent | None = None
        """The message under way; between two chunks it is there while commands are read."""

    # What the driver calls.

    def greet(self, refusal: Reply | None = None) -> None:
        """Queue the greeting, or the reply that refuses the connection before it began (RFC 5321 §3.1)."""
        if refusal is None:
            self.send(replies.greeting(self.profile.hostname))
        else:
            self.close(refusal, "refused")

    def feed(self, data: bytes) -> None:
        """Bytes from the client. Call only after `next_event` returned None."""
        if self.mode is not Mode.CLOSED:
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
        return self.mode is Mode.CLOSED

    @property
    def in_transaction(self) -> bool:
        """Between an accepted MAIL and the reply that ends the transaction."""
        return self.state in IN_TRANSACTION or self.mode is Mode.CONTENT or self._pending is not None

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
            if self.draining and self.mode in (Mode.COMMANDS, Mode.AUTH) and not self.in_transaction:
                self.drain()
            elif self.mode is Mode.COMMANDS:
                if not self._step_command():
                    return None
            elif self.mode is Mode.CONTENT:
                if not self._step_content():
                    return None
            elif self.mode is Mode.AUTH:
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
        if isinstance(event, ContentEnded):
            self._send_each(reply)
        else:
            self.send(reply)
        if isinstance(event, MailRequested):
            self._after_mail(event, reply)
        elif isinstance(event, RcptRequested):
            self._after_rcpt(reply)
        elif isinstance(event, (AuthRequested, ScramRequested)):
            self._after_auth(reply)
        elif isinstance(event, XClientRequested):
            self._after_xclient(reply)
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
        self.mode = Mode.COMMANDS
        self._start_over()
        return dropped

    def _start_over(self) -> None:
        """As a new connection: neither EHLO nor a log-in counts any more."""
        self.authenticated = False
        self.helo = None
        self.esmtp = False
        self.state = State.START
        self._reader.max_line_octets = self._line_limit()

    def _after_xclient(self, reply: Reply) -> None:
        if reply.is_positive:
            self._start_over()
        else:
            self._count_error()

    def close(self, reply: Reply | None, reason: str) -> None:
        """End the connection, with a last reply if there is one to give."""
        if self.mode is Mode.CLOSED:
            return
        if reply is not None:
            self.send(reply)
        self.mode = Mode.CLOSED
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
            self._error(self.worded(rule.refusal) or rule.refusal)
        elif parse.has_control_characters(line):
            self._refuse_line(line, replies.BAD_CHARACTERS)
        elif argument and verb in BARE:
            self._error(replies.NO_ARGUMENTS)
        elif not (verb in IDLE and self._is_idling()):
            try:
                HANDLERS[verb](self, argument, rule.then or self.state)
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

    def _after_mail(self, event: MailRequested, reply: Reply) -> None:
        if reply.is_positive:
            self.state = TABLE[Verb.MAIL, self.state].then or self.state
            self.mail = event.mail
            self.recipients = 0

    def _after_rcpt(self, reply: Reply) -> None:
        if reply.is_positive:
            self.state = TABLE[Verb.RCPT, self.state].then or self.state
            self.recipients += 1
        elif not reply.is_temporary:
            self.refused_recipients += 1
            if self.refused_recipients >= self.limits.refused_recipients:
                self.close(replies.TOO_MANY_REFUSED_RECIPIENTS, "refused recipients")

    # AUTH.

    def begin_auth(self, argument: bytes) -> None:
        """AUTH. Raises Refused."""
        if self.authenticated:
            raise Refused(replies.ALREADY_AUTHENTICATED)
        self._exchange = Exchange(argument, self.profile, self.offered())
        self.mode = Mode.AUTH
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
            self.send(step)
            self._after_auth(step)
        else:
            self._pending = step

    def _after_auth(self, reply: Reply) -> None:
        self._exchange = None
        self.mode = Mode.COMMANDS
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
        content = self.content
        if content is None:
            raise RuntimeError("no content under way")
        progress, piece = content.step(self._reader)
        if piece is not None:
            self._events.append(piece)
        match progress:
            case Progress.NEEDS_MORE:
                return False
            case Progress.FAR_TOO_BIG:
                self.refuse_far_too_big(content.octets)
            case Progress.CHUNK_ENDED | Progress.ENDED if isinstance(content, ChunkedContent):
                self._end_chunk(content, progress)
            case Progress.ENDED:
                self._end_content(content.refusal, content.octets)
        return True

    def _end_chunk(self, content: ChunkedContent, progress: Progress) -> None:
        self.mode = Mode.COMMANDS
        if self.state is not State.CHUNKS:
            # RFC 3030 §2: it was not allowed, and its octets were dropped
            self.content = None
            self._error(content.refusal or replies.NEED_MAIL)
        elif progress is Progress.ENDED:
            self._end_content(content.refusal, content.octets)
        else:
            self.send(content.refusal or replies.chunk_taken(content.chunk_octets))

    def _end_content(self, refusal: Reply | None, octets: int) -> None:
        self.mode = Mode.COMMANDS
        self.content = None
        if refusal is None:
            self._events.append(ContentEnded(octets))
            return
        self._send_each(refusal)
        self._events.append(ContentDropped(refusal, octets))
        self._after_content(refusal)

    def refuse_far_too_big(self, octets: int) -> None:
        """What is to come has no end worth waiting for."""
        self.content = None
        self._events.append(ContentDropped(replies.MESSAGE_TOO_BIG, octets))
        self._send_each(replies.MESSAGE_TOO_BIG)
        self.close(None, "message too big")

    def _after_content(self, reply: Reply) -> None:
        self.messages += 1
        if reply.is_positive:
            self._idle_commands = 0
        self.begin(TABLE[Verb.DATA, State.RCPT].then or State.READY)

    # Small things, for the handlers, too.

    def ask(self, event: Event) -> None:
        """An event that wants an answer; nothing goes on before it has one."""
        self._pending = event

    def emit(self, event: Event) -> None:
        """An event that wants none."""
        self._events.append(event)

    def begin(self, state: State) -> None:
        """No transaction is under way any more."""
        if self.content is not None:
            self.content = None
            self._events.append(ContentAbandoned())
        self.state = state
        self.mail = None
        self.recipients = 0

    def send(self, reply: Reply) -> None:
        """Queue a reply."""
        self._output.append(reply.wire)

    def _send_each(self, reply: Reply) -> None:
        """What becomes of a content: in LMTP told for every recipient, as one transaction holds them all (RFC 2033 §4.2)."""
        for _ in range(self.recipients if self.profile.lmtp else 1):
            self.send(reply)

    def worded(self, refusal: Reply | None) -> Reply | None:
        """A refusal of the table in the words of the protocol spoken."""
        # RFC 2033 §4.2: DATA without recipients MUST fail with 503
        return replies.NO_LMTP_RECIPIENTS if self.profile.lmtp and refusal is replies.NO_RECIPIENTS else refusal

    def _error(self, reply: Reply) -> None:
        self.send(reply)
        if reply.code == 421:
            self.close(None, "errors")
        else:
            self._count_error()

    def _count_error(self) -> None:
        self.errors += 1
        if self.errors >= self.limits.errors:
            self.close(replies.TOO_MANY_ERRORS, "errors")

    def offered(self) -> tuple[str, ...]:
        """By what the client may log in now."""
        return offered_mechanisms(self.profile, tls=self.tls, binding=self.binding)

    def _line_limit(self) -> int:
        if not self.authenticated and self.offered():
            return max(self.limits.command_line_octets, self.limits.auth_line_octets)
        return self.limits.command_line_octets

