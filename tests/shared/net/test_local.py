"""The listener on a Unix socket: its mode, its clients without an address, and who takes its name over."""

import stat
from pathlib import Path

import pytest
import trio

from shared.net.hidden import ClientsWatch, Surroundings
from shared.net.limits import ConnectionLimits, Refusal
from shared.net.listen import Listener, ListenLimits, serve
from shared.net.local import open_local_listener
from shared.net.networks import NetworkSet
from shared.net.stream import ClientStream
from shared.observe.log import Logger
from shared.observe.metrics import Metrics
from shared.testing import trio_test


@trio_test
async def test_clients_have_no_address_and_no_limit_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "it.sock"
    listener = open_local_listener("test", path, 0o660)
    watch = ClientsWatch(Surroundings(frozenset({"10.0.0.1"})), needed=1)

    async def tell(stream: ClientStream, listener: Listener) -> None:
        await stream.send_all(f"{listener.name} {stream.peer_ip!r}".encode())
        await stream.receive_some(1)

    async with trio.open_nursery() as nursery:
        limits = ListenLimits(connections_per_client=1, proxies=NetworkSet(["0.0.0.0/0", "::/0"]))
        draining, log = trio.Event(), Logger("test", write=lambda line: None)

        async def run(task_status: trio.TaskStatus[None]) -> None:
            await serve(
                [listener],
                tell,
                limits=limits,
                draining=draining,
                log=log,
                metrics=Metrics(),
                clients=watch,
                task_status=task_status,
            )

        await nursery.start(run)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        clients = [await trio.open_unix_socket(path) for _ in range(2)]
        for client in clients:
            assert await client.receive_some(100) == b"test ''"
        for client in clients:
            await client.aclose()
        draining.set()
    # a local client settles nothing about the others
    assert watch.seen("10.0.0.1", 0.0)


def test_the_last_one_has_the_name(tmp_path: Path) -> None:
    path = tmp_path / "it.sock"
    first = open_local_listener("test", path, 0o600)
    second = open_local_listener("test", path, 0o660)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert [entry.name for entry in tmp_path.iterdir()] == ["it.sock"]
    first.close()
    second.close()


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letters"
    path.write_text("dear")
    with pytest.raises(OSError, match="there is something else"):
        open_local_listener("test", path, 0o660)
    assert path.read_text() == "dear"


def test_a_bad_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"cannot listen on .*/missing/it.sock \(test\)"):
        open_local_listener("test", tmp_path / "missing" / "it.sock", 0o660)


def test_local_clients_count_towards_the_total() -> None:
    limits = ConnectionLimits(2, 1)
    assert [limits.acquire("") for _ in range(3)] == [None, None, Refusal.TOTAL]
    limits.release("")
    assert limits.acquire("192.0.2.1") is None
