"""Listeners behind a proxy: who is trusted, what is left behind the header, whose limits count. 127.0.0.2 is the proxy."""

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import trio

from shared.net.hidden import ClientsWatch, Surroundings
from shared.net.limits import Refusal
from shared.net.listen import Endpoint, Listener, ListenLimits, open_listeners, serve
from shared.net.networks import NetworkSet
from shared.net.stream import ClientStream
from shared.net.tls import ServerTls
from shared.observe.log import Logger
from shared.observe.metrics import Metrics
from shared.testing import trio_test
from shared.testing.certificates import make_certificate

PROXY, STRANGER = "127.0.0.2", "127.0.0.1"
TEXT = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"
BINARY = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x12" + bytes([192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0, 25]) + b"\x04\x00\x03abc"
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
LIMITS = ListenLimits(connections=5, connections_per_client=2, proxies=NetworkSet([PROXY]), proxy_seconds=5)


@attrs.define
class Running:
    port: int
    lines: list[str]
    logged: trio.Event
    metrics: Metrics


async def tell(stream: ClientStream, listener: Listener) -> None:
    """Says who is there, then echoes."""
    await stream.send_all(f"{stream.peer_ip} {stream.peer_port}\n".encode())
    while data := await stream.receive_some(1000):
        await stream.send_all(data)


@contextlib.asynccontextmanager
async def running(
    limits: ListenLimits = LIMITS, tls: ServerTls | None = None, clients: ClientsWatch | None = None
) -> AsyncIterator[Running]:
    (listener,) = open_listeners([Endpoint("test", "127.0.0.1", 0, implicit_tls=tls is not None)])
    it = Running(listener.port, [], trio.Event(), Metrics())

    def write(line: str) -> None:
        it.lines.append(line)
        it.logged.set()

    def refusal(listener: Listener, why: Refusal) -> bytes:
        return b"no: " + why.name.encode() + b"\n"

    async def run(task_status: trio.TaskStatus[None]) -> None:
        await serve(
            [listener],
            tell,
            limits=limits,
            draining=trio.Event(),
            log=Logger("test", write=write),
            metrics=it.metrics,
            tls=tls.context if tls else None,
            refusal=refusal,
            clients=clients,
            task_status=task_status,
        )

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        yield it
        nursery.cancel_scope.cancel()


async def dial(port: int, source: str) -> trio.SocketStream:
    sock = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    await sock.bind((source, 0))
    await sock.connect(("127.0.0.1", port))
    return trio.SocketStream(sock)


async def read(stream: trio.abc.Stream, until: bytes) -> bytes:
    data = b""
    while not data.endswith(until) and (more := await stream.receive_some(1000)):
        data += more
    return data


async def to_the_end(stream: trio.abc.ReceiveStream) -> bytes:
    data = b""
    with contextlib.suppress(trio.BrokenResourceError):
        while more := await stream.receive_some(1000):
            data += more
    return data


@pytest.mark.parametrize("header", [TEXT, BINARY])
@trio_test
async def test_what_stands_behind_the_header_is_the_clients(header: bytes) -> None:
    async with running() as it:
        for pieces in ([header + b"hello"], [bytes([octet]) for octet in header + b"hello"]):
            client = await dial(it.port, PROXY)
            for piece in pieces:
                await client.send_all(piece)
            assert await read(client, b"hello") == b"192.0.2.7 4711\nhello"
            await client.aclose()
        assert it.lines == []


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n"])
@trio_test
async def test_a_proxy_that_announces_nobody_is_itself(header: bytes) -> None:
    async with running() as it:
        client = await dial(it.port, PROXY)
        await client.send_all(header)
        assert (await read(client, b"\n")).startswith(b"127.0.0.2 ")
        await client.aclose()


@pytest.mark.parametrize("header", [TEXT, BINARY])
@trio_test
async def test_a_strangers_header_is_never_looked_at(header: bytes) -> None:
    async with running() as it:
        client = await dial(it.port, STRANGER)
        assert (await read(client, b"\n")).startswith(b"127.0.0.1 ")
        await client.send_all(header)
        assert await read(client, header) == header
        await client.aclose()


@pytest.mark.parametrize("header", [TEXT, BINARY])
@trio_test
async def test_tls_begins_right_behind_the_header(header: bytes, tmp_path: Path) -> None:
    tls = ServerTls(*make_certificate(tmp_path))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with running(tls=tls) as it:
        raw = await dial(it.port, PROXY)
        await raw.send_all(header)
        client = trio.SSLStream(raw, context, https_compatible=True)
        assert await read(client, b"\n") == b"192.0.2.7 4711\n"
        await client.aclose()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"EHLO client.test\r\n", "no PROXY header"),
        (b"PROXY TCP4 192.0.2.7\r\n", "malformed"),
        (b"PROXY UNKNOWN " + b"x" * 200, "longer than 107"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\rMAIL FROM:<>\r\n", "malformed"),
        (BINARY[:14] + b"\xff\xff" + bytes(20), "more than 4096"),
    ],
)
@trio_test
async def test_without_a_good_header_the_connection_ends(data: bytes, why: str) -> None:
    async with running() as it:
        client = await dial(it.port, PROXY)
        await client.send_all(data)
        assert await to_the_end(client) == b""
        await it.logged.wait()
        assert "no PROXY header" in it.lines[0]
        assert why in it.lines[0]
        assert "127.0.0.2" in it.lines[0]
        await client.aclose()


@trio_test
async def test_a_silent_proxy_is_not_waited_for_long() -> None:
    async with running(attrs.evolve(LIMITS, proxy_seconds=0.05)) as it:
        client = await dial(it.port, PROXY)
        await client.send_all(BINARY[:20])
        assert await to_the_end(client) == b""
        assert "no header within 0.05 s" in it.lines[0]
        await client.aclose()


@trio_test
async def test_a_look_whether_the_port_is_open_is_no_news() -> None:
    async with running() as it:
        client = await dial(it.port, PROXY)
        await client.send_eof()
        assert await to_the_end(client) == b""
        await client.aclose()
        assert it.lines == []


@trio_test
async def test_limits_count_the_client_and_not_its_proxy() -> None:
    async with running() as it:
        held = []
        for number in (7, 7, 8, 9):
            client = await dial(it.port, PROXY)
            await client.send_all(b"PROXY TCP4 192.0.2.%d 198.51.100.1 4711 25\r\n" % number)
            assert await read(client, b"\n") == b"192.0.2.%d 4711\n" % number
            held.append(client)
        third = await dial(it.port, PROXY)
        await third.send_all(TEXT)
        assert await to_the_end(third) == b"no: PER_CLIENT\n"
        await held.pop(0).aclose()
        while it.metrics.gauge("connections_open", "", ("listener",)).value("test") > 3:
            await trio.lowlevel.checkpoint()
        again = await dial(it.port, PROXY)
        await again.send_all(TEXT)
        assert await read(again, b"\n") == b"192.0.2.7 4711\n"
        fifth = await dial(it.port, PROXY)
        await fifth.send_all(LOCAL)
        assert await read(fifth, b"\n")
        sixth = await dial(it.port, PROXY)
        assert await to_the_end(sixth) == b"no: TOTAL\n"
        for client in (*held, third, again, fifth, sixth):
            await client.aclose()


@trio_test
async def test_clients_that_a_gateway_hides_are_said_once() -> None:
    """127.0.0.3 is the gateway; what a proxy announces counts, the proxy itself does not."""
    watch = ClientsWatch(Surroundings(frozenset({"127.0.0.3"}), NetworkSet([STRANGER])), needed=4)
    async with running(clients=watch) as it:
        for source, header in ((STRANGER, b""), (PROXY, TEXT.replace(b"192.0.2.7", b"127.0.0.3")), *[("127.0.0.3", b"")] * 5):
            client = await dial(it.port, source)
            await client.send_all(header)
            assert await read(client, b"\n")
            await client.aclose()
        (line,) = it.lines
        assert "addresses are hidden" in line
        assert "127.0.0.3" in line
        assert "server.proxy_networks" in line
        assert watch.hides("127.0.0.3")
