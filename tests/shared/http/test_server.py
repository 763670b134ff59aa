"""The internal HTTP address over a real socket."""

import contextlib
from collections.abc import AsyncIterator

import trio

from shared.http import server as http_server
from shared.http.server import MAX_BODY_OCTETS, MAX_CONNECTIONS, MAX_HEADER_OCTETS, Request, Response, serve_requests
from shared.observe.health import Health
from shared.observe.metrics import Metrics
from shared.testing import trio_test


@contextlib.asynccontextmanager
async def running(health: Health, metrics: Metrics) -> AsyncIterator[int]:
    async with trio.open_nursery() as nursery:
        yield await nursery.start(http_server.serve_http, "127.0.0.1", 0, metrics, health)
        nursery.cancel_scope.cancel()


async def exchange(port: int, data: bytes) -> bytes:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(data)
        received = b""
        with contextlib.suppress(trio.BrokenResourceError):
            async for chunk in stream:
                received += chunk
        return received


async def get(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    head, _, body = (await exchange(port, request)).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@trio_test
async def test_health_and_metrics() -> None:
    health, metrics = Health("pop3"), Metrics()
    metrics.counter("c_total", "C.").inc(3)
    health.set("store", True)
    async with running(health, metrics) as port:
        assert (await get(port, "/metrics"))[1].endswith(b"c_total 3\n")
        assert (await get(port, "/healthz?verbose=1"))[0] == 200
        assert (await get(port, "/readyz"))[0] == 200
        health.set("store", False, "not reachable")
        assert (await get(port, "/healthz"))[0] == 200
        status, body = await get(port, "/readyz")
        assert status == 503
        assert b"not reachable" in body
        health.set("loop", False, vital=True)
        assert (await get(port, "/healthz"))[0] == 503
        assert (await get(port, "/"))[0] == 404
        assert (await get(port, "/metrics", "POST"))[0] == 405
        assert await get(port, "/metrics", "HEAD") == (200, b"")


@trio_test
async def test_several_requests_on_one_connection() -> None:
    async with running(Health(), Metrics()) as port:
        one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert (await exchange(port, one + one + last)).count(b"HTTP/1.1 200 OK") == 3


@trio_test
async def test_bad_requests_get_their_status() -> None:
    async with running(Health(), Metrics()) as port:
        assert b" 400 " in await exchange(port, b"\x16\x03\x01 garbage\r\n\r\n")
        long = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * (MAX_HEADER_OCTETS + 10)
        assert b" 431 " in await exchange(port, long)
        body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n" + b"z" * (MAX_BODY_OCTETS + 1)
        assert b" 413 " in await exchange(port, body)
        expect = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        assert b" 413 " in await exchange(port, expect)
        assert (await get(port, "/healthz"))[0] == 200


@trio_test
async def test_connections_are_bounded() -> None:
    async with running(Health(), Metrics()) as port:
        held = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
        assert b" 503 " in await exchange(port, b"")
        for stream in held:
            await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b" 200 " in await stream.receive_some(4096)
            await stream.aclose()


@trio_test
async def test_silent_client_is_closed() -> None:
    """The connection ends by itself within REQUEST_SECONDS (shortened here)."""
    async with trio.open_nursery() as nursery:
        original, http_server.REQUEST_SECONDS = http_server.REQUEST_SECONDS, 0.05
        try:
            port = await nursery.start(http_server.serve_http, "127.0.0.1", 0, Metrics(), Health())
            assert await exchange(port, b"GET / HTTP/1.1\r\n") == b""
        finally:
            http_server.REQUEST_SECONDS = original
        nursery.cancel_scope.cancel()


@trio_test
async def test_failing_handler_is_a_500_and_no_more() -> None:
    async def handle(request: Request) -> Response:
        if request.path == "/bad":
            raise RuntimeError("secret")
        return Response(200, b"ok\n")

    async with trio.open_nursery() as nursery:
        port = await nursery.start(serve_requests, "127.0.0.1", 0, handle)
        assert await get(port, "/bad") == (500, b"internal error\n")
        assert await get(port, "/good") == (200, b"ok\n")
        nursery.cancel_scope.cancel()
