"""A small HTTP/1.1 server on trio and h11, for internal addresses: health, metrics.

Laws:
- Bounded everywhere: connections (`MAX_CONNECTIONS`, the next one is told 503 and closed), the header block
  (`MAX_HEADER_OCTETS`, 431 beyond), the time for one request and its answer (`REQUEST_SECONDS`), requests per
  connection, the body of a request (`MAX_BODY_OCTETS`, 413 beyond; nobody reads it).
- One client's mistake or a failing handler ends that request or that connection, never the server.
- No TLS and no authentication: the address is internal, and what is shown there is neither secret nor user data.

h11 does the syntax (RFC 9112); this module only moves bytes and keeps the limits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import h11
import trio

from shared.observe.health import Health
from shared.observe.metrics import CONTENT_TYPE, Metrics

MAX_CONNECTIONS = 32
"""Prometheus, a container's health check and a person with curl: few. A dozen more cost nothing."""

MAX_HEADER_OCTETS = 8 * 1024
MAX_BODY_OCTETS = 16 * 1024
REQUEST_SECONDS = 10.0
"""From the first octet waited for to the answer written; also the longest idle time between two requests."""

MAX_REQUESTS = 1000
"""Requests on one connection."""

_READ_OCTETS = 8 * 1024
_BACKLOG = 16


@attrs.frozen
class Request:
    """What a handler sees: method and path, the query cut off."""

    method: str
    path: str


@attrs.frozen
class Response:
    """What a handler answers."""

    status: int
    body: bytes = b""
    content_type: bytes = b"text/plain; charset=utf-8"


Handler = Callable[[Request], Awaitable[Response]]
NOT_FOUND = Response(404, b"not found\n")


async def serve_http(
    host: str,
    port: int,
    metrics: Metrics,
    health: Health,
    *,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves `GET /healthz`, `/readyz` and `/metrics` until cancelled; `task_status` reports the bound port.

    `/healthz`: 200 while the process is worth keeping, else 503. `/readyz`: 200 while it can do its work, else 503.
    Both show the same JSON. Raises OSError when the address cannot be bound.
    """

    async def handle(request: Request) -> Response:
        return _observe(request, metrics, health)

    await serve_requests(host, port, handle, task_status=task_status)


async def serve_requests(
    host: str,
    port: int,
    handler: Handler,
    *,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves requests with `handler` until cancelled; `task_status` reports the bound port."""
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG)
    server = _Server(handler)
    bound: int = listeners[0].socket.getsockname()[1]
    task_status.started(bound)
    await trio.serve_listeners(server.serve, listeners)


def _observe(request: Request, metrics: Metrics, health: Health) -> Response:
    if request.method not in ("GET", "HEAD"):
        return Response(405, b"only GET\n")
    if request.path == "/metrics":
        return Response(200, metrics.render(), CONTENT_TYPE)
    if request.path == "/healthz":
        return Response(200 if health.alive else 503, health.render(), b"application/json")
    if request.path == "/readyz":
        return Response(200 if health.ready else 503, health.render(), b"application/json")
    return NOT_FOUND


class _Server:
    """The open connections of one server, counted."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._open = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection from its first octet to its end; never raises but for a cancellation."""
        self._open += 1
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADER_OCTETS)
        try:
            if self._open > MAX_CONNECTIONS:
                with trio.move_on_after(1):
                    await _send(connection, stream, Response(503, b"too many connections\n"), close=True)
                return
            await self._requests(connection, stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.LocalProtocolError):
            pass  # the client went away in the middle of it
        finally:
            self._open -= 1
            await stream.aclose()

    async def _requests(self, connection: h11.Connection, stream: trio.SocketStream) -> None:
        for count in range(1, MAX_REQUESTS + 1):
            with trio.move_on_after(REQUEST_SECONDS) as scope:
                try:
                    request = await _read_request(connection, stream)
                except h11.RemoteProtocolError as error:
                    status = error.error_status_hint
                    await _send(connection, stream, Response(status, b"bad request\n"), close=True)
                    return
                if request is None:
                    return
                response = await self._answer(request)
                await _send(connection, stream, response, close=count == MAX_REQUESTS, head=request.method == "HEAD")
            if scope.cancelled_caught or connection.our_state is not h11.DONE:
                return
            if connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except Exception:
            # the one place that must not know why: a broken gauge must not take /healthz away
            return Response(500, b"internal error\n")


async def _read_request(connection: h11.Connection, stream: trio.SocketStream) -> Request | None:
    """The next request with its body read and dropped, None at the end of the connection."""
    request: Request | None = None
    body_octets = 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                raise h11.RemoteProtocolError("no body wanted", error_status_hint=413)
            connection.receive_data(await stream.receive_some(_READ_OCTETS))
        elif isinstance(event, h11.Request):
            target = event.target.decode("ascii", "replace")
            request = Request(event.method.decode("ascii", "replace"), target.partition("?")[0])
        elif isinstance(event, h11.Data):
            body_octets += len(event.data)
            if body_octets > MAX_BODY_OCTETS:
                raise h11.RemoteProtocolError("body too large", error_status_hint=413)
        elif isinstance(event, h11.EndOfMessage):
            return request
        else:  # ConnectionClosed, PAUSED
            return None


async def _send(
    connection: h11.Connection, stream: trio.SocketStream, response: Response, *, close: bool, head: bool = False
) -> None:
    if connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
        return
    headers = [(b"Content-Type", response.content_type), (b"Content-Length", b"%d" % len(response.body))]
    if close:
        headers.append((b"Connection", b"close"))
    answer = h11.Response(status_code=response.status, headers=headers, reason=_REASONS.get(response.status, b""))
    data = connection.send(answer) or b""
    if not head:
        data += connection.send(h11.Data(data=response.body)) or b""
    data += connection.send(h11.EndOfMessage()) or b""
    await stream.send_all(data)


_REASONS = {
    200: b"OK",
    400: b"Bad Request",
    404: b"Not Found",
    405: b"Method Not Allowed",
    413: b"Content Too Large",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}
