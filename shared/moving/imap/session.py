"""One connection to the old server: commands, and what is answered.

A command is sent when the one before it is through. What breaks the connection raises ``ConnectionLost``: the caller makes another one;
what would not be better the next time raises ``SourceFailed``; a command that the server refuses raises ``Refused``.
"""

from collections.abc import Callable
from typing import Final

import trio

from shared.moving.imap.choose import MAX_MAILBOXES
from shared.moving.imap.framing import ResponseReader, ServerViolation
from shared.moving.imap.login import Login, Server, Tls, open_stream, secure
from shared.moving.imap.responses import (
    Continuation,
    Data,
    FolderStatus,
    Listed,
    Namespaces,
    Status,
    build_string,
    parse_listed,
    parse_namespaces,
    parse_response,
)
from shared.moving.imap.values import number_of
from shared.moving.workers import MOST_OCTETS, SourceFailed
from shared.net.stream import ClientStream, ConnectionLost
from shared.wire import base64

ANSWER_SECONDS: Final = 300.0
"""A server that has no index yet reads all of a mailbox before it says the first word."""
_RECEIVE_OCTETS: Final = 256 * 1024


_NOT_NOW: Final = frozenset({"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG"})
"""RFC 5530 §3: another time it may work."""
BACK_OFF_SECONDS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Before each new attempt to connect; then it is given up."""


class Refused(Exception):
    """NO or BAD, in the server's words."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


Hear = Callable[[Status | Data], None]


def _pass_over(_: Status | Data) -> None:
    """Nobody asked."""


class ImapConnection:
    """``await ImapConnection.open(server, login)``."""

    def __init__(self, stream: ClientStream) -> None:
        self._stream = stream
        self._reader = ResponseReader(MOST_OCTETS)
        self._tags = 0
        self.capabilities: frozenset[str] = frozenset()
        self.opened: bytes | None = None
        """The mailbox that is open."""

    @property
    def knows_changes(self) -> bool:
        """Whether it tells what has changed since (RFC 7162)."""
        return not self.capabilities.isdisjoint({"CONDSTORE", "QRESYNC"})

    @classmethod
    async def open(cls, server: Server, login: Login) -> "ImapConnection":
        """Logged in. Raises ConnectionLost, SourceFailed."""
        stream = await open_stream(server)
        connection = cls(stream)
        try:
            await connection._begin(server, login)
        except ServerViolation as error:
            stream.abort()
            raise SourceFailed(f"{server}: {error}") from None
        except BaseException:
            stream.abort()
            raise
        return connection

    async def _begin(self, server: Server, login: Login) -> None:
        greeting = await self._response()
        if not isinstance(greeting, Status) or greeting.tag or greeting.word not in {"OK", "PREAUTH"}:
            text = greeting.text if isinstance(greeting, Status) else "no greeting of IMAP"
            raise SourceFailed(f"{server}: {text}")
        if server.tls is Tls.STARTTLS:
            await self._start_tls(server)
        elif greeting.word == "PREAUTH":
            raise SourceFailed(f"{server}: it has logged somebody in without being asked")
        await self._learn()
        try:
            await self._log_in(login)
        except Refused as error:
            if error.code in _NOT_NOW:
                raise ConnectionLost(f"the login is refused for now: {error}") from None
            raise SourceFailed(f"{server}: the login is refused: {error}") from None
        # RFC 3501 §6.2.3: more may be offered now
        await self._learn()

    async def _start_tls(self, server: Server) -> None:
        try:
            await self.command(b"STARTTLS")
        except Refused as error:
            raise SourceFailed(f"{server}: no STARTTLS: {error}") from None
        if not self._reader.idle:
            # RFC 9051 §6.2.1: what came in clear is not taken for what comes protected
            raise SourceFailed(f"{server}: plaintext behind the answer to STARTTLS")
        await secure(self._stream, server)

    async def _learn(self) -> None:
        words: list[str] = []

        def hear(response: Status | Data) -> None:
            if isinstance(response, Data) and response.kind == "CAPABILITY":
                words[:] = [word.decode("ascii", "replace").upper() for word in response.values if isinstance(word, bytes)]

        await self.command(b"CAPABILITY", hear=hear)
        self.capabilities = frozenset(words)

    async def _log_in(self, login: Login) -> None:
        user, password = login.user.encode(), login.password.encode()
        plain = "AUTH=PLAIN" in self.capabilities
        if plain and (login.master or "LOGINDISABLED" in self.capabilities or build_string(user + password) is None):
            await self._authenticate(login)
            return
        if login.master:
            raise Refused("it offers no AUTH=PLAIN, which a master's login needs")
        if "LOGINDISABLED" in self.capabilities:
            raise Refused("it takes no passwords over this connection")
        await self.command(b"LOGIN ", user, b" ", password, strings=True)

    async def _authenticate(self, login: Login) -> None:
        """RFC 9051 §6.2.2, RFC 4959."""
        coded = base64.encode(login.plain)
        if "SASL-IR" in self.capabilities:
            await self.command(b"AUTHENTICATE PLAIN " + coded)
        else:
            await self.command(b"AUTHENTICATE PLAIN", continued=coded)

    async def command(
        self, *parts: bytes, strings: bool = False, continued: bytes = b"", hear: Hear = _pass_over
    ) -> Status:
        """``strings``: every second part is a string, sent quoted or as a literal. ``continued``: what the server asks for.

        Raises Refused, ConnectionLost, ServerViolation.
        """
        self._tags += 1
        tag = f"p{self._tags}"
        out = bytearray(tag.encode() + b" ")
        for number, part in enumerate(parts):
            quoted = build_string(part) if strings and number % 2 else part
            if quoted is not None:
                out += quoted
                continue
            # RFC 9051 §4.3: the server says when it is ready for a literal
            await self._stream.send_all(bytes(out + b"{%d}\r\n" % len(part)))
            out = bytearray(part)
            await self._until(tag, hear, at_continuation=True)
        await self._stream.send_all(bytes(out + b"\r\n"))
        if continued:
            await self._until(tag, hear, at_continuation=True)
            await self._stream.send_all(continued + b"\r\n")
        ended = await self._until(tag, hear)
        if ended is None:
            raise ServerViolation("it goes on where there is nothing to go on with")
        return ended

    async def _until(self, tag: str, hear: Hear, *, at_continuation: bool = False) -> Status | None:
        """The end of a command; None: the server asks for more. Raises Refused."""
        while True:
            response = await self._response()
            if isinstance(response, Continuation):
                if at_continuation:
                    return None
                raise ServerViolation("a continuation that nobody asked for")
            if isinstance(response, Data):
                hear(response)
            elif not response.tag:
                if response.word == "BYE":
                    raise ConnectionLost(f"the server ends the connection: {response.text}")
                hear(response)
            elif response.tag == tag:
                if response.word != "OK":
                    raise Refused(response.text or response.code or response.word, response.code)
                if at_continuation:
                    raise ServerViolation("it is through before it has heard all")
                return response
            else:
                raise ServerViolation("an answer to nobody's question")

    async def _response(self) -> Status | Data | Continuation:
        while (pieces := self._reader.next()) is None:
            with trio.move_on_after(ANSWER_SECONDS) as scope:
                data = await self._stream.receive_some(_RECEIVE_OCTETS)
                if not data:
                    raise ConnectionLost("the server has closed the connection")
                self._reader.feed(data)
            if scope.cancelled_caught:
                raise ConnectionLost(f"the server said nothing for {ANSWER_SECONDS:g} s")
        return parse_response(pieces)

    async def listed(self, pattern: bytes, word: bytes = b"LIST") -> list[Listed]:
        """Mailboxes, or with ``LSUB`` what is subscribed. Raises Refused, ConnectionLost, ServerViolation."""
        found: list[Listed] = []

        def hear(response: Status | Data) -> None:
            if isinstance(response, Data) and response.kind == word.decode():
                if len(found) >= MAX_MAILBOXES:
                    raise ServerViolation(f"more than {MAX_MAILBOXES} mailboxes")
                found.append(parse_listed(response))

        await self.command(word + b' "" ', pattern, strings=True, hear=hear)
        return found

    async def namespaces(self) -> Namespaces:
        """RFC 2342. Raises ConnectionLost, ServerViolation."""
        found = [Namespaces()]

        def hear(response: Status | Data) -> None:
            if isinstance(response, Data) and response.kind == "NAMESPACE":
                found.append(parse_namespaces(response))

        if "NAMESPACE" in self.capabilities:
            try:
                await self.command(b"NAMESPACE", hear=hear)
            except Refused:
                pass
        return found[-1]

    async def examine(self, mailbox: bytes) -> FolderStatus:
        """Open it to read (RFC 9051 §6.3.3). Raises Refused, ConnectionLost, ServerViolation."""
        codes: dict[str, int] = {}

        def hear(response: Status | Data) -> None:
            if isinstance(response, Data):
                if response.kind == "EXISTS":
                    codes["EXISTS"] = response.number
            elif response.code in {"UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ"}:
                codes[response.code] = number_of(response.argument)

        self.opened = None
        # RFC 7162 §3.1.8
        parameter = b" (CONDSTORE)" if self.knows_changes else b""
        await self.command(b"EXAMINE ", mailbox, parameter, strings=True, hear=hear)
        self.opened = mailbox
        return FolderStatus(*(codes.get(name, 0) for name in ("UIDVALIDITY", "UIDNEXT", "EXISTS", "HIGHESTMODSEQ")))

    def abort(self) -> None:
        """At once."""
        self._stream.abort()

    async def close(self) -> None:
        """LOGOUT, as far as that still works."""
        with trio.move_on_after(2.0):
            try:
                await self.command(b"LOGOUT")
            except (ConnectionLost, Refused, ServerViolation):
                pass
        self._stream.abort()


class Line:
    """A connection that is made anew when it breaks."""

    def __init__(self, server: Server, login: Login) -> None:
        self.server = server
        self._login = login
        self._connection: ImapConnection | None = None

    async def get(self, *, patient: bool = True) -> ImapConnection:
        """Raises SourceFailed: ``patient`` tries for a minute before."""
        if self._connection is not None:
            return self._connection
        for seconds in (*BACK_OFF_SECONDS, None) if patient else (None,):
            try:
                self._connection = await ImapConnection.open(self.server, self._login)
                return self._connection
            except ConnectionLost as error:
                if seconds is None:
                    raise SourceFailed(f"{self.server}: {error}") from None
                await trio.sleep(seconds)
        raise AssertionError("no attempt was the last one")

    def drop(self) -> None:
        """The next ``get`` connects anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
