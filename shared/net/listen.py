"""Listening: bind, accept, count, hand each connection to its own task, drain.

Laws:
- One nursery, one task per connection. What a handler raises is logged and counted, and ends that connection only.
- The accept loop outlives everything that passes: a client that reset before it was accepted, a process out of file
  descriptors or memory (it waits, longer each time, and goes on).
- A connection beyond a limit is told so (`refusal`, plaintext listeners only: there is no TLS to say it in) and closed;
  it never reaches the handler and costs no task.
- From a trusted proxy (`ListenLimits.proxies`) the first thing is the header that announces the client, before TLS; without one
  the connection is closed. Limits, logs and trust go by the announced address. From everybody else no header is looked for.
- Implicit TLS is negotiated in the connection's own task, with a timeout: a silent client delays nobody.
- Draining: the listeners close first, the handlers see the event themselves and say goodbye in their protocol, and
  whoever is still there after the grace period is cancelled.

IPv6 sockets are IPv6 only, so that 0.0.0.0 and :: stand side by side. Where the kernel has no IPv6 (common in
containers), an endpoint on :: is passed over if the same name also listens elsewhere.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import attrs
import trio

from shared.net.hidden import ClientsWatch
from shared.net.limits import ConnectionLimits, Refusal
from shared.net.networks import NetworkSet, plain_ip
from shared.net.proxied import NoHeader, take_header
from shared.net.stream import SEND_TIMEOUT_SECONDS, ClientStream, ConnectionLost, TlsFailed
from shared.observe.metrics import Counter, Gauge, Metrics

BACKLOG = 512
"""Connections that the kernel completes for us while we are busy; it cuts this to net.core.somaxconn."""

HIDDEN_ADVICE = (
    "all clients seem to be the gateway, so limits per address, checks of senders and logs cannot tell them apart: let the engine keep "
    "addresses (Docker: its firewall rules, no userland proxy; a router: no rewriting of sources), or put a proxy with PROXY protocol "
    "in front (server.proxy_networks)"
)

_ACCEPT_AT_ONCE = 16
"""Then the connections that were accepted have their turn."""

_BACKOFF_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})
_CLOSED = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})


class Log(Protocol):
    """What we need of a structured log; `shared.observe.log.Logger` is one."""

    def warning(self, event: str, **fields: Any) -> None:
        """Somebody should look at it."""

    def error(self, event: str, **fields: Any) -> None:
        """Something is wrong with us or with the machine."""

    def exception(self, event: str, error: BaseException, **fields: Any) -> None:
        """An error that nobody foresaw."""


class Draining(Protocol):
    """The event that ends the service: `trio.Event`, or what the service's life gives for it."""

    def is_set(self) -> bool:
        """Whether it has happened."""

    async def wait(self) -> None:
        """Until it happens."""


@attrs.frozen
class Endpoint:
    """What to listen on. `name` is the protocol as operators know it ("pop3", "pop3s"); port 0 takes a free one."""

    name: str
    host: str
    port: int
    implicit_tls: bool = False


@attrs.frozen(eq=False)
class Listener:
    """A bound and listening socket. `port` is the real one."""

    name: str
    host: str
    port: int
    implicit_tls: bool
    sock: socket.socket = attrs.field(repr=False)

    def close(self) -> None:
        """Stops listening, for a listener that is not being served; harmless when it has stopped."""
        self.sock.close()


@attrs.frozen
class ListenLimits:
    """The bounds of one process's listeners. Seconds throughout."""

    connections: int = 1000
    connections_per_client: int = 50
    """Per IPv4 address and per IPv6 /64."""
    exempt: NetworkSet = attrs.field(factory=NetworkSet)
    handshake_seconds: float = 30.0
    send_seconds: float = SEND_TIMEOUT_SECONDS
    grace_seconds: float = 10.0
    """From the beginning of the drain to the cancellation of what is left."""
    proxies: NetworkSet = attrs.field(factory=NetworkSet)
    """Whose connections begin with a PROXY header; only the total limit applies to them before it is read."""
    proxy_seconds: float = 5.0
    """For that header."""


Handler = Callable[[ClientStream, Listener], Awaitable[None]]
Refuse = Callable[[Listener, Refusal], bytes]


def open_listeners(
    endpoints: Iterable[Endpoint], *, reuse_port: bool = False, backlog: int = BACKLOG
) -> list[Listener]:
    """Binds and listens on all endpoints, or raises OSError that names the address, with none of them left open.

    `reuse_port` lets several worker processes of one service share a port; without it a second process fails,
    as it should.
    """
    wanted = tuple(endpoints)
    opened: list[Listener] = []
    with ExitStack() as undo:
        for endpoint in wanted:
            try:
                sock = _bind(endpoint.host, endpoint.port, reuse_port, backlog)
            except OSError as error:
                elsewhere = any(e.name == endpoint.name and e.host != "::" for e in wanted)
                if endpoint.host == "::" and elsewhere and error.errno in _NO_IPV6:
                    continue
                reason = error.strerror or str(error)
                text = f"cannot listen on {endpoint.host} port {endpoint.port} ({endpoint.name}): {reason}"
                raise OSError(error.errno, text) from None
            undo.callback(sock.close)
            port = sock.getsockname()[1]
            opened.append(Listener(endpoint.name, endpoint.host, port, endpoint.implicit_tls, sock))
        undo.pop_all()
    return opened


def bound_ports(listeners: Iterable[Listener]) -> dict[str, list[tuple[str, int]]]:
    """{name: [(host, port), ...]}, as the ready notice has it."""
    ports: dict[str, list[tuple[str, int]]] = {}
    for listener in listeners:
        ports.setdefault(listener.name, []).append((listener.host, listener.port))
    return ports


async def serve(
    listeners: Sequence[Listener],
    handler: Handler,
    *,
    limits: ListenLimits,
    draining: Draining,
    log: Log,
    metrics: Metrics,
    tls: Callable[[], ssl.SSLContext] | None = None,
    refusal: Refuse | None = None,
    clients: ClientsWatch | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until `draining` has happened and all connections are gone, or the grace period is over.

    `handler` owns the stream it gets and need not close it. `tls` gives the context of implicit TLS
    (`ServerTls.context`), needed only where a listener has it. `refusal` gives the line for a connection
    that is one too many, in the protocol's own words. `clients` is told of every client. The listeners are closed when this returns.
    """
    if tls is None and any(listener.implicit_tls for listener in listeners):
        raise ValueError("implicit TLS needs a context")
    server = _Server(handler, limits, log, metrics, tls, refusal, clients)
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as accepting:
            for listener in listeners:
                accepting.start_soon(server.accept, listener, connections)
            task_status.started()
            await draining.wait()
            accepting.cancel_scope.cancel()
        connections.cancel_scope.deadline = trio.current_time() + limits.grace_seconds


def _bind(host: str, port: int, reuse_port: bool, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


class _Server:
    """What the accept loops of one `serve` share."""

    def __init__(
        self,
        handler: Handler,
        limits: ListenLimits,
        log: Log,
        metrics: Metrics,
        tls: Callable[[], ssl.SSLContext] | None,
        refusal: Refuse | None,
        clients: ClientsWatch | None,
    ) -> None:
        self._handler = handler
        self._limits = limits
        self._log = log
        self._tls = tls
        self._refusal = refusal
        self._clients = clients
        self._counts = ConnectionLimits(limits.connections, limits.connections_per_client, limits.exempt)
        self._open: Gauge = metrics.gauge("connections_open", "Open client connections.", ("listener",))
        self._accepted: Counter = metrics.counter("connections_total", "Accepted client connections.", ("listener",))
        self._refused: Counter = metrics.counter(
            "connections_refused_total", "Connections beyond a limit.", ("listener", "limit")
        )
        self._failed: Counter = metrics.counter(
            "connections_failed_total", "Connections ended by a mistake of ours.", ("listener",)
        )
        self._no_header: Counter = metrics.counter(
            "connections_without_header_total", "Connections of a proxy without a good PROXY header.", ("listener",)
        )
        self._tls_failed: Counter = metrics.counter(
            "tls_handshakes_failed_total", "TLS handshakes that failed.", ("listener",)
        )

    async def accept(self, listener: Listener, connections: trio.Nursery) -> None:
        """The accept loop of one listener; closes it at the end."""
        # What waits is accepted in one go, without trio's layers: both cost more than the accept.
        sock = listener.sock
        failures = accepted = 0
        local = sock.family == socket.AF_UNIX
        try:
            while True:
                try:
                    raw, address = sock.accept()
                except BlockingIOError:
                    accepted = 0
                    await trio.lowlevel.wait_readable(sock)
                    continue
                except OSError as error:
                    if error.errno in _CLOSED:
                        return
                    if error.errno in _EXHAUSTED:
                        delay = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
                        if failures == 0:
                            self._log.error("cannot accept connections", listener=listener.name, why=error.strerror)
                        failures += 1
                        await trio.sleep(delay)
                    await trio.lowlevel.checkpoint()
                    continue  # the others (ECONNABORTED, EPROTO, ...) are about that one client: accept(2)
                failures = 0
                raw.setblocking(False)
                self._take(raw, "" if local else plain_ip(address[0]), listener, connections)
                accepted += 1
                if accepted >= _ACCEPT_AT_ONCE:
                    accepted = 0
                    await trio.lowlevel.checkpoint()
        finally:
            trio.lowlevel.notify_closing(sock)
            sock.close()

    def _take(self, raw: socket.socket, ip: str, listener: Listener, connections: trio.Nursery) -> None:
        refusal = self._counts.acquire(ip, exempt=ip in self._limits.proxies)
        if refusal is not None:
            line = self._refusal_line(listener, refusal)
            try:
                raw.send(line)  # if that costs no waiting
            except OSError:
                pass
            finally:
                raw.close()
            return
        try:
            stream = ClientStream.from_socket(raw, send_timeout_seconds=self._limits.send_seconds)
        except OSError:  # reset between accept and here
            self._counts.release(ip)
            raw.close()
            return
        self._accepted.inc(1, listener.name)
        self._open.inc(1, listener.name)
        connections.start_soon(self._connection, stream, ip, listener)

    def _refusal_line(self, listener: Listener, refusal: Refusal) -> bytes:
        """Counts it; what to say, b"" where that cannot be said."""
        self._refused.inc(1, listener.name, refusal.name.lower())
        return b"" if self._refusal is None or listener.implicit_tls else self._refusal(listener, refusal)

    async def _connection(self, stream: ClientStream, ip: str, listener: Listener) -> None:
        try:
            if ip in self._limits.proxies and await take_header(stream, self._limits.proxy_seconds):
                # it counts as its client's from here on
                refusal = self._counts.move(ip, stream.peer_ip)
                if refusal is not None:
                    await stream.send_all(self._refusal_line(listener, refusal))
                    await stream.aclose()
                    return
                ip = stream.peer_ip
            if ip and self._clients is not None and self._clients.seen(ip, trio.current_time()):
                self._log.warning("clients' addresses are hidden", gateway=ip, advice=HIDDEN_ADVICE)
            if listener.implicit_tls and self._tls is not None:
                await stream.start_tls(self._tls(), self._limits.handshake_seconds)
            await self._handler(stream, listener)
            await stream.aclose()
        except* Exception as group:
            # a cancellation that comes along, at the end of the grace period, goes on to its scope by itself
            for error in _leaves(group):
                self._note(error, stream, listener)
        finally:
            stream.abort()  # does nothing after an orderly close
            self._counts.release(ip)
            self._open.dec(1, listener.name)

    def _note(self, error: Exception, stream: ClientStream, listener: Listener) -> None:
        if isinstance(error, TlsFailed):
            self._tls_failed.inc(1, listener.name)
        elif isinstance(error, NoHeader):
            if not error.silent:
                self._no_header.inc(1, listener.name)
                self._log.warning("no PROXY header", listener=listener.name, proxy=stream.peer_ip, why=str(error))
        elif not isinstance(error, (ConnectionLost, trio.BrokenResourceError, trio.ClosedResourceError)):
            self._failed.inc(1, listener.name)
            self._log.exception("connection failed", error, listener=listener.name, peer=stream.peer_ip)


def _leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    """What went wrong, however deep the nurseries of a handler have wrapped it."""
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
