"""One connection: sending to slow and dead peers, TLS, closing. Over real loopback sockets."""

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from shared.net.dial import ConnectFailed, connect
from shared.net.stream import ClientStream, ConnectionLost, TlsFailed
from shared.net.tls import ServerTls, opportunistic_client_context, verifying_client_context
from shared.testing import trio_test
from shared.testing.certificates import make_certificate


@contextlib.asynccontextmanager
async def pair(
    send_timeout_seconds: float = 10, small: bool = False
) -> AsyncIterator[tuple[ClientStream, ClientStream]]:
    """(ours, the client's), connected; `small` makes the kernel's buffers tiny."""
    listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        if small:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client = await connect("127.0.0.1", listener.getsockname()[1], 5)
        accepted, _ = listener.accept()
    ours = ClientStream.from_socket(accepted, send_timeout_seconds=send_timeout_seconds)
    try:
        yield ours, client
    finally:
        ours.abort()
        client.abort()


async def read_all(stream: ClientStream) -> bytes:
    data = b""
    while chunk := await stream.receive_some(65536):
        data += chunk
    return data


async def tls_pair(ours: ClientStream, client: ClientStream, folder: Path) -> None:
    cert, key = make_certificate(folder)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.start_tls, ServerTls(cert, key).context(), 5)
        context = verifying_client_context.__wrapped__(cert)
        await client.start_tls(context, 5, server_hostname="localhost")


@trio_test
async def test_addresses() -> None:
    async with pair() as (ours, client):
        assert (ours.peer_ip, ours.local_ip) == ("127.0.0.1", "127.0.0.1")
        assert (ours.peer_port, ours.local_port) == (client.local_port, client.peer_port)
        assert ours.tls is None


@trio_test
async def test_bytes_go_both_ways_whole_and_in_order() -> None:
    payload = bytes(range(256)) * 8192
    async with pair(small=True) as (ours, client), trio.open_nursery() as nursery:

        async def echo() -> None:
            while data := await client.receive_some(10_000):
                await client.send_all(data)
            await client.aclose()

        nursery.start_soon(echo)
        received = bytearray()

        async def send() -> None:
            for start in range(0, len(payload), 100_000):
                await ours.send_all(memoryview(payload)[start : start + 100_000])

        nursery.start_soon(send)
        while len(received) < len(payload):
            received += await ours.receive_some(65536)
        assert received == payload
        await ours.aclose()


@trio_test
async def test_whether_the_peer_has_spoken_is_told_without_reading() -> None:
    async with pair() as (ours, peer):
        with trio.move_on_after(0.05) as silence:
            await ours.wait_spoken()
        assert silence.cancelled_caught
        await peer.send_all(b"hello")
        assert await ours.wait_spoken()
        assert await ours.receive_some(100) == b"hello"
        await peer.aclose()
        assert not await ours.wait_spoken()


@trio_test
async def test_end_of_connection_is_data_to_the_reader_and_an_error_to_the_writer() -> None:
    async with pair() as (ours, client):
        client.abort()
        assert await ours.receive_some(100) == b""
        with pytest.raises(ConnectionLost):
            await ours.send_all(b"x")
    async with pair() as (ours, client):
        await client.send_all(b"last")
        await client.aclose()
        assert await ours.receive_some(100) == b"last"
        assert await ours.receive_some(100) == b""
    async with pair() as (ours, client):
        ours.abort()
        assert await ours.receive_some(100) == b""
        with pytest.raises(ConnectionLost):
            await ours.send_all(b"x")


@trio_test
async def test_peer_that_does_not_read_is_given_up() -> None:
    async with pair(send_timeout_seconds=0.1, small=True) as (ours, client):
        with pytest.raises(ConnectionLost, match="took no data"):
            await ours.send_all(bytes(50_000_000))
        assert await ours.receive_some(10) == b""
        del client


@trio_test
async def test_slow_peer_is_served_as_long_as_it_takes() -> None:
    """Ten pauses, each shorter than the send timeout, all together longer: no time limit on the whole."""
    total = 3_000_000
    async with pair(send_timeout_seconds=0.3, small=True) as (ours, client), trio.open_nursery() as nursery:
        nursery.start_soon(ours.send_all, bytes(total))
        received = 0
        while received < total:
            if received < total // 2:
                await trio.lowlevel.checkpoint()
                with trio.move_on_after(0.05):
                    await trio.sleep_forever()
            for _ in range(10):
                received += len(await client.receive_some(30_000))
                if received == total:
                    break


@trio_test
async def test_two_senders_are_a_mistake() -> None:
    async with pair(small=True) as (ours, _client), trio.open_nursery() as nursery:
        nursery.start_soon(ours.send_all, bytes(10_000_000))
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await ours.send_all(b"x")
        nursery.cancel_scope.cancel()


@trio_test
async def test_long_sender_lets_others_run() -> None:
    """Less than the kernel's buffers hold, so that no send ever has to wait."""
    async with pair() as (ours, _client):
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as counting:
            counting.start_soon(count)
            for _ in range(60):
                await ours.send_all(bytes(20_000))
            assert turns >= 3
            counting.cancel_scope.cancel()


@trio_test
async def test_tls(tmp_path: Path) -> None:
    async with pair() as (ours, client):
        await tls_pair(ours, client, tmp_path)
        assert ours.tls is not None
        assert ours.tls.version == "TLSv1.3"
        assert ours.tls.bits >= 128
        big = bytes(range(256)) * 4096
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.send_all, big)
            received = b""
            while len(received) < len(big):
                received += await client.receive_some(65536)
            assert received == big
        with pytest.raises(RuntimeError):
            await ours.start_tls(opportunistic_client_context(), 1)
        await ours.aclose()
        assert await client.receive_some(10) == b""


@trio_test
async def test_tls_peer_that_does_not_read_is_given_up(tmp_path: Path) -> None:
    async with pair(send_timeout_seconds=0.1, small=True) as (ours, client):
        await tls_pair(ours, client, tmp_path)
        with pytest.raises(ConnectionLost, match="took no data"):
            await ours.send_all(bytes(50_000_000))


@trio_test
async def test_tls_peer_that_vanishes_without_alert_is_eof(tmp_path: Path) -> None:
    async with pair() as (ours, client):
        await tls_pair(ours, client, tmp_path)
        client._raw.shutdown(socket.SHUT_WR)
        assert await ours.receive_some(10) == b""


@trio_test
async def test_handshakes_that_fail(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    server = ServerTls(cert, key).context()
    async with pair() as (ours, client):
        await client.send_all(b"EHLO plaintext\r\n")
        with pytest.raises(TlsFailed, match="TLS handshake failed"):
            await ours.start_tls(server, 5)
        assert await ours.receive_some(10) == b""
    async with pair() as (ours, _client):
        with pytest.raises(TlsFailed, match=r"within 0\.05 s"):
            await ours.start_tls(server, 0.05)
    async with pair() as (ours, client):
        await client.aclose()
        with pytest.raises(TlsFailed, match="closed the connection"):
            await ours.start_tls(server, 5)


@trio_test
async def test_old_tls_and_wrong_names_are_refused(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    async def attempt(context: ssl.SSLContext, name: str) -> str:
        async with pair() as (ours, client), trio.open_nursery() as nursery:

            async def serve() -> None:
                with contextlib.suppress(TlsFailed):
                    await ours.start_tls(ServerTls(cert, key).context(), 5)

            nursery.start_soon(serve)
            with pytest.raises(TlsFailed) as failed:
                await client.start_tls(context, 5, server_hostname=name)
            return str(failed.value)

    await attempt(old, "localhost")
    strict = verifying_client_context.__wrapped__(cert)
    assert "mismatch" in (await attempt(strict, "wrong.test")).lower()
    assert "not accepted" in await attempt(verifying_client_context(), "localhost")


@trio_test
async def test_plaintext_behind_starttls_never_arrives_under_tls(tmp_path: Path) -> None:
    """CVE-2011-0411: what was read with the STARTTLS line is dropped; what the kernel still holds breaks the handshake."""
    cert, key = make_certificate(tmp_path)
    async with pair() as (ours, client):
        await client.send_all(b"STLS\r\nDELE 1\r\n")
        first = await ours.receive_some(4096)
        assert first == b"STLS\r\nDELE 1\r\n"
        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                await ours.start_tls(ServerTls(cert, key).context(), 5, discarded_octets=8)
                assert ours.discarded_octets == 8
                assert await ours.receive_some(100) == b"NOOP\r\n"

            nursery.start_soon(serve)
            await client.start_tls(opportunistic_client_context(), 5, server_hostname="localhost")
            await client.send_all(b"NOOP\r\n")


@trio_test
async def test_the_last_reply_arrives_though_the_client_still_talks() -> None:
    """A close with unread input would reset the connection and could take our reply with it."""
    async with pair() as (ours, client):
        await client.send_all(b"RETR 1\r\n" * 1000)
        assert await ours.receive_some(4)
        await ours.send_all(b"-ERR bye\r\n")
        closed = trio.Event()

        async def close() -> None:
            await ours.aclose()
            closed.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(close)
            await trio.testing.wait_all_tasks_blocked()
            await client.send_all(b"RETR 1\r\n" * 1000)
            assert await read_all(client) == b"-ERR bye\r\n"
            assert not closed.is_set()
            await client.aclose()


@trio_test
async def test_close_is_bounded_and_repeatable() -> None:
    async with pair() as (ours, client):
        await client.send_all(b"x")
        with trio.fail_after(5):
            await ours.aclose()
        await ours.aclose()
        ours.abort()


@trio_test
async def test_dialling_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectFailed, match="refused"):
        await connect("127.0.0.1", port, 5)
    with pytest.raises(ConnectFailed):
        await connect("127.0.0.1", port, 5, source_ip="192.0.2.1")
