"""One POP3 connection, server side, without I/O: `receive_data` in, `next_event` out.

Laws:
- Any octets, split in any way, give events and nothing else; memory is bounded by one line and one read.
- Commands are answered in the order in which they came (RFC 2449 §6.6). The session may take several events ahead of
  what it has sent, but works on them in order, and takes none after a `List` before that is rendered.
- After `Login`, `Scram`, `StartTls` and `Update` no event comes until the session has said how it went; further commands wait.
- What a client sent behind STLS is thrown away (RFC 2595 §4, CVE-2011-0411), and the USER before it forgotten.
- No password is accepted, and no mechanism offered, where it could be overheard (`Policy.login_allowed`).
- Only a QUIT in the TRANSACTION state leads to an `Update`, whatever else ends the connection (RFC 1939 §6).

RFC 1939, RFC 2449, RFC 2595 §4, RFC 3206, RFC 5034, RFC 5802 §6 (-PLUS), RFC 6856.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from services.pop3.protocol import replies
from services.pop3.protocol.commands import Command, Verb
from services.pop3.protocol.drop import Drop, Listing
from services.pop3.protocol.events import Event, Goodbye, List, Login, Reply, Retrieve, Scram, StartTls, Top, Update
from services.pop3.protocol.grammar import MAX_LINE_OCTETS, Malformed, parse_command
from services.pop3.protocol.languages import ENGLISH, LANGUAGES, choose_language, translate
from services.pop3.protocol.state import COMMAND_STATES, TABLE, State
from shared.sasl.credentials import (
    MAX_RESPONSE_LINE_OCTETS,
    ClientMessage,
    Credentials,
    ExchangeCancelled,
    SaslError,
)
from shared.sasl.scram import scram_mechanisms
from shared.sasl.server import ServerSession
from shared.wire import base64
from shared.wire.lines import LineReader, LineTooLong


@attrs.frozen
class Policy:
    """What this connection may do; decided when it is accepted, and again after STLS."""

    tls_active: bool = False
    tls_available: bool = True
    plaintext_login: bool = False
    """The client's network may send passwords without TLS."""
    binding: bool = False
    """The channel can be bound (RFC 5929, RFC 9266)."""
    max_errors: int = 20
    max_login_failures: int = 3

    @property
    def login_allowed(self) -> bool:
        """Whether a password may be sent now."""
        return self.tls_active or self.plaintext_login

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What a client may log in by now, the best first. LOGIN is left out: it has no RFC, and USER and PASS do the same."""
        return (*scram_mechanisms(binding=self.binding), "PLAIN") if self.login_allowed else ()


class Pop3Connection:
    """The state of one connection."""

    def __init__(self, policy: Policy, hostname: str) -> None:
        self.state = State.AUTHORIZATION
        self.verbs_seen: dict[str, int] = {}
        """Commands by verb; the session moves the counts into its metrics."""
        self._policy = policy
        self._hostname = hostname
        self._lines = LineReader(MAX_LINE_OCTETS)
        self._drop: Drop | None = None
        self._user = ""
        self._exchange: ServerSession | None = None
        self._errors = 0
        self._login_failures = 0
        self._language = ENGLISH
        # RFC 2449 §6.7: before a login "the smallest value which could be set for any user"
        self._expire = "1 USER"
        self._handlers: dict[Verb, Callable[[Command], Event]] = {
            Verb.USER: self._handle_user,
            Verb.PASS: self._handle_pass,
            Verb.AUTH: self._handle_auth,
            Verb.STLS: self._handle_stls,
            Verb.CAPA: self._handle_capa,
            Verb.QUIT: self._handle_quit,
            Verb.STAT: self._handle_stat,
            Verb.LIST: self._handle_list,
            Verb.RETR: self._handle_retr,
            Verb.DELE: self._handle_dele,
            Verb.NOOP: self._handle_noop,
            Verb.RSET: self._handle_rset,
            Verb.TOP: self._handle_top,
            Verb.UIDL: self._handle_uidl,
            Verb.UTF8: self._handle_utf8,
            Verb.LANG: self._handle_lang,
        }

    # --- in and out

    def greeting(self) -> Reply:
        """What the server says first."""
        return Reply(replies.greeting(self._hostname))

    def receive_data(self, data: bytes) -> None:
        """Octets from the client, after `next_event` has returned None."""
        if self.state is not State.CLOSED:
            self._lines.feed(data)

    def next_event(self) -> Event | None:
        """What to do next, or None: more octets are needed, or an answer to the last event, or it is over."""
        if self.state in COMMAND_STATES:
            try:
                line = self._lines.next_loose_line()
            except LineTooLong:
                return self._error(replies.LINE_TOO_LONG)
            return None if line is None else self._command(line)
        if self.state is State.EXCHANGE:
            return self._exchange_line()
        return None

    def spoken(self, reply: bytes) -> bytes:
        """A reply as this client wants to read it: each one goes through here on its way out."""
        return reply if self._language == ENGLISH else translate(reply, self._language)

    # --- what the session says

    def challenge(self, data: bytes) -> Event:
        """The SCRAM exchange goes on with this, raw."""
        if self._exchange is None or self.state is not State.LOGIN:
            raise RuntimeError("there is nothing to challenge")
        return self._ask(base64.encode(data))

    def login_malformed(self) -> Event:
        """The client's message was no SCRAM."""
        return self._exchange_over(replies.AUTH_MALFORMED)

    def login_succeeded(self, drop: Drop, expire_days: int = 0) -> Event:
        """The password was right and the maildrop is open; its messages go by themselves after so many days (0: never)."""
        self._end_exchange()
        self._expire = str(expire_days or "NEVER")
        self._drop = drop
        self.state = State.TRANSACTION
        return Reply(replies.maildrop(drop.messages, drop.octets))

    def login_failed(self) -> Event:
        """The password was wrong, or there is no such user."""
        self._end_exchange()
        self._login_failures += 1
        if self._login_failures >= self._policy.max_login_failures:
            self.state = State.CLOSED
            return Goodbye(replies.AUTH_FAILED_CLOSING, "failed logins")
        self.state = State.AUTHORIZATION
        return Reply(replies.AUTH_FAILED)

    def login_banned(self) -> Event:
        """No login is heard from the client for a time."""
        self._end_exchange()
        self.state = State.CLOSED
        return Goodbye(replies.BANNED, "banned")

    def login_refused(self, reply: bytes) -> Event:
        """It could not be checked, or the maildrop could not be opened; the client may try again."""
        self._end_exchange()
        self.state = State.AUTHORIZATION
        return Reply(reply)

    def tls_started(self, *, binding: bool = False) -> None:
        """The handshake is done; whether the channel can be bound. What was said before it is forgotten (RFC 2595 §4)."""
        self._policy = attrs.evolve(self._policy, tls_active=True, binding=binding)
        self._lines.discard()
        self._user = ""
        self.state = State.AUTHORIZATION

    def update_done(self, removed: bool) -> Event:
        """All marked messages are removed, durably; or some may not be."""
        self.state = State.CLOSED
        # RFC 1939 §6
        if not removed:
            return Goodbye(replies.NOT_REMOVED, "quit, removal failed")
        return Goodbye(replies.signing_off(self.drop.messages), "quit")

    @property
    def drop(self) -> Drop:
        """The maildrop; only after a login."""
        if self._drop is None:
            raise RuntimeError("no maildrop before a login")
        return self._drop

    # --- lines

    def _command(self, line: bytes) -> Event:
        try:
            command = parse_command(line)
        except Malformed as error:
            if self.state is State.PASSWORD:
                self.state = State.AUTHORIZATION
            return self._error(error.reply)
        verb = command.verb
        self.verbs_seen[verb.name] = self.verbs_seen.get(verb.name, 0) + 1
        cell = TABLE[self.state][verb]
        self.state = cell.after
        if cell.refusal is not None:
            return self._error(cell.refusal)
        return self._handlers[verb](command)

    def _exchange_line(self) -> Event | None:
        try:
            line = self._lines.next_loose_line()
        except LineTooLong:
            return self._exchange_over(replies.AUTH_MALFORMED)
        if line is None:
            return None
        if self._exchange is None:
            raise RuntimeError("no exchange is under way")
        try:
            return self._exchange_step(self._exchange.feed(line))
        except ExchangeCancelled:
            return self._exchange_over(replies.AUTH_CANCELLED)
        except SaslError:
            return self._exchange_over(replies.AUTH_MALFORMED)

    def _exchange_step(self, step: bytes | Credentials | ClientMessage) -> Event:
        if isinstance(step, bytes):
            return self._ask(step)
        self.state = State.LOGIN
        if isinstance(step, ClientMessage):
            return Scram(step)
        return self.login_failed() if step.acts_as_other else Login(step)

    def _ask(self, challenge: bytes) -> Event:
        self.state = State.EXCHANGE
        self._lines.max_line_octets = MAX_RESPONSE_LINE_OCTETS
        return Reply(b"+ " + challenge + b"\r\n")

    def _exchange_over(self, reply: bytes) -> Event:
        self._end_exchange()
        self.state = State.AUTHORIZATION
        return self._error(reply)

    def _end_exchange(self) -> None:
        self._lines.max_line_octets = MAX_LINE_OCTETS
        self._exchange = None

    def _error(self, reply: bytes) -> Event:
        """A refused command; too many of them end the connection."""
        self._errors += 1
        if self._errors < self._policy.max_errors:
            return Reply(reply)
        self.state = State.CLOSED
        return Goodbye(replies.TOO_MANY_ERRORS, "too many errors")

    # --- AUTHORIZATION: RFC 1939 §4, §7, RFC 2595 §4, RFC 5034 §4

    def _handle_user(self, command: Command) -> Event:
        if not self._policy.login_allowed:
            self.state = State.AUTHORIZATION
            return self._error(replies.TLS_FIRST)
        self._user = command.text.strip(" ")
        # the same answer whether or not there is such a user: RFC 1939 §13
        return Reply(replies.USER_OK)

    def _handle_pass(self, command: Command) -> Event:
        return Login(Credentials(authcid=self._user, password=command.text))

    def _handle_auth(self, command: Command) -> Event:
        offered = self._policy.mechanisms
        if not command.mechanism:
            # not in any RFC; old clients ask so what there is, and most servers answer
            listing = "".join(f"{name}\r\n" for name in offered).encode("ascii")
            return Reply(replies.MECHANISMS_FOLLOW + listing + replies.END)
        if not offered:
            return self._error(replies.TLS_FIRST)
        if command.mechanism not in offered:
            return self._error(replies.UNKNOWN_MECHANISM)
        self._exchange = ServerSession(command.mechanism)
        try:
            return self._exchange_step(self._exchange.start(command.initial))
        except SaslError:
            return self._exchange_over(replies.AUTH_MALFORMED)

    def _handle_stls(self, command: Command) -> Event:
        if self._policy.tls_active:
            return self._error(replies.TLS_ALREADY)
        if not self._policy.tls_available:
            return self._error(replies.NO_TLS)
        self.state = State.TLS
        return StartTls(replies.TLS_BEGIN, self._lines.discard())

    # --- both

    def _handle_capa(self, command: Command) -> Event:
        return Reply(replies.CAPABILITIES_FOLLOW + self._capabilities() + replies.END)

    def _capabilities(self) -> bytes:
        names = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8 USER", "LANG", f"EXPIRE {self._expire}"]
        # RFC 2449 §5: what is announced before login is announced after it, too
        if self._policy.login_allowed:
            names += ["USER", "SASL " + " ".join(self._policy.mechanisms)]
        # RFC 2595 §4: "present and permitted in the current state"
        if self.state is State.AUTHORIZATION and self._policy.tls_available and not self._policy.tls_active:
            names.append("STLS")
        names.append("IMPLEMENTATION Pillarbox")
        return "".join(f"{name}\r\n" for name in names).encode("ascii")

    def _handle_utf8(self, command: Command) -> Event:
        """RFC 6856 §2.1. Nothing is sent otherwise for it: see the service's README."""
        return Reply(replies.UTF8_ENABLED)

    def _handle_lang(self, command: Command) -> Event:
        """RFC 6856 §3.2: the reply to a change is in the new language, and names it."""
        if not command.language:
            listing = "".join(f"{tag} {name}\r\n" for tag, name in LANGUAGES.items()).encode()
            return Reply(replies.LANGUAGES_FOLLOW + listing + replies.END)
        language = choose_language(command.language)
        if language is None:
            return self._error(replies.NO_SUCH_LANGUAGE)
        self._language = language
        told = translate(replies.LANGUAGE_CHANGED, language)
        return Reply(told.replace(b"+OK ", b"+OK %b " % language.encode(), 1))

    def _handle_quit(self, command: Command) -> Event:
        if self.state is not State.UPDATE:
            return Goodbye(replies.signing_off(None), "quit")
        return Update(self.drop.marked_uids())

    # --- TRANSACTION: RFC 1939 §5, §7

    def _handle_stat(self, command: Command) -> Event:
        return Reply(b"+OK %d %d\r\n" % (self.drop.messages, self.drop.octets))

    def _handle_list(self, command: Command) -> Event:
        return self._listing(Listing.SIZES, command.number)

    def _handle_uidl(self, command: Command) -> Event:
        return self._listing(Listing.UNIQUE_IDS, command.number)

    def _listing(self, listing: Listing, number: int | None) -> Event:
        if number is None:
            return List(listing)
        refusal = self.drop.refusal(number)
        return Reply(refusal if refusal is not None else self.drop.line(listing, number))

    def _handle_retr(self, command: Command) -> Event:
        number = command.number or 0
        refusal = self.drop.refusal(number)
        return Retrieve(number) if refusal is None else Reply(refusal)

    def _handle_top(self, command: Command) -> Event:
        number = command.number or 0
        refusal = self.drop.refusal(number)
        return Top(number, command.lines) if refusal is None else Reply(refusal)

    def _handle_dele(self, command: Command) -> Event:
        number = command.number or 0
        refusal = self.drop.refusal(number)
        if refusal is not None:
            return Reply(refusal)
        self.drop.mark(number)
        return Reply(replies.deleted(number))

    def _handle_noop(self, command: Command) -> Event:
        return Reply(replies.OK)

    def _handle_rset(self, command: Command) -> Event:
        self.drop.unmark_all()
        return Reply(replies.maildrop(self.drop.messages, self.drop.octets))
