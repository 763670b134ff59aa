"""CPU per RPC call, both sides together, alone and with many in flight. ``python tests/bench/bench_rpc.py [calls]``."""

import os
import resource
import secrets
import sys
import tempfile
import time
from pathlib import Path

import trio

from shared.contract.areas import AREAS, METHODS
from shared.contract.registry import Role
from shared.contract.types import Resolution, ResolutionKind
from shared.observe.log import Level, Logger
from shared.rpc.address import connect_unix, listen_unix
from shared.rpc.client import RpcClient
from shared.rpc.server import Call, RpcServer, bind_handlers
from shared.rpc.store_client import StoreClient

KEYS = {Role.SMTP_IN: secrets.token_bytes(32)}
QUIET = Logger("bench", Level.ERROR)
ANSWER = Resolution(ResolutionKind.DELIVERABLE, (), ("somebody@elsewhere.example",))


class Directory:
    """The one area that is measured."""

    async def resolve(self, call: Call, address: str) -> Resolution:
        return ANSWER

    async def may_send_as(self, call: Call, grant: bytes, address: str) -> bool:
        return True


def areas() -> dict[str, object]:
    """The real contract with stand-ins for everything but the directory."""
    found: dict[str, object] = {}
    for area in AREAS:
        body: dict[str, object] = {}
        for method in METHODS.values():
            if method.area == area:
                names = ", ".join(["call", *(name for name, _ in method.parameters)])
                scope: dict[str, object] = {}
                exec(f"async def handler({names}): raise AssertionError", scope)
                body[method.name] = staticmethod(scope["handler"])  # type: ignore[arg-type]
        found[area] = type(area, (), body)()
    found["directory"] = Directory()
    return found


async def serve(path: str) -> None:
    server = RpcServer(bind_handlers(areas()), KEYS, QUIET)
    listener = await listen_unix(path, 0o600)
    await trio.serve_listeners(server.serve_connection, [listener])


async def measure(path: str, calls: int, in_flight: int) -> float:
    async def connect() -> trio.abc.Stream:
        return await connect_unix(path)

    store = StoreClient(RpcClient(connect, Role.SMTP_IN, lambda: KEYS[Role.SMTP_IN], "1", QUIET))
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        await store.directory.resolve("warm@up")

        async def worker() -> None:
            for _ in range(calls // in_flight):
                await store.directory.resolve("somebody@example.org")

        started = time.perf_counter()
        async with trio.open_nursery() as workers:
            for _ in range(in_flight):
                workers.start_soon(worker)
        seconds = time.perf_counter() - started
        nursery.cancel_scope.cancel()
    return seconds


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "s")
        for in_flight in (1, 4, 16, 64):
            child = os.fork()
            if child == 0:
                trio.run(serve, path)
            while not os.path.exists(path):
                time.sleep(0.01)
            before = resource.getrusage(resource.RUSAGE_SELF)
            seconds = trio.run(measure, path, calls, in_flight)
            after = resource.getrusage(resource.RUSAGE_SELF)
            os.kill(child, 15)
            _, _, used = os.wait4(child, 0)
            os.unlink(path)
            ours = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            theirs = used.ru_utime + used.ru_stime
            print(
                f"{in_flight:3d} in flight: {calls / seconds:7.0f} calls/s, "
                f"client {ours / calls * 1e6:5.1f} us, store {theirs / calls * 1e6:5.1f} us CPU per call"
            )


if __name__ == "__main__":
    main()
