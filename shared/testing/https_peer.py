"""A scripted HTTPS server on one free loopback port, for tests of the client: it sends the bytes it is told to.

    with HttpsPeer(authority.server_context("mta-sts.b.test")) as peer:
        peer.answer(policy_answer("version: STSv1\n..."))     # for every request from now on
        peer.port; peer.requests; peer.wait_requests(2)

An answer is a sequence of pieces, each sent as it is: bytes, or a number of seconds to wait before the next (it ends early
when the client has gone or the server is closed). It runs in threads, so that every kind of test can use it. Certificates are
chosen by the name that the client asks for (SNI): `add(name, context)`.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

WAIT_SECONDS = 20.0
_SOCKET_SECONDS = 15.0

Piece = bytes | float


def http_answer(body: bytes, status: str = "200 OK", content_type: str = "text/plain", *extra: str) -> list[Piece]:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *extra]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    return ["\r\n".join([*lines, "", ""]).encode("ascii") + body]


class HttpsPeer:
    """The server; a context manager. `context` serves names that no other context was added for."""

    def __init__(self, context: ssl.SSLContext, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._context = context
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._answers: dict[str, Sequence[Piece]] = {}
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self.requests: list[tuple[str, str]] = []
        """Host and path of each whole request."""
        self.bodies: list[bytes] = []
        """What each of them carried; empty with GET."""
        self.handshakes_failed = 0
        context.sni_callback = self._choose
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]

    def add(self, name: str, context: ssl.SSLContext) -> None:
        """Another name with its own certificate."""
        self._contexts[name] = context

    def answer(self, pieces: Sequence[Piece], host: str = "") -> None:
        """What requests get from now on: those for `host`, or for every host without an answer of its own."""
        self._answers[host] = pieces

    def wait_requests(self, count: int, seconds: float = WAIT_SECONDS) -> list[tuple[str, str]]:
        """The requests once there are so many; TimeoutError else."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= count, seconds):
                raise TimeoutError(f"{len(self.requests)} requests instead of {count}")
            return list(self.requests)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it; nothing listens afterwards. May be called again."""
        self._closing.set()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        with self._changed:
            open_now = list(self._sockets)
        for sock in open_now:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(WAIT_SECONDS)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _choose(self, sock: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        if name in self._contexts:
            sock.context = self._contexts[name]

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(_SOCKET_SECONDS)
            with self._changed:
                self._sockets.append(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            with self._context.wrap_socket(sock, server_side=True) as tls:
                with self._changed:
                    self._sockets[self._sockets.index(sock)] = tls
                self._talk(tls)
        except (OSError, ValueError):
            with self._changed:
                self.handshakes_failed += 1
        finally:
            sock.close()

    def _talk(self, tls: ssl.SSLSocket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            data = tls.recv(4096)
            if not data:
                return
            head += data
        head, _, body = head.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        octets = next((int(line[15:]) for line in lines if line.lower().startswith("content-length:")), 0)
        while len(body) < octets:
            data = tls.recv(4096)
            if not data:
                return
            body += data
        host = next((line[5:].strip() for line in lines if line.lower().startswith("host:")), "")
        with self._changed:
            self.bodies.append(body)
            self.requests.append((host, lines[0].split(" ")[1]))
            self._changed.notify_all()
        for piece in self._answers.get(host, self._answers.get("", ())):
            if isinstance(piece, bytes):
                tls.sendall(piece)
            elif self._closing.wait(piece):
                return
