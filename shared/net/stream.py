"""One TCP connection: plaintext first, TLS from `start_tls` on.

Laws:
- The end of a connection is data, not an accident: `receive_some` returns b"" at EOF and after any connection error.
  Sending to a peer that is gone raises `ConnectionLost`, which a session lets pass through to its end.
- A peer that does not read cannot hold us: `send_all` ends with `ConnectionLost` when nothing could be written for
  `send_timeout_seconds`. Progress renews the time; the kernel reports progress only when about a third of its send
  buffer is free, so reading a few octets at a time does not keep a connection alive for ever.
- Nothing that came in plaintext is ever taken for something that came under TLS (RFC 3207 §4.2, CVE-2011-0411): this
  class keeps no receive buffer; the session throws away what its core has buffered and says how much it was.
- Plaintext goes straight to the non-blocking socket: a send that the kernel takes whole is one system call.

One task may receive while another sends; two senders at once are a mistake of ours and raise `trio.BusyResourceError`.
"""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Final

import attrs
import trio

from shared.net.networks import plain_ip

SEND_TIMEOUT_SECONDS: Final = 60.0
"""Default for how long a peer may take nothing: a phone in a lift needs some of it."""

_YIELD_OCTETS: Final = 256 * 1024
"""After this much was sent without waiting, other tasks get their turn."""

_TLS_CHUNK_OCTETS: Final = 64 * 1024
"""What is encrypted ahead of the socket, at most."""

_CLOSE_SECONDS: Final = 2.0
"""For the close alert and for reading what is left, so that our last reply is not destroyed by a reset."""

_LINGER_OCTETS: Final = 256 * 1024

_NO_LINGER: Final = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # struct linger {on = 1, seconds = 0}: close sends RST


class ConnectionLost(Exception):
    """The peer is gone, or does not read: nothing more can be sent."""


_GONE: Final = (OSError, ConnectionLost, trio.BrokenResourceError, trio.ClosedResourceError)


class TlsFailed(ConnectionLost):
    """The TLS handshake failed or took too long; the connection is of no more use. The text is fit for a log."""


@attrs.frozen
class TlsInfo:
    """What was negotiated, in OpenSSL's words: ("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)."""

    version: str
    cipher: str
    bits: int


class ClientStream:
    """One connection. Made by `listen.serve` for clients of ours, by `dial.connect` for servers we call."""

    __slots__ = (
        "_closed",
        "_raw",
        "_send_timeout",
        "_sending",
        "_sock",
        "_ssl",
        "_unyielded",
        "discarded_octets",
        "local_ip",
        "local_port",
        "peer_ip",
        "peer_port",
        "tls",
    )

    def __init__(self, sock: trio.socket.SocketType, raw: socket.socket, *, send_timeout_seconds: float) -> None:
        """Takes over a connected socket: `sock` is trio's view of the non-blocking socket `raw`."""
        self._sock = sock
        self._raw = raw
        self._ssl: trio.SSLStream[_Transport] | None = None
        self._send_timeout = send_timeout_seconds
        self._sending = False
        self._closed = False
        self._unyielded = 0
        peer, local = raw.getpeername(), raw.getsockname()  # OSError when the peer has already reset
        self.peer_ip: str = plain_ip(peer[0])
        self.peer_port: int = peer[1]
        self.local_ip: str = plain_ip(local[0])
        self.local_port: int = local[1]
        self.tls: TlsInfo | None = None
        self.discarded_octets = 0
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def from_socket(cls, raw: socket.socket, *, send_timeout_seconds: float = SEND_TIMEOUT_SECONDS) -> ClientStream:
        """Wraps a connected stream socket; raises OSError when the peer is gone already."""
        raw.setblocking(False)
        return cls(trio.socket.from_stdlib_socket(raw), raw, send_timeout_seconds=send_timeout_seconds)

    async def receive_some(self, max_bytes: int) -> bytes:
        """Waits for at least one octet and returns at most `max_bytes`; b"" when no more will come, for any reason."""
        try:
            if self._ssl is not None:
                return bytes(await self._ssl.receive_some(max_bytes))
            return await self._receive_plain(max_bytes)
        except _GONE:
            return b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Hands all of `data` to the kernel, in order; may return without yielding when that took no waiting.

        Raises ConnectionLost when the peer is gone or takes nothing for `send_timeout_seconds`. A cancelled send leaves
        the connection unusable for anything but `abort`.
        """
        if self._sending:
            raise trio.BusyResourceError("another task is sending")
        self._sending = True
        try:
            if self._ssl is None:
                await self._send_plain(data)
            elif len(data) <= _TLS_CHUNK_OCTETS:
                await self._ssl.send_all(data)
            else:
                view = memoryview(data)
                for start in range(0, len(view), _TLS_CHUNK_OCTETS):
                    await self._ssl.send_all(view[start : start + _TLS_CHUNK_OCTETS])
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):  # ConnectionLost has its own words
            raise ConnectionLost("the peer closed the connection") from None
        finally:
            self._sending = False

    async def start_tls(
        self,
        context: ssl.SSLContext,
        handshake_timeout_seconds: float,
        *,
        discarded_octets: int = 0,
        server_hostname: str | None = None,
    ) -> None:
        """Does the handshake, as server, or as client when `server_hostname` is given (the name to send and verify).

        The caller has sent its last plaintext, and thrown away whatever plaintext it still held: `discarded_octets`
        says how much, for the log. A client that pipelines behind STARTTLS breaks the protocol; somebody who injects
        commands there wants them to count as the client's own (RFC 3207 §4.2).

        Raises TlsFailed; the connection is then aborted.
        """
        if self._ssl is not None:
            raise RuntimeError("TLS is already on")
        self.discarded_octets = discarded_octets
        try:
            stream = trio.SSLStream(
                _Transport(self),
                context,
                server_side=server_hostname is None,
                server_hostname=server_hostname,
                https_compatible=False,  # we send a close alert, and take its absence for EOF ourselves
            )
            with trio.fail_after(handshake_timeout_seconds):
                await stream.do_handshake()
        except trio.TooSlowError:
            self.abort()
            raise TlsFailed(f"no TLS handshake within {handshake_timeout_seconds:g} s") from None
        except (*_GONE, ValueError) as error:
            # ValueError: a server name that TLS cannot carry
            self.abort()
            raise TlsFailed(_tls_reason(error)) from None
        self._ssl = stream
        cipher = stream.cipher()
        name, _, bits = cipher or ("unknown", "", 0)
        self.tls = TlsInfo(stream.version() or "unknown", name, bits)

    async def aclose(self) -> None:
        """Closes in an orderly way and within about two seconds: what was sent arrives, the peer sees EOF.

        Never raises but for a cancellation; the socket is closed in any case.
        """
        if self._closed:
            return
        self._closed = True
        try:
            with trio.move_on_after(_CLOSE_SECONDS):
                await (self._close_plain() if self._ssl is None else self._ssl.aclose())
        except (*_GONE, trio.BusyResourceError):
            pass
        finally:
            self._sock.close()

    def abort(self) -> None:
        """Closes at once with a reset; what was not yet delivered is lost. Wakes whoever waits on the stream."""
        if self._sock.fileno() == -1:
            return
        self._closed = True
        try:
            self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        except OSError:
            pass  # already closed
        self._sock.close()

    async def _receive_plain(self, max_bytes: int) -> bytes:
        # As the socket of trio does it, without its layers: a few microseconds less per command.
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            data = self._raw.recv(max_bytes)
        except BlockingIOError:
            while True:
                await trio.lowlevel.wait_readable(self._raw)
                try:
                    return self._raw.recv(max_bytes)
                except BlockingIOError:
                    continue
        # what was received must not be lost to a cancellation, and others must have their turn
        await trio.lowlevel.cancel_shielded_checkpoint()
        return data

    async def _send_plain(self, data: bytes | bytearray | memoryview) -> None:
        try:
            sent = self._raw.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            await self._send_rest(memoryview(data)[sent:])
            return
        self._unyielded += sent
        if self._unyielded > _YIELD_OCTETS:
            self._unyielded = 0
            await trio.lowlevel.checkpoint()

    async def _send_rest(self, view: memoryview) -> None:
        self._unyielded = 0
        with trio.move_on_after(self._send_timeout) as scope:
            while view:
                await trio.lowlevel.wait_writable(self._raw)
                try:
                    view = view[self._raw.send(view) :]
                except BlockingIOError:
                    continue
                scope.deadline = trio.current_time() + self._send_timeout
        if scope.cancelled_caught:
            self.abort()
            raise ConnectionLost(f"the peer took no data for {self._send_timeout:g} s")

    async def _close_plain(self) -> None:
        self._raw.shutdown(socket.SHUT_WR)
        # A close with unread input makes the kernel send RST, and that can overtake our last reply. RFC 1122 §4.2.2.13
        dropped = 0
        try:
            while dropped < _LINGER_OCTETS and (data := self._raw.recv(65536)):
                dropped += len(data)
        except BlockingIOError:
            if dropped:
                while dropped < _LINGER_OCTETS and (data := await self._sock.recv(65536)):
                    dropped += len(data)


class _Transport(trio.abc.Stream):
    """The plaintext side of a connection, as trio's SSLStream wants it."""

    def __init__(self, owner: ClientStream) -> None:
        self._owner = owner

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._owner._send_plain(data)

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.wait_writable(self._owner._raw)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self._owner._receive_plain(max_bytes or _TLS_CHUNK_OCTETS)

    async def aclose(self) -> None:
        await self._owner._close_plain()


def _tls_reason(error: BaseException) -> str:
    """OpenSSL's reason, which trio hides one cause deep."""
    cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError) and cause.reason and cause.reason != "UNEXPECTED_EOF_WHILE_READING":
        return f"TLS handshake failed: {cause.reason.lower().replace('_', ' ')}"
    if isinstance(cause, OSError) and cause.errno in (errno.ECONNRESET, errno.EPIPE):
        return "connection reset during the TLS handshake"
    return "the peer closed the connection during the TLS handshake"
