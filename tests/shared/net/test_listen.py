"""The accept loop: isolation, limits, exhaustion, implicit TLS, drain."""

import contextlib
import os
import resource
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from shared.net.dial import connect
from shared.net.limits import Refusal
from shared.net.listen import Endpoint, Handler, Listener, ListenLimits, bound_ports, open_listeners, serve
from shared.net.networks import NetworkSet
from shared.net.stream import ClientStream, ConnectionLost
from shared.net.tls import ServerTls, opportunistic_client_context
from shared.observe.metrics import Metrics
from shared.testing import trio_test
from shared.testing.certificates import make_certificate


class Log:
    def __init__(self) -> None:
        self.errors: list[str] = []
        self.logged = trio.Event()

    def warning(self, event: str, **fields: object) -> None:
        self.error(event, **fields)

    def error(self, event: str, **fields: object) -> None:
        self.errors.append(event)
        self.logged.set()

    def exception(self, event: str, error: BaseException, **fields: object) -> None:
        self.error(event, error=error, **fields)


@attrs.define
class Running:
    port: int
    log: Log
    metrics: Metrics
    draining: trio.Event
    done: trio.Event


@contextlib.asynccontextmanager
async def running(
    handler: Handler, limits: ListenLimits | None = None, tls: ServerTls | None = None
) -> AsyncIterator[Running]:
    listeners = open_listeners([Endpoint("test", "127.0.0.1", 0, implicit_tls=tls is not None)])
    it = Running(listeners[0].port, Log(), Metrics(), trio.Event(), trio.Event())

    def refusal(listener: Listener, why: Refusal) -> bytes:
        return f"-ERR {why.value}\r\n".encode()

    async def run(task_status: trio.TaskStatus[None]) -> None:
        await serve(
            listeners,
            handler,
            limits=limits or ListenLimits(),
            draining=it.draining,
            log=it.log,
            metrics=it.metrics,
            tls=tls.context if tls else None,
            refusal=refusal,
            task_status=task_status,
        )
        it.done.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        yield it
        nursery.cancel_scope.cancel()


async def echo(stream: ClientStream, listener: Listener) -> None:
    while data := await stream.receive_some(1000):
        if data == b"fail":
            raise RuntimeError("a mistake of ours")
        await stream.send_all(data)


async def call(port: int, data: bytes) -> bytes:
    client = await connect("127.0.0.1", port, 5)
    try:
        await client.send_all(data)
        return await client.receive_some(1000)
    except ConnectionLost:
        return b""
    finally:
        client.abort()


@trio_test
async def test_one_failing_handler_ends_its_own_connection_only() -> None:
    async with running(echo) as it:
        neighbour = await connect("127.0.0.1", it.port, 5)
        assert await call(it.port, b"fail") == b""
        await it.log.logged.wait()
        assert it.log.errors == ["connection failed"]
        await neighbour.send_all(b"still here")
        assert await neighbour.receive_some(100) == b"still here"
        assert await call(it.port, b"hello") == b"hello"
        await neighbour.aclose()
        assert it.metrics.counter("connections_failed_total", "", ("listener",)).value("test") == 1


@trio_test
async def test_clients_that_vanish_are_no_news() -> None:
    finished = trio.Event()

    async def pour(stream: ClientStream, listener: Listener) -> None:
        try:
            async with trio.open_nursery():
                while True:
                    await stream.send_all(bytes(10_000))
        finally:
            finished.set()

    async with running(pour) as it:
        client = await connect("127.0.0.1", it.port, 5)
        assert await client.receive_some(10)
        client.abort()
        await finished.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert it.log.errors == []
        assert it.metrics.gauge("connections_open", "", ("listener",)).value("test") == 0


@trio_test
async def test_per_client_limit_and_its_words() -> None:
    async with running(echo, ListenLimits(connections_per_client=2)) as it:
        held = [await connect("127.0.0.1", it.port, 5) for _ in range(2)]
        for stream in held:
            await stream.send_all(b"x")
            assert await stream.receive_some(10) == b"x"
        third = await connect("127.0.0.1", it.port, 5)
        assert await third.receive_some(100) == b"-ERR too many connections from your address\r\n"
        assert await third.receive_some(100) == b""
        await held[0].aclose()
        while it.metrics.gauge("connections_open", "", ("listener",)).value("test") > 1:
            await trio.lowlevel.checkpoint()
        assert await call(it.port, b"again") == b"again"
        for stream in (*held, third):
            stream.abort()


@trio_test
async def test_exempt_networks_and_the_total_limit() -> None:
    limits = ListenLimits(connections=3, connections_per_client=1, exempt=NetworkSet(["127.0.0.0/8"]))
    async with running(echo, limits) as it:
        held = [await connect("127.0.0.1", it.port, 5) for _ in range(3)]
        assert await call(it.port, b"") == b"-ERR too many connections\r\n"
        for stream in held:
            stream.abort()


@trio_test
async def test_implicit_tls_and_a_silent_client_that_delays_nobody(tmp_path: Path) -> None:
    tls = ServerTls(*make_certificate(tmp_path))
    async with running(echo, ListenLimits(handshake_seconds=0.2), tls) as it:
        silent = await connect("127.0.0.1", it.port, 5)
        client = await connect("127.0.0.1", it.port, 5)
        await client.start_tls(opportunistic_client_context(), 5, server_hostname="localhost")
        await client.send_all(b"hello")
        assert await client.receive_some(100) == b"hello"
        assert await silent.receive_some(10) == b""
        plain = await connect("127.0.0.1", it.port, 5)
        await plain.send_all(b"EHLO x\r\n")
        while await plain.receive_some(100):
            pass  # an alert
        failed = it.metrics.counter("tls_handshakes_failed_total", "", ("listener",))
        assert failed.value("test") == 2
        assert it.log.errors == []
        for stream in (silent, client, plain):
            stream.abort()


@trio_test
async def test_drain_closes_listeners_lets_handlers_end_and_cancels_the_rest() -> None:
    events: list[str] = []
    started = trio.Event()
    open_count = 0

    async with running(lambda s, li: handler(s), ListenLimits(grace_seconds=0.3)) as it:

        async def handler(stream: ClientStream) -> None:
            nonlocal open_count
            open_count += 1
            name = (await stream.receive_some(100)).decode()
            if name == "polite":
                started.set()
                await it.draining.wait()
                await stream.send_all(b"bye")
                events.append("polite ended")
                return
            try:
                await trio.sleep_forever()
            finally:
                events.append("stubborn cancelled")

        polite, stubborn = await connect("127.0.0.1", it.port, 5), await connect("127.0.0.1", it.port, 5)
        await stubborn.send_all(b"stubborn")
        await polite.send_all(b"polite")
        await started.wait()
        it.draining.set()
        assert await polite.receive_some(100) == b"bye"
        await it.done.wait()
        assert events == ["polite ended", "stubborn cancelled"]
        assert await stubborn.receive_some(10) == b""
        with pytest.raises(ConnectionLost):
            await connect("127.0.0.1", it.port, 1)
        for stream in (polite, stubborn):
            stream.abort()


@trio_test
async def test_losing_a_connection_while_being_cancelled_ends_nothing_else() -> None:
    """A handler's nursery then raises both at once; the mistake of one connection was to end the whole server."""
    started = trio.Event()

    async def handler(stream: ClientStream, listener: Listener) -> None:
        async def fail_at_the_end(error: Exception) -> None:
            try:
                started.set()
                await trio.sleep_forever()
            finally:
                raise error

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_at_the_end, ConnectionLost("gone"))
            nursery.start_soon(fail_at_the_end, RuntimeError("a mistake of ours"))
            await trio.sleep_forever()

    async with running(handler, ListenLimits(grace_seconds=0)) as it:
        client = await connect("127.0.0.1", it.port, 5)
        await started.wait()
        it.draining.set()
        await it.done.wait()
        assert it.log.errors == ["connection failed"]
        client.abort()


@trio_test
async def test_drain_without_connections_is_immediate() -> None:
    async with running(echo, ListenLimits(grace_seconds=100)) as it:
        it.draining.set()
        with trio.fail_after(1):
            await it.done.wait()


@trio_test
async def test_accepting_goes_on_after_running_out_of_descriptors() -> None:
    async with running(echo) as it:
        clients = [socket.socket() for _ in range(3)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        spare = os.dup(0)
        os.close(spare)
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
        try:
            for client in clients:
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    client.connect(("127.0.0.1", it.port))
            with trio.fail_after(5):
                await it.log.logged.wait()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert "cannot accept" in it.log.errors[0]
        for client in clients:
            stream = ClientStream.from_socket(client)
            await stream.send_all(b"late")
            assert await stream.receive_some(100) == b"late"
            stream.abort()


def test_ports_are_bound_reported_and_exclusive() -> None:
    listeners = open_listeners([Endpoint("a", "127.0.0.1", 0), Endpoint("b", "127.0.0.1", 0, implicit_tls=True)])
    try:
        ports = bound_ports(listeners)
        assert ports == {"a": [("127.0.0.1", listeners[0].port)], "b": [("127.0.0.1", listeners[1].port)]}
        assert all(listener.port > 0 for listener in listeners)
        taken = listeners[0].port
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1 port {taken} \\(c\\)"):
            open_listeners([Endpoint("x", "127.0.0.1", 0), Endpoint("c", "127.0.0.1", taken)])
    finally:
        for listener in listeners:
            listener.close()


def test_workers_share_a_port_only_when_asked() -> None:
    (first,) = open_listeners([Endpoint("a", "127.0.0.1", 0)], reuse_port=True)
    (second,) = open_listeners([Endpoint("a", "127.0.0.1", first.port)], reuse_port=True)
    first.close()
    second.close()


def test_both_families_stand_side_by_side_where_there_are_two() -> None:
    (first,) = open_listeners([Endpoint("a", "0.0.0.0", 0)])
    first.close()
    listeners = open_listeners([Endpoint("a", "0.0.0.0", first.port), Endpoint("a", "::", first.port)])
    assert listeners[0].host == "0.0.0.0"
    assert len(listeners) == (2 if Path("/proc/net/if_inet6").exists() else 1)
    for listener in listeners:
        listener.close()


@trio_test
async def test_implicit_tls_needs_a_context() -> None:
    listeners = open_listeners([Endpoint("a", "127.0.0.1", 0, implicit_tls=True)])
    with pytest.raises(ValueError, match="context"):
        await serve(listeners, echo, limits=ListenLimits(), draining=trio.Event(), log=Log(), metrics=Metrics())
    listeners[0].close()
