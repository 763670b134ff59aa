"""One TCP connection: plaintext first, TLS from `start_tls` on.

Laws:
- The end of a connection is data, not an accident: `receive_some` returns b"" at EOF and after any connection error.
  Sending to a peer that is gone raises `ConnectionLost`, which a session lets pass through to its end.
- A peer that does not read cannot hold us: `send_all` ends with `ConnectionLost` when nothing could be written for
  `send_timeout_seconds`. Progress renews the time; the kernel reports progress only when about a third of its send
  buffer is free, so reading a few octets at a time does not keep a connection alive for ever.
- Nothing that came in plaintext is ever taken for something that came under TLS (RFC 3207 §4.2, CVE-2011-0411): this
  class keeps no receive buffer; the session throws away what its core has buffered and says how much it was.
- Both go straight to the non-blocking socket: a send that the kernel takes whole is one system call (under TLS one for each record),
  and OpenSSL keeps no buffer of a connection that is at rest.

One task may receive while another sends; two senders at once are a mistake of ours and raise `trio.BusyResourceError`.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Final

import attrs
import trio

from shared.net.binding import END_POINT, EXPORTER, ServerContext, end_point_value
from shared.net.networks import plain_ip
from shared.net.peer_certificates import sent_certificates

SEND_TIMEOUT_SECONDS: Final = 60.0
"""Default for how long a peer may take nothing: a phone in a lift needs some of it."""

_YIELD_OCTETS: Final = 256 * 1024
"""After this much was sent without waiting, other tasks get their turn."""

_TLS_RECORD_OCTETS: Final = 16 * 1024
"""RFC 8446 §5.1: what OpenSSL gives or takes at a time."""

_RETRY_SECONDS: Final = 0.05
"""Until a reader looks again that would have to write while another task waits to write."""

_CLOSE_SECONDS: Final = 2.0
"""For the close alert and for reading what is left, so that our last reply is not destroyed by a reset."""

_LINGER_OCTETS: Final = 256 * 1024

_NO_LINGER: Final = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # struct linger {on = 1, seconds = 0}: close sends RST


class ConnectionLost(Exception):
    """The peer is gone, or does not read: nothing more can be sent."""


_GONE: Final = (OSError, ConnectionLost, trio.BrokenResourceError, trio.ClosedResourceError)


class TlsFailed(ConnectionLost):
    """The TLS handshake failed or took too long; the connection is of no more use. The text is fit for a log."""


class CertificateRefused(TlsFailed):
    """The server's certificate did not verify; `reason` says why in OpenSSL's words."""

    def __init__(self, reason: str) -> None:
        self.reason = reason.rstrip(".")
        super().__init__(f"certificate not accepted: {self.reason}")


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
        "_ssl",
        "_unyielded",
        "bindings",
        "discarded_octets",
        "local_ip",
        "local_port",
        "peer_ip",
        "peer_port",
        "tls",
    )

    def __init__(self, raw: socket.socket, *, send_timeout_seconds: float) -> None:
        """Takes over a connected, non-blocking socket."""
        self._raw = raw
        self._ssl: ssl.SSLSocket | None = None
        """The same connection once TLS is on; ``_raw`` is it, too."""
        self._send_timeout = send_timeout_seconds
        self._sending = False
        self._closed = False
        self._unyielded = 0
        local_only = raw.family == socket.AF_UNIX
        # OSError when the peer has already reset
        peer, local = (("", 0), ("", 0)) if local_only else (raw.getpeername(), raw.getsockname())
        self.peer_ip: str = plain_ip(peer[0])
        """Empty: a program of this machine, on a Unix socket."""
        self.peer_port: int = peer[1]
        self.local_ip: str = plain_ip(local[0])
        self.local_port: int = local[1]
        self.tls: TlsInfo | None = None
        self.bindings: Mapping[str, bytes] = {}
        """Channel bindings by type (RFC 5929, RFC 9266) of a TLS connection; as its client only the server's certificate."""
        self.discarded_octets = 0
        if not local_only:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def from_socket(cls, raw: socket.socket, *, send_timeout_seconds: float = SEND_TIMEOUT_SECONDS) -> ClientStream:
        """Wraps a connected stream socket; raises OSError when the peer is gone already."""
        raw.setblocking(False)
        return cls(raw, send_timeout_seconds=send_timeout_seconds)

    def peer_certificates(self) -> tuple[bytes, ...]:
        """What the peer sent of certificates, in DER, its own first, none of them verified; none without TLS."""
        return () if self._ssl is None else sent_certificates(self._ssl)

    async def receive_some(self, max_bytes: int) -> bytes:
        """Waits for at least one octet and returns at most `max_bytes`; b"" when no more will come, for any reason."""
        try:
            if self._ssl is not None:
                return await self._receive_tls(self._ssl, min(max_bytes, _TLS_RECORD_OCTETS))
            return await self._receive_plain(max_bytes)
        except _GONE:
            return b""

    async def receive_prefix(self, max_bytes: int, extent: Callable[[bytes], int]) -> bytes:
        """Waits for octets, shows ``extent`` what is there and takes as many as it says, at least one; b"" at the end.

        The rest stays with the kernel, untouched. In plaintext only; what ``extent`` raises passes through.
        """
        try:
            while True:
                await trio.lowlevel.wait_readable(self._raw)
                try:
                    shown = self._raw.recv(max_bytes, socket.MSG_PEEK)
                    # what was shown is there, so this gets all that it asks for
                    return self._raw.recv(extent(shown)) if shown else b""
                except BlockingIOError:
                    continue
        except _GONE:
            return b""

    async def wait_spoken(self) -> bool:
        """Waits until octets are there, which stay with the kernel (True), or none will come (False). In plaintext only."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._raw)
                try:
                    return bool(self._raw.recv(1, socket.MSG_PEEK))
                except BlockingIOError:
                    continue
        except _GONE:
            return False

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
            else:
                await self._send_tls(self._ssl, memoryview(data))
        except (OSError, trio.ClosedResourceError):  # ConnectionLost has its own words
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
            self._raw.getpeername()  # OSError when the peer has reset: ssl would leave its socket open then
            wrapped = context.wrap_socket(
                self._raw,
                server_side=server_hostname is None,
                server_hostname=server_hostname,
                do_handshake_on_connect=False,
            )
            self._raw = wrapped  # it has taken the descriptor over
            with trio.fail_after(handshake_timeout_seconds):
                bindings = await _handshake(wrapped, context)
        except trio.TooSlowError:
            self.abort()
            raise TlsFailed(f"no TLS handshake within {handshake_timeout_seconds:g} s") from None
        except (*_GONE, ValueError) as error:
            # ValueError: a server name that TLS cannot carry
            self.abort()
            raise _tls_failure(error) from None
        self._ssl = wrapped
        self.bindings = bindings
        name, _, bits = wrapped.cipher() or ("unknown", "", 0)
        self.tls = TlsInfo(wrapped.version() or "unknown", name, bits)

    async def aclose(self) -> None:
        """Closes in an orderly way and within about two seconds: what was sent arrives, the peer sees EOF.

        Never raises but for a cancellation; the socket is closed in any case.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._close_tls()
            self._raw.shutdown(socket.SHUT_WR)
            dropped = self._drop_input()
            if dropped:
                with trio.move_on_after(_CLOSE_SECONDS):
                    await self._await_end(dropped)
            else:
                await trio.lowlevel.checkpoint_if_cancelled()
        except (*_GONE, trio.BusyResourceError):
            pass
        finally:
            self._close_socket()

    def abort(self) -> None:
        """Closes at once with a reset; what was not yet delivered is lost. Wakes whoever waits on the stream."""
        if self._raw.fileno() == -1:
            return
        self._closed = True
        try:
            self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        except OSError:
            pass  # already closed
        self._close_socket()

    def _close_socket(self) -> None:
        if self._raw.fileno() != -1:
            trio.lowlevel.notify_closing(self._raw)
            self._raw.close()

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

    async def _receive_tls(self, wrapped: ssl.SSLSocket, max_bytes: int) -> bytes:
        await trio.lowlevel.checkpoint_if_cancelled()
        waited = False
        while True:
            try:
                data = wrapped.recv(max_bytes)
            except ssl.SSLWantReadError:
                waited = True
                await trio.lowlevel.wait_readable(wrapped)
            except ssl.SSLWantWriteError:
                # the answer to a change of keys (RFC 8446 §4.6.3) must leave first
                waited = True
                try:
                    await trio.lowlevel.wait_writable(wrapped)
                except trio.BusyResourceError:
                    await trio.sleep(_RETRY_SECONDS)
            else:
                if not waited:
                    await trio.lowlevel.cancel_shielded_checkpoint()
                return data

    async def _send_tls(self, wrapped: ssl.SSLSocket, view: memoryview) -> None:
        while view:
            try:
                sent = wrapped.send(view)
            except ssl.SSLWantWriteError:
                # OpenSSL holds a record of it, encrypted: the next try must be with the same octets
                await self._wait_room()
                continue
            view = view[sent:]
            self._unyielded += sent
            if self._unyielded > _YIELD_OCTETS:
                self._unyielded = 0
                await trio.lowlevel.checkpoint()

    async def _wait_room(self) -> None:
        self._unyielded = 0
        with trio.move_on_after(self._send_timeout) as scope:
            await trio.lowlevel.wait_writable(self._raw)
        if scope.cancelled_caught:
            self.abort()
            raise ConnectionLost(f"the peer took no data for {self._send_timeout:g} s")

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

    def _close_tls(self) -> None:
        """The close alert, if the socket takes it now; then the socket is as a plain one."""
        if self._ssl is not None:
            try:
                self._ssl.unwrap()
            except (OSError, ValueError):
                pass  # most often: the peer's own alert is not there yet, and nobody waits for it

    def _drop_input(self) -> int:
        """Read what is there and forget it; 0 when that was nothing or the end.

        A close with unread input makes the kernel send RST, and that can overtake our last reply. RFC 1122 §4.2.2.13
        """
        dropped = 0
        try:
            while dropped < _LINGER_OCTETS:
                data = self._raw.recv(65536)
                if not data:
                    return 0
                dropped += len(data)
        except BlockingIOError:
            pass
        return dropped

    async def _await_end(self, dropped: int) -> None:
        """A client that still talks: read on, for a while."""
        while dropped < _LINGER_OCTETS and (data := await self._receive_plain(65536)):
            dropped += len(data)


async def _handshake(wrapped: ssl.SSLSocket, context: ssl.SSLContext) -> dict[str, bytes]:
    """The whole handshake; the channel bindings of the connection."""
    bindings: dict[str, bytes] = {}
    server = context if isinstance(context, ServerContext) else None
    if server is not None and server.end_point is not None:
        bindings[END_POINT] = server.end_point
    await trio.lowlevel.checkpoint_if_cancelled()
    while True:
        wait = None
        try:
            wrapped.do_handshake()
        except ssl.SSLWantReadError:
            wait = trio.lowlevel.wait_readable
        except ssl.SSLWantWriteError:
            wait = trio.lowlevel.wait_writable
        finally:
            exported = server.take_exporter() if server is not None else None
        if exported is not None:
            bindings[EXPORTER] = exported
        if wait is None:
            break
        await wait(wrapped)
    if not wrapped.server_side:
        certificate = wrapped.getpeercert(binary_form=True)
        end_point = end_point_value(certificate) if certificate is not None else None
        if end_point is not None:
            bindings[END_POINT] = end_point
    return bindings


def _tls_failure(error: BaseException) -> TlsFailed:
    """OpenSSL's reason, which trio hides one cause deep."""
    cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return CertificateRefused(cause.verify_message)
    return TlsFailed(_tls_reason(cause))


def _tls_reason(cause: BaseException) -> str:
    if isinstance(cause, ssl.SSLError) and cause.reason and cause.reason != "UNEXPECTED_EOF_WHILE_READING":
        return f"TLS handshake failed: {cause.reason.lower().replace('_', ' ')}"
    if isinstance(cause, OSError) and cause.errno in (errno.ECONNRESET, errno.EPIPE):
        return "connection reset during the TLS handshake"
    return "the peer closed the connection during the TLS handshake"
