"""A scripted SMTP server on one free loopback port, for tests of the client: it behaves, until its script says otherwise.

It runs in threads, so that synchronous tests, trio tests and tests with real processes use it alike:

    with SmtpPeer() as peer:                                  # a well-behaved ESMTP server
        peer.port; peer.wait_messages(1); peer.messages[0].content
    with SmtpPeer({"RCPT bob@b.test": Say("550 5.1.1 no"),    # always, for that recipient
                   "END": [Say("451 4.3.0 later")]}) as peer: # the first time only; a list is used up, then it behaves

Steps: CONNECT (the greeting) EHLO HELO STARTTLS HANDSHAKE AUTH MAIL RCPT DATA BDAT (the reply to a chunk that is not the last)
END (the reply to the final dot or the last chunk) RSET QUIT OTHER; "RCPT <address>" goes before "RCPT", "AUTH <mechanism>" stands for the
whole exchange. What a step may do: `smtp_script`.

Laws
- A message is in `messages` once its final dot or last chunk arrived and the script did not refuse it, before the reply is written: that
  is the moment from which a real server answers for it. So "250 and reset" and "killed before the 250 was read" are told.
- Lines are bounded only by memory: the clients under test are ours.
- Every wait has an end.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import attrs

from shared.testing.smtp_auth import AuthOffer
from shared.testing.smtp_script import Action
from shared.testing.smtp_script import Close as Close
from shared.testing.smtp_script import Drop as Drop
from shared.testing.smtp_script import Endless as Endless
from shared.testing.smtp_script import Gate as Gate
from shared.testing.smtp_script import Hang as Hang
from shared.testing.smtp_script import Raw as Raw
from shared.testing.smtp_script import Say as Say
from shared.testing.smtp_script import Script as Script
from shared.testing.smtp_script import Slow as Slow

WAIT_SECONDS = 20.0
_NO_LINGER = struct.pack("ii", 1, 0)  # close sends RST, which is what a crashed server looks like


@attrs.frozen
class ReceivedMail:
    """One message that this server answers for."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    mail_parameters: tuple[str, ...]  # of MAIL, as they came
    tls: bool
    login: str  # the AUTH identity, or empty
    connection: int  # number of the connection, from 1
    hello: str


class _Gone(Exception):
    """The connection is over, by the script or by the client."""


class SmtpPeer:
    """The server; a context manager.

    `tls`: offer STARTTLS with this context. `implicit_tls`: speak TLS from the first byte with it.
    `logins`: offer AUTH and take these passwords; `auth`: how. `extensions`: the other EHLO lines.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str = "peer.test",
        extensions: Sequence[str] = ("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"),
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        logins: Mapping[str, str] | None = None,
        auth: AuthOffer | None = None,
    ) -> None:
        self.name = name
        self.extensions = tuple(extensions)
        self.tls = tls
        self.implicit_tls = implicit_tls
        self.logins = dict(logins or {})
        self.auth = auth or AuthOffer()
        self.commands: list[str] = []
        self.messages: list[ReceivedMail] = []
        self.connections = 0
        self.open_connections = 0
        self.most_connections = 0
        self._script: dict[str, Action | list[Action]] = {}
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._sockets: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.address: tuple[str, int] = (host, self._listener.getsockname()[1])
        self.port = self.address[1]
        self.script(script or {})

    def script(self, script: Script) -> None:
        """Replace the script."""
        with self._changed:
            self._script = {step: list(do) if isinstance(do, Sequence) else do for step, do in script.items()}

    def wait_for(self, condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        """Block until the condition over this object's fields holds; TimeoutError with what came after `seconds`."""
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                raise TimeoutError(f"{len(self.messages)} messages, commands: {self.commands[-20:]}")

    def wait_messages(self, count: int, seconds: float = WAIT_SECONDS) -> list[ReceivedMail]:
        """Block until `count` messages were taken; all of them."""
        self.wait_for(lambda: len(self.messages) >= count, seconds)
        return list(self.messages)

    def wait_command(self, start: str, times: int = 1, seconds: float = WAIT_SECONDS) -> None:
        """Block until commands beginning with `start` came `times` times."""
        self.wait_for(lambda: sum(line.startswith(start) for line in self.commands) >= times, seconds)

    def drop_all(self) -> None:
        """Cut every open connection (a server that closes idle ones)."""
        with self._changed:
            open_sockets = list(self._sockets.values())
        for sock in open_sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every connection and thread."""
        self._closing.set()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.drop_all()
        for thread in self._threads:
            thread.join(WAIT_SECONDS)

    def next_action(self, step: str, argument: str = "") -> Action | None:
        """What the script says for a step (and its recipient), used up if it is a list; None: behave."""
        with self._changed:
            for key in (f"{step} {argument}", step):
                found = self._script.get(key)
                if isinstance(found, list):
                    if found:
                        return found.pop(0)
                elif found is not None:
                    return found
        return None

    def record(self, change: Callable[[], None]) -> None:
        """Change the object's fields and wake those who wait."""
        with self._changed:
            change()
            self._changed.notify_all()

    def hold(self, number: int, sock: socket.socket) -> None:
        """The connection's socket was replaced by one that speaks TLS."""
        with self._changed:
            self._sockets[number] = sock

    @property
    def closing(self) -> threading.Event:
        return self._closing

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="smtp-peer", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return

            def count(sock: socket.socket = sock) -> None:
                self.connections += 1
                self.open_connections += 1
                self.most_connections = max(self.most_connections, self.open_connections)
                self._sockets[self.connections] = sock

            # one reply per command without Nagle: its wait for our client's delayed ACK would cost 40 ms per message
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.record(count)
            self._start(self._serve, sock, self.connections)

    def _serve(self, sock: socket.socket, number: int) -> None:
        session = _Session(self, sock, number)
        try:
            session.run()
        except (_Gone, OSError, ValueError):
            pass
        finally:

            def uncount() -> None:
                self._sockets.pop(number, None)
                self.open_connections -= 1

            self.record(uncount)
            session.close()


class _Session:
    """One connection."""

    def __init__(self, peer: SmtpPeer, sock: socket.socket, number: int) -> None:
        self._peer = peer
        self._sock = sock
        self._number = number
        self._tls = False
        self._login = ""
        self._hello = ""
        self._sender: str | None = None
        self._parameters: tuple[str, ...] = ()
        self._recipients: list[str] = []
        self._chunks = b""
        self._file = sock.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self._sock.close()

    def run(self) -> None:
        if self._peer.implicit_tls:
            self._wrap()
        self._answer("CONNECT", f"220 {self._peer.name} ESMTP")
        handlers: dict[str, Callable[[str], None]] = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "STARTTLS": self._starttls,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "BDAT": self._bdat,
            "RSET": self._rset,
            "QUIT": self._quit,
        }
        while True:
            line = self._line()
            self._peer.record(lambda line=line: self._peer.commands.append(line))  # type: ignore[misc]  # mypy and lambda defaults
            verb, _, rest = line.partition(" ")
            handler = handlers.get(verb.upper())
            if handler is None:
                self._answer("OTHER", "500 5.5.1 unknown command")
            else:
                handler(rest)

    def _line(self) -> str:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise _Gone
        return line.decode("utf-8", "surrogateescape").rstrip("\r\n")

    def _write(self, data: bytes) -> None:
        self._sock.sendall(data)

    def _say(self, text: str) -> None:
        self._write("".join(f"{line}\r\n" for line in text.split("\n")).encode("utf-8", "surrogateescape"))

    def _answer(self, step: str, usual: str, argument: str = "") -> bool:
        """Do what the script has for the step; whether the usual reply (or one with the same class) was given."""
        return self._perform(self._peer.next_action(step, argument), usual)

    def _pass_gate(self, gate: Gate) -> Action | None:
        self._peer.record(gate.reached.set)
        while not gate.opened.wait(0.02):
            if self._peer.closing.is_set():
                raise _Gone
        return gate.then

    def _perform(self, action: Action | None, usual: str) -> bool:
        match self._pass_gate(action) if isinstance(action, Gate) else action:
            case None:
                self._say(usual)
                return True
            case Say(text, then_drop, then_close):
                self._say(text)
                if then_drop:
                    self._reset()
                if then_close:
                    self._end()
                return text[:1] == usual[:1]
            case Raw(data, then_drop):
                self._write(data)
                if then_drop:
                    self._reset()
                return False
            case Slow(pause_seconds):
                for octet in f"{usual}\r\n".encode():
                    self._write(bytes([octet]))
                    time.sleep(pause_seconds)
                return True
            case Endless(piece):
                while not self._peer.closing.is_set():
                    self._write(piece)
                raise _Gone
            case Close():
                self._end()
                return False
            case Hang():
                self._peer.closing.wait()
                raise _Gone
            case _:
                self._reset()
                return False

    def _end(self) -> None:
        self._sock.shutdown(socket.SHUT_WR)
        while self._file.read(65536):  # else unread input turns the close into a reset
            pass
        raise _Gone

    def _reset(self) -> None:
        self._file.close()  # else the descriptor stays open behind it
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._sock.close()
        raise _Gone

    def _wrap(self) -> None:
        action = self._peer.next_action("HANDSHAKE")
        if action is not None:
            # the client has begun: a reset before that would be a connection that failed, no handshake
            self._sock.recv(1)
            self._perform(action, "")
            raise _Gone
        assert self._peer.tls is not None
        self._sock = self._peer.tls.wrap_socket(self._sock, server_side=True)
        self._peer.hold(self._number, self._sock)
        self._file = self._sock.makefile("rb")
        self._tls = True

    def _ehlo(self, rest: str) -> None:
        self._clear()
        self._hello = rest
        lines = [self._peer.name, *self._peer.extensions]
        if self._peer.tls is not None and not self._tls:
            lines.append("STARTTLS")
        if self._peer.logins:
            lines.append(f"AUTH {' '.join(self._peer.auth.mechanisms)}")
        self._answer("EHLO", "\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"]))

    def _helo(self, rest: str) -> None:
        self._clear()
        self._hello = rest
        self._answer("HELO", f"250 {self._peer.name}")

    def _starttls(self, _: str) -> None:
        if self._peer.tls is None:
            self._answer("STARTTLS", "502 5.5.1 no TLS here")
        elif self._answer("STARTTLS", "220 2.0.0 go ahead"):
            self._wrap()

    def _auth(self, rest: str) -> None:
        refusal = self._peer.next_action(f"AUTH {rest.partition(' ')[0]}")
        if refusal is not None:
            self._perform(refusal, "")
            return
        user = self._peer.auth.user_of(rest, self._say, self._line, self._peer.logins)
        if self._answer("AUTH", "235 2.7.0 welcome" if user else "535 5.7.8 wrong") and user:
            self._login = user

    def _mail(self, rest: str) -> None:
        path, *parameters = rest.split(" ")
        if self._answer("MAIL", "250 2.1.0 ok"):
            self._clear()
            self._sender = path.partition("<")[2].rstrip(">")
            self._parameters = tuple(parameters)

    def _rcpt(self, rest: str) -> None:
        address = rest.partition("<")[2].rpartition(">")[0]
        if self._sender is None:
            self._say("503 5.5.1 MAIL first")
        elif self._answer("RCPT", "250 2.1.5 ok", address):
            self._recipients.append(address)

    def _data(self, _: str) -> None:
        if not self._recipients:
            self._answer("DATA", "503 5.5.1 no recipient")
        elif self._answer("DATA", "354 go on"):
            self._content()

    def _content(self) -> None:
        lines = []
        while (line := self._file.readline()) != b".\r\n":
            if not line.endswith(b"\n"):
                raise _Gone
            lines.append(line[1:] if line.startswith(b".") else line)
        self._take(b"".join(lines))

    def _bdat(self, rest: str) -> None:
        octets, _, last = rest.partition(" ")
        self._chunks += self._file.read(int(octets))
        if not self._recipients:
            self._say("503 5.5.1 no recipient")
        elif last:
            self._take(self._chunks)
        elif not self._answer("BDAT", f"250 2.0.0 {octets} octets taken"):
            self._clear()

    def _take(self, content: bytes) -> None:
        action = self._peer.next_action("END")
        refused = isinstance(action, (Say, Raw)) and not _text(action).startswith("2")
        if not refused and not isinstance(action, (Drop, Close, Hang, Endless)):
            mail = ReceivedMail(
                self._sender or "",
                tuple(self._recipients),
                content,
                self._parameters,
                self._tls,
                self._login,
                self._number,
                self._hello,
            )
            self._peer.record(lambda: self._peer.messages.append(mail))
        self._clear()
        self._perform(action, "250 2.0.0 taken")

    def _rset(self, _: str) -> None:
        self._clear()
        self._answer("RSET", "250 2.0.0 ok")

    def _quit(self, _: str) -> None:
        self._answer("QUIT", "221 2.0.0 bye")
        raise _Gone

    def _clear(self) -> None:
        self._sender = None
        self._parameters = ()
        self._recipients = []
        self._chunks = b""


def _text(action: Say | Raw) -> str:
    return action.text if isinstance(action, Say) else action.data.decode("latin-1")
