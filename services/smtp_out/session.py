"""One SMTP session with a remote host: the shell that does what the protocol's dialogues say.

Laws
- Every wait has an end: RFC 5321 §4.5.3.2 per step, cut by the settings' limit.
- Whatever a peer does ends in `SessionBroken` (connection, time, protocol) or `Refused` (its own words); nothing else
  leaves this module but cancellation and what the content's reader raises.
- After any of them the session is dead: `close` is all that is left. Content that was begun is never ended with a dot
  or a last chunk unless it is whole.
- Plaintext that came before the TLS handshake is never read after it (RFC 3207 §6, CVE-2011-0411): it breaks the session.
"""

from __future__ import annotations

import ipaddress
import secrets
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
from attrs import evolve

from services.smtp_out.chunker import Chunker
from services.smtp_out.options import Options
from services.smtp_out.protocol.capabilities import Capabilities
from services.smtp_out.protocol.flow import (
    TIMEOUT_SECONDS,
    Await,
    ChunkReady,
    Flow,
    NextChunk,
    Refused,
    Send,
    SendChunk,
    SendContent,
    Step,
)
from services.smtp_out.protocol.opening import authenticate, greet, hello, quit_session, reset, start_tls
from services.smtp_out.protocol.reply import PeerViolation, Reply, ReplyParser
from services.smtp_out.protocol.transaction import Transaction
from services.smtp_out.require_tls import Hop
from services.smtp_out.route import Target
from services.smtp_out.transcript import Transcript, attempt_transcript
from shared.net.binding import END_POINT
from shared.net.dial import connect
from shared.net.stream import CertificateRefused, ClientStream, ConnectionLost, TlsFailed
from shared.sasl.client import ScramTerms
from shared.sasl.scram import SCRAM_PLUS
from shared.wire import base64
from shared.wire.dots import DotWriter

T = TypeVar("T")
Content = Callable[[], Awaitable[bytes]]  # the message's next piece, empty at its end
Judge = Callable[[tuple[bytes, ...]], str]  # certificates in DER, the server's own first; why they do not do, or nothing
_RECEIVE_OCTETS = 16384
_SEND_OCTETS = 16384  # small pieces of a message go out together
_NONCE_OCTETS = 18


class SessionBroken(Exception):
    """The session cannot go on. `reason` is safe to show; `enhanced` is a 4.x.x code (RFC 3463)."""

    def __init__(self, step: Step, reason: str, enhanced: str = "4.4.2") -> None:
        super().__init__(f"{step.value}: {reason}")
        self.step = step
        self.reason = reason
        self.enhanced = enhanced


class CertificateDoubt(SessionBroken):
    """The handshake was broken off because the server's certificate did not verify; `why` in OpenSSL's words."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(Step.TLS, reason, "4.7.5")
        self.why = why


def password_may_go(*, tls: bool, peer_ip: str) -> bool:
    """A password goes inside TLS, or does not leave the machine."""
    return tls or ipaddress.ip_address(peer_ip).is_loopback


class Session:
    """One connection. `address` is an IP address, `host` the name it was found under."""

    def __init__(self, stream: ClientStream, host: str, options: Options) -> None:
        self._stream = stream
        self._options = options
        self._parser = ReplyParser()
        self.capabilities = Capabilities()
        self.peer_name = ""  # what the server calls itself in its greeting
        self.remote = f"{host}[{stream.peer_ip}]:{stream.peer_port}"
        self.target: Target | None = None  # what it was opened for
        self.transactions = 0
        self.usable = True
        self.promise = ""  # what binds the hop's domain to TLS, in words
        self.mechanism = ""  # by which we logged in
        self.doubt = ""  # why the certificate did not verify, where it need not
        self.certificate = ""  # whether the server's certificate verified, in words
        self.hop = Hop(host)  # what is known of the host, once the session is open

    @classmethod
    async def connect(cls, host: str, address: str, port: int, options: Options) -> Session:
        """A TCP connection, nothing said yet. Raises SessionBroken."""
        send_seconds = min(TIMEOUT_SECONDS[Step.CONTENT], options.command_seconds)
        try:
            stream = await connect(address, port, options.connect_timeout_seconds, send_timeout_seconds=send_seconds)
        except ConnectionLost as error:
            attempt_transcript().note(f"{host}[{address}]:{port}: {error}")
            raise SessionBroken(Step.CONNECT, str(error), "4.4.1") from None
        except OSError as error:  # no such address family on this machine
            raise SessionBroken(Step.CONNECT, f"cannot connect to {address}: {error.strerror}", "4.4.1") from None
        session = cls(stream, host, options)
        session.transcript.note(f"connected to {session.remote}")
        return session

    @property
    def encrypted(self) -> bool:
        """Under TLS."""
        return self._stream.tls is not None

    @property
    def tls(self) -> str:
        """Version and cipher, the domain's promise, the certificate; empty without TLS and without a promise."""
        info = self._stream.tls
        if info is None:
            return f"no TLS, {self.promise}" if self.promise else ""
        return ", ".join(filter(None, (f"{info.version} {info.cipher}", self.promise, self.certificate)))

    @property
    def transcript(self) -> Transcript:
        """Of the attempt that this task makes now."""
        return attempt_transcript()

    async def open(self) -> None:
        """Greeting and EHLO. Raises Refused, SessionBroken."""
        self.peer_name = await self.run(greet())
        await self._say_hello()

    async def _say_hello(self) -> None:
        told = await self.run(hello(self._hello_name()))
        self.capabilities = evolve(told, chunking=told.chunking and self._options.chunking)

    def _hello_name(self) -> str:
        # RFC 5321 §4.1.4: a name that others can resolve, else an address literal; many servers refuse "localhost"
        if "." in self._options.hostname:
            return self._options.hostname
        ip = self._stream.local_ip
        return f"[IPv6:{ip}]" if ":" in ip else f"[{ip}]"

    async def secure(
        self, context: ssl.SSLContext, server_name: str, *, implicit: bool = False, judge: Judge | None = None
    ) -> bool:
        """STARTTLS (or TLS at once) and the handshake, then EHLO anew; False when the server would not begin.

        `judge` gets the server's certificates, which the context then need not verify, and says why they are refused. Not a word
        is sent before. Raises SessionBroken with step TLS when the handshake fails, Refused.
        """
        if not implicit:
            if not await self.run(start_tls()):
                return False
            if not self._parser.idle:
                raise self._broken(Step.TLS, "the server sent plaintext behind its answer to STARTTLS", "4.7.5")
        try:
            await self._stream.start_tls(context, self._seconds(Step.TLS), server_hostname=server_name)
        except CertificateRefused as error:
            self.usable = False
            self.transcript.note(str(error))
            raise CertificateDoubt(str(error), error.reason) from None
        except TlsFailed as error:
            raise self._broken(Step.TLS, str(error), "4.7.5") from None
        if judge is not None and (why := judge(self._stream.peer_certificates())):
            self.usable = False
            raise CertificateDoubt(f"certificate not accepted: {why}", why)
        self.transcript.note("TLS begins")
        if not implicit:
            # RFC 3207 §4.2: what was learned before is forgotten
            await self._say_hello()
        return True

    async def login(self, username: str, password: str) -> None:
        """AUTH, inside TLS or on this machine. Raises Refused, SessionBroken."""
        if not password_may_go(tls=self._stream.tls is not None, peer_ip=self._stream.peer_ip):
            # whoever called has made a mistake; the password does not pay for it
            raise self._broken(Step.AUTH, "a password is never sent without TLS", "4.7.4")
        offered = self.capabilities.auth
        end_point = self._stream.bindings.get(END_POINT)
        nonce = base64.encode(secrets.token_bytes(_NONCE_OCTETS)).decode("ascii")
        binding = None if end_point is None else (END_POINT, end_point)
        terms = ScramTerms(nonce, binding, plus_offered=SCRAM_PLUS in offered)
        self.mechanism = await self.run(authenticate(offered, username, password, terms))

    async def send(self, transaction: Transaction, content: Content) -> None:
        """One transaction; RSET behind it where the server needs it. Raises SessionBroken and what `content` raises."""
        self.transactions += 1
        await self.run(transaction.run(), content)
        if not transaction.clean:
            self.usable = await self.run(reset())

    async def close(self) -> None:
        """QUIT where the session is in order, at most a few seconds; then the connection is closed in any case."""
        try:
            if self.usable:
                with trio.move_on_after(TIMEOUT_SECONDS[Step.QUIT]):
                    await self.run(quit_session())
                    await self._stream.aclose()
        except (SessionBroken, Refused):
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Close at once, without a word."""
        self.usable = False
        self._stream.abort()

    async def run(self, flow: Flow[T], content: Content | None = None) -> T:
        """Run one dialogue. Raises Refused, SessionBroken, and what `content` raises."""
        try:
            return await self._drive(flow, content)
        except BaseException:
            self.usable = False
            raise
        finally:
            flow.close()

    async def _drive(self, flow: Flow[T], content: Content | None) -> T:
        step = Step.CONNECT
        unsent = b""
        answer: Reply | ChunkReady | None = None
        chunks = None if content is None else Chunker(content)
        try:
            while True:
                action = flow.send(answer)
                answer = None
                match action:
                    case Send(data):
                        unsent += data
                    case Await(step):
                        self.transcript.sent(unsent, step)
                        await self._write(unsent, step)
                        unsent = b""
                        reply = answer = await self._reply(step)
                        self.transcript.received(reply, step)
                    case NextChunk() if chunks is not None:
                        answer = ChunkReady(await chunks.next())
                    case SendChunk() if chunks is not None:
                        step = Step.CONTENT
                        self.transcript.sent_content(len(chunks.wire))
                        await self._send_piece(chunks.wire)
                    case SendContent() if content is not None:
                        step = Step.CONTENT
                        self.transcript.sent(unsent, step)
                        await self._write_content(unsent, content)
                        unsent = b""
                    case _:
                        raise ValueError("a dialogue with content needs the content")
        except StopIteration as stop:
            result: T = stop.value
            return result
        except PeerViolation as violation:
            raise self._broken(step, str(violation), "4.5.0") from None

    async def _write(self, data: bytes, step: Step) -> None:
        if not data:
            return
        with trio.move_on_after(self._seconds(step)):
            try:
                await self._stream.send_all(data)
            except ConnectionLost:
                # What the server had to say about it may still be there to read; if not, the read tells the end.
                pass
            return
        raise self._broken(step, "the server reads nothing")

    async def _write_content(self, head: bytes, content: Content) -> None:
        """The whole content and its dot. A server that closes in the middle may have said why: the reply is read next."""
        writer = DotWriter()
        held = head
        octets = -len(head)
        try:
            while chunk := await content():
                # The last piece is held back, so that the dot travels with it.
                if len(held) >= _SEND_OCTETS:
                    if not await self._send_piece(held):
                        return
                    octets += len(held)
                    held = b""
                held += writer.feed(chunk)
            held += writer.finish()
            if await self._send_piece(held):
                octets += len(held)
        finally:
            self.transcript.sent_content(max(octets, 0))

    async def _send_piece(self, piece: bytes) -> bool:
        with trio.move_on_after(self._seconds(Step.CONTENT)):
            try:
                await self._stream.send_all(piece)
            except ConnectionLost:
                return False
            return True
        raise self._broken(Step.CONTENT, "the server reads nothing")

    async def _reply(self, step: Step) -> Reply:
        reply = self._parser.next_reply()
        if reply is not None:  # of several that came together
            return reply
        with trio.move_on_after(self._seconds(step)):
            while reply is None:
                data = await self._stream.receive_some(_RECEIVE_OCTETS)
                if not data:
                    raise self._broken(step, "the server closed the connection")
                self._parser.feed(data)
                reply = self._parser.next_reply()
            return reply
        raise self._broken(step, "the server did not answer in time")

    def _seconds(self, step: Step) -> float:
        limit = self._options.end_seconds if step is Step.END else self._options.command_seconds
        return min(TIMEOUT_SECONDS[step], limit)

    def _broken(self, step: Step, reason: str, enhanced: str = "4.4.2") -> SessionBroken:
        self.usable = False
        self.transcript.note(f"{step.value}: {reason}")
        return SessionBroken(step, reason, enhanced)
