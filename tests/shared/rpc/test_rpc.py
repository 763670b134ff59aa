"""The RPC over a real Unix socket with a stand-in store: areas that implement the contract by hand for a few calls."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from shared.contract.areas import AREAS, METHODS
from shared.contract.contents import Contents
from shared.contract.events import CHANGED
from shared.contract.registry import Role
from shared.contract.types import Resolution, ResolutionKind
from shared.errors import AuthenticationFailed, DeadlineExceeded, Forbidden, Internal, Overloaded, Unavailable
from shared.model.blob import Blob
from shared.model.ids import Grant, MailboxId
from shared.observe.log import Level, Logger
from shared.rpc import client as client_module
from shared.rpc import store_client as store_client_module
from shared.rpc.address import connect_unix, listen_unix
from shared.rpc.client import RpcClient
from shared.rpc.server import Call, RpcServer, bind_handlers
from shared.rpc.store_client import StoreClient

QUIET = Logger("test", Level.ERROR, as_json=False, write=lambda _: None)


class StandIn:
    """Every call of every area; ``answers`` says what the ones under test do."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[..., Awaitable[Any]]] = {}
        self.seen: list[tuple[str, Call]] = []

    def areas(self) -> dict[str, object]:
        return {area: self._area(area) for area in AREAS}

    def _area(self, area: str) -> object:
        body: dict[str, Any] = {}
        for method in METHODS.values():
            if method.area == area:
                names = ", ".join(["call", *(name for name, _ in method.parameters)])
                scope: dict[str, Any] = {"stand_in": self, "wire": method.wire_name}
                exec(f"async def handler({names}):\n return await stand_in.handle(wire, {names})", scope)
                body[method.name] = staticmethod(scope["handler"])
        return type(area, (), body)()

    async def handle(self, wire: str, call: Call, *values: Any) -> Any:
        self.seen.append((wire, call))
        return await self.answers[wire](call, *values)


@asynccontextmanager
async def serving(path: Path, stand_in: StandIn, keys: dict[Role, bytes]) -> AsyncIterator[trio.CancelScope]:
    server = RpcServer(bind_handlers(stand_in.areas()), keys, QUIET)
    async with trio.open_nursery() as nursery:
        listener = await listen_unix(str(path), 0o600)
        nursery.start_soon(trio.serve_listeners, server.serve_connection, [listener])
        yield nursery.cancel_scope
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def connected(path: Path, role: Role, key: bytes, wait_seconds: float = 10) -> AsyncIterator[StoreClient]:
    async def connect() -> trio.abc.Stream:
        return await connect_unix(str(path))

    store = StoreClient(RpcClient(connect, role, lambda: key, "1", QUIET, wait_seconds))
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        yield store
        nursery.cancel_scope.cancel()


def run(function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
    async def bounded() -> None:
        with trio.fail_after(20):
            await function(*arguments)

    trio.run(bounded)


KEYS = {role: secrets.token_bytes(32) for role in Role}
FOUND = Resolution(ResolutionKind.DELIVERABLE, (), ("a@b.example",))


async def resolve(call: Call, address: str) -> Resolution:
    await trio.lowlevel.checkpoint()
    return FOUND if address == "a" else Resolution(ResolutionKind.UNKNOWN)


@pytest.mark.parametrize("pieces", [[b""], [b"x"], [b"abc" * 7000] * 40, [bytes([n % 256]) for n in range(3000)], []])
def test_blobs_travel_beside_other_calls(tmp_path: Path, pieces: list[bytes]) -> None:
    """Small, large and in thousands of pieces, several under way at once, with ordinary answers in between."""

    async def read_many(call: Call, *_: Any) -> Contents:
        await trio.lowlevel.checkpoint()
        return Contents(b"lengths", Blob([memoryview(piece) for piece in pieces]))

    async def main() -> None:
        stand_in = StandIn()
        stand_in.answers |= {"directory.resolve": resolve, "messages.read_many": read_many}
        async with (
            serving(tmp_path / "s", stand_in, KEYS),
            connected(tmp_path / "s", Role.IMAP, KEYS[Role.IMAP]) as imap,
            connected(tmp_path / "s", Role.SMTP_IN, KEYS[Role.SMTP_IN]) as smtp_in,
        ):
            found: list[Contents] = []

            async def one() -> None:
                found.append(await imap.messages.read_many(Grant(b""), MailboxId(1), b"", b"", b""))
                assert await smtp_in.directory.resolve("a") == FOUND

            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(one)
            assert {bytes(contents.data.joined()) for contents in found} == {b"".join(pieces)}
            assert {contents.lengths for contents in found} == {b"lengths"}

    run(main)


def test_many_calls_share_one_connection(tmp_path: Path) -> None:
    async def main() -> None:
        stand_in = StandIn()
        stand_in.answers["directory.resolve"] = resolve
        async with (
            serving(tmp_path / "s", stand_in, KEYS),
            connected(tmp_path / "s", Role.SMTP_IN, KEYS[Role.SMTP_IN]) as store,
        ):
            results: list[Resolution] = []

            async def one(address: str) -> None:
                results.append(await store.directory.resolve(address))

            async with trio.open_nursery() as nursery:
                for number in range(3000):
                    nursery.start_soon(one, "a" if number % 2 else "b")
            assert results.count(FOUND) == 1500
            assert len({id(call.peer) for _, call in stand_in.seen}) == 1

    run(main)


def test_a_path_longer_than_sun_path(tmp_path: Path) -> None:
    async def main() -> None:
        directory = tmp_path / ("x" * 90) / ("y" * 90)
        directory.mkdir(parents=True)
        stand_in = StandIn()
        stand_in.answers["directory.resolve"] = resolve
        async with (
            serving(directory / "s", stand_in, KEYS),
            connected(directory / "s", Role.ADMIN, KEYS[Role.ADMIN]) as store,
        ):
            assert await store.directory.resolve(address="a") == FOUND

    run(main)


def test_a_role_cannot_call_what_is_not_its(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            serving(tmp_path / "s", StandIn(), KEYS),
            connected(tmp_path / "s", Role.POP3, KEYS[Role.POP3]) as store,
        ):
            with pytest.raises(Forbidden):
                await store.directory.resolve("a")
            with pytest.raises(Forbidden):
                await store.admin.status()

    run(main)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_role_table_is_enforced_for_every_call(method: str) -> None:
    assert METHODS[method].roles
    assert METHODS[method].roles <= set(Role)


def test_a_wrong_key_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            serving(tmp_path / "s", StandIn(), KEYS),
            connected(tmp_path / "s", Role.IMAP, secrets.token_bytes(32), 0.3) as store,
        ):
            with pytest.raises(Forbidden):
                await store.auth.login("a", "b", "")

    run(main)


def test_errors_keep_their_type_and_surprises_become_internal(tmp_path: Path) -> None:
    async def refuse(call: Call, username: str, password: str, client: str) -> Any:
        if username == "bug":
            raise ZeroDivisionError
        raise AuthenticationFailed

    async def main() -> None:
        stand_in = StandIn()
        stand_in.answers["auth.login"] = refuse
        async with (
            serving(tmp_path / "s", stand_in, KEYS),
            connected(tmp_path / "s", Role.IMAP, KEYS[Role.IMAP]) as store,
        ):
            with pytest.raises(AuthenticationFailed):
                await store.auth.login("a", "b", "c")
            with pytest.raises(Internal):
                await store.auth.login("bug", "b", "c")

    run(main)


def test_an_absent_store_is_waited_for_and_then_unavailable(tmp_path: Path) -> None:
    async def main() -> None:
        stand_in = StandIn()
        stand_in.answers["directory.resolve"] = resolve
        async with connected(tmp_path / "s", Role.SMTP_IN, KEYS[Role.SMTP_IN], 0.2) as store:
            with pytest.raises(Unavailable):
                await store.directory.resolve("a")
        async with (
            connected(tmp_path / "s", Role.SMTP_IN, KEYS[Role.SMTP_IN], 10) as store,
            trio.open_nursery() as nursery,
        ):
            done = trio.Event()

            async def late() -> None:
                assert await store.directory.resolve("a") == FOUND
                done.set()

            nursery.start_soon(late)
            await trio.testing.wait_all_tasks_blocked(0.01)
            async with serving(tmp_path / "s", stand_in, KEYS):
                await done.wait()

    run(main)


def test_a_call_repeated_after_a_lost_connection_has_the_same_operation_id(tmp_path: Path) -> None:
    async def main() -> None:
        stand_in = StandIn()
        reached = trio.Event()

        async def stuck(call: Call, name: str) -> None:
            reached.set()
            await trio.sleep_forever()

        async def fine(call: Call, name: str) -> None:
            return None

        stand_in.answers["admin.domain_remove"] = stuck
        async with connected(tmp_path / "s", Role.ADMIN, KEYS[Role.ADMIN]) as store, trio.open_nursery() as nursery:
            async with serving(tmp_path / "s", stand_in, KEYS):
                nursery.start_soon(store.admin.domain_remove, "example.test")
                await reached.wait()
            stand_in.answers["admin.domain_remove"] = fine
            async with serving(tmp_path / "s", stand_in, KEYS):
                while len(stand_in.seen) < 2:
                    await trio.sleep(0.01)
                await store.admin.domain_remove("other.test")
        ids = [call.op_id for _, call in stand_in.seen]
        assert ids[0] == ids[1] is not None
        assert ids[2] != ids[0]

    run(main)


def test_a_call_that_ends_although_it_was_cancelled_harms_no_later_one(tmp_path: Path) -> None:
    """Its worker was kept with its scope cancelled: it woke at once, and waking it for the next call ended the store."""

    async def main() -> None:
        begun, may_end, ended = trio.Event(), trio.Event(), trio.Event()

        async def stubborn(call: Call, address: str) -> Resolution:
            if address != "stubborn":
                return await resolve(call, address)
            begun.set()
            with trio.CancelScope(shield=True):
                await may_end.wait()
            ended.set()
            return FOUND

        stand_in = StandIn()
        stand_in.answers["directory.resolve"] = stubborn
        async with (
            serving(tmp_path / "s", stand_in, KEYS),
            connected(tmp_path / "s", Role.SMTP_IN, KEYS[Role.SMTP_IN]) as store,
        ):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.directory.resolve, "stubborn")
                await begun.wait()
                nursery.cancel_scope.cancel()
            # what follows on the connection comes after the cancellation, so the store has read it by then
            assert await store.directory.resolve("a") == FOUND
            may_end.set()
            await ended.wait()
            for _ in range(10):
                assert await store.directory.resolve("a") == FOUND

    run(main)


def test_cancelling_a_call_cancels_the_handler(tmp_path: Path) -> None:
    async def main() -> None:
        stand_in = StandIn()
        reached, ended = trio.Event(), trio.Event()

        async def stuck(call: Call, address: str) -> Resolution:
            reached.set()
            try:
                await trio.sleep_forever()
            finally:
                ended.set()
            raise AssertionError

        stand_in.answers["directory.resolve"] = stuck
        async with (
            serving(tmp_path / "s", stand_in, KEYS),
            connected(tmp_path / "s", Role.SMTP_IN, KEYS[Role.SMTP_IN]) as store,
        ):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.directory.resolve, "a")
                await reached.wait()
                nursery.cancel_scope.cancel()
            await ended.wait()

    run(main)


def test_a_deadline_ends_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "DEFAULT_CALL_SECONDS", 0.2)
    monkeypatch.setattr(client_module, "DEADLINE_GRAIN_SECONDS", 0.1)

    async def main() -> None:
        stand_in = StandIn()

        async def stuck(call: Call, address: str) -> Resolution:
            await trio.sleep_forever()
            raise AssertionError

        stand_in.answers["directory.resolve"] = stuck
        async with (
            serving(tmp_path / "s", stand_in, KEYS),
            connected(tmp_path / "s", Role.SMTP_IN, KEYS[Role.SMTP_IN]) as store,
        ):
            with pytest.raises(DeadlineExceeded):
                await store.directory.resolve("a")

    run(main)


def test_a_watch_wakes_and_survives_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        stand_in = StandIn()

        async def watch_queue(call: Call, watch: int) -> int:
            call.peer.notify(CHANGED, [watch, 0])
            return 0

        async def unwatch(call: Call, watch: int) -> None:
            return None

        stand_in.answers.update({"events.watch_queue": watch_queue, "events.unwatch": unwatch})
        async with connected(tmp_path / "s", Role.SMTP_OUT, KEYS[Role.SMTP_OUT]) as store:
            async with serving(tmp_path / "s", stand_in, KEYS), store.watch_queue() as watch:
                await watch.wait()
            async with serving(tmp_path / "s", stand_in, KEYS), store.watch_queue() as watch:
                while True:
                    with trio.move_on_after(0.1) as waited:
                        await watch.wait()
                    if waited.cancelled_caught:
                        break
                stand_in.seen[-1][1].peer.notify(CHANGED, [99, 0])
                stand_in.seen[-1][1].peer.notify(CHANGED, [2, 0])
                await watch.wait()

    run(main)


def test_garbage_ends_that_connection_only(tmp_path: Path) -> None:
    async def main() -> None:
        stand_in = StandIn()
        stand_in.answers["directory.resolve"] = resolve
        async with (
            serving(tmp_path / "s", stand_in, KEYS),
            connected(tmp_path / "s", Role.SMTP_IN, KEYS[Role.SMTP_IN]) as store,
        ):
            for garbage in (
                b"\xc1",
                b"GET / HTTP/1.0\r\n\r\n",
                b"\x93\x01\x02\x03",
                b"\xc6\x7f\xff\xff\xff" + b"x" * 70000,
            ):
                async with await connect_unix(str(tmp_path / "s")) as stream:
                    await stream.send_all(garbage)
                    await stream.send_eof()
                    while await stream.receive_some(1000):
                        pass
            assert await store.directory.resolve("a") == FOUND

    run(main)


@pytest.mark.parametrize("end", [b"\xc1", b"GET / HTTP/1.0\r\n\r\n"])
def test_an_edge_that_errs_after_the_handshake_ends_its_connection_only(tmp_path: Path, end: bytes) -> None:
    """Errors of a served connection pass through a nursery; a killed edge's reset takes the same way, and ended the store."""

    async def main() -> None:
        stand_in = StandIn()
        stand_in.answers["directory.resolve"] = resolve
        streams: list[trio.SocketStream] = []

        async def connect() -> trio.abc.Stream:
            streams.append(await connect_unix(str(tmp_path / "s")))
            return streams[-1]

        async with (
            serving(tmp_path / "s", stand_in, KEYS),
            connected(tmp_path / "s", Role.SMTP_IN, KEYS[Role.SMTP_IN]) as other,
            trio.open_nursery() as nursery,
        ):
            store = StoreClient(RpcClient(connect, Role.SMTP_IN, lambda: KEYS[Role.SMTP_IN], "1", QUIET, 10))
            await nursery.start(store.run)
            assert await store.directory.resolve("a") == FOUND
            await streams[0].send_all(end)
            assert await other.directory.resolve("a") == FOUND
            assert await store.directory.resolve("a") == FOUND
            assert len(streams) == 2
            nursery.cancel_scope.cancel()

    run(main)


def test_a_watch_is_registered_again_until_the_store_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_client_module, "RETRY_WATCH_SECONDS", 0.01)

    async def main() -> None:
        stand_in = StandIn()
        refusals = [Overloaded(), Overloaded()]

        async def watch_queue(call: Call, watch: int) -> int:
            return 0

        async def busy(call: Call, watch: int) -> int:
            if refusals:
                raise refusals.pop()
            return 0

        stand_in.answers["events.watch_queue"] = watch_queue
        async with connected(tmp_path / "s", Role.SMTP_OUT, KEYS[Role.SMTP_OUT]) as store, AsyncExitStack() as later:
            async with serving(tmp_path / "s", stand_in, KEYS):
                watch = await later.enter_async_context(store.watch_queue())
                await watch.wait()
            stand_in.answers["events.watch_queue"] = busy
            async with serving(tmp_path / "s", stand_in, KEYS):
                await watch.wait()
            assert not refusals

    run(main)
