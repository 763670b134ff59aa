"""The old server's POP3: what it calls the messages of INBOX, so that clients which leave mail on the server take nothing twice.

It asks LIST and UIDL, and TOP where that is not enough; nothing is retrieved and nothing deleted. Lines, lists and headers are bounded.
"""

from typing import Final

import attrs
import trio

from shared.moving.imap.login import Login, Server, Tls, open_stream, secure
from shared.moving.uidl import is_uidl
from shared.moving.workers import SourceFailed
from shared.net.stream import ClientStream, ConnectionLost
from shared.wire import base64
from shared.wire.lines import LineReader, LineTooLong

MAX_LINE_OCTETS: Final = 8192
"""RFC 2449 §4 has 512; header fields in TOP may be long."""
MAX_MESSAGES: Final = 1_000_000
MAX_HEADER_OCTETS: Final = 1024 * 1024
ANSWER_SECONDS: Final = 300.0


@attrs.frozen
class Dropped:
    """A message of the maildrop."""

    number: int
    octets: int
    uidl: str


class Pop3Connection:
    """One connection; ends with ``close``."""

    def __init__(self, stream: ClientStream, server: Server) -> None:
        self._stream = stream
        self._server = server
        self._lines = LineReader(MAX_LINE_OCTETS)

    @classmethod
    async def open(cls, server: Server, login: Login) -> "Pop3Connection":
        """Logged in. Raises SourceFailed."""
        try:
            stream = await open_stream(server)
        except ConnectionLost as error:
            raise SourceFailed(f"{server}: {error}") from None
        connection = cls(stream, server)
        try:
            await connection._begin(login)
        except ConnectionLost as error:
            stream.abort()
            raise SourceFailed(f"{server}: {error}") from None
        except BaseException:
            stream.abort()
            raise
        return connection

    async def _begin(self, login: Login) -> None:
        await self._answer()
        if self._server.tls is Tls.STARTTLS:
            # RFC 2595 §4
            await self._ask(b"STLS")
            if len(self._lines):
                raise SourceFailed(f"{self._server}: plaintext behind the answer to STLS")
            await secure(self._stream, self._server)
        if login.master:
            # RFC 5034 §4: the initial response goes with the command
            await self._ask(b"AUTH PLAIN " + base64.encode(login.plain))
            return
        if any(character in login.user + login.password for character in "\r\n"):
            raise SourceFailed("a line end in the user's name or the password")
        await self._ask(b"USER " + login.user.encode())
        await self._ask(b"PASS " + login.password.encode())

    async def listed(self) -> list[Dropped]:
        """All messages, as they are ordered. Raises SourceFailed, ConnectionLost."""
        sizes = await self._table(b"LIST")
        uidls = await self._table(b"UIDL")
        return [
            Dropped(number, int(octets), uidls[number].decode("ascii"))
            for number, octets in sizes.items()
            if octets.isdigit() and number in uidls and is_uidl(uidls[number].decode("latin-1"))
        ]

    async def _table(self, command: bytes) -> dict[int, bytes]:
        """RFC 1939 §5, §7."""
        await self._ask(command)
        found: dict[int, bytes] = {}
        while (line := await self._line()) != b".":
            words = line.split()
            if len(words) < 2 or not words[0].isdigit() or len(words[0]) > 9 or len(found) >= MAX_MESSAGES:
                raise SourceFailed(f"{self._server}: {command.decode()} is no list of messages")
            found[int(words[0])] = words[1]
        return found

    async def header(self, number: int) -> bytes:
        """RFC 1939 §7: TOP; without the empty line. Raises SourceFailed, ConnectionLost."""
        await self._ask(b"TOP %d 0" % number)
        lines: list[bytes] = []
        octets = 0
        while (line := await self._line()) != b".":
            octets += len(line) + 2
            if octets <= MAX_HEADER_OCTETS:
                lines.append(line[1:] if line.startswith(b".") else line)
        return b"\r\n".join(lines)

    async def _ask(self, command: bytes) -> bytes:
        await self._stream.send_all(command + b"\r\n")
        return await self._answer()

    async def _answer(self) -> bytes:
        line = await self._line()
        if not line.startswith(b"+OK"):
            raise SourceFailed(f"{self._server}: {line[:200].decode('utf-8', 'replace')}")
        return line

    async def _line(self) -> bytes:
        while True:
            try:
                line = self._lines.next_loose_line()
            except LineTooLong:
                raise SourceFailed(f"{self._server}: a line of more than {MAX_LINE_OCTETS} octets") from None
            if line is not None:
                return line
            with trio.move_on_after(ANSWER_SECONDS):
                data = await self._stream.receive_some(65536)
                if data:
                    self._lines.feed(data)
                    continue
            raise ConnectionLost("the server has closed the connection, or says nothing")

    async def close(self) -> None:
        """QUIT; nothing was marked as deleted."""
        with trio.move_on_after(2.0):
            try:
                await self._ask(b"QUIT")
            except (ConnectionLost, SourceFailed):
                pass
        self._stream.abort()
