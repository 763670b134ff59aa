"""A whole server for a test: the store and any of the edges as real processes on one data directory.

    with Stack(tmp_path / "data", services=("smtp_in", "imap")) as stack:
        stack.add_account("alice@example.test")
        imaplib.IMAP4("127.0.0.1", stack.port("imap"))

Everything listens on 127.0.0.1, on ports that the kernel chose; passwords are accepted in clear from loopback. Without
`dns.resolvers` in the settings no name resolves: a test that sends mail out brings its own DNS (see `dnsmasq.py`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import trio

from shared.contract.registry import Role
from shared.errors import AlreadyExists
from shared.observe.log import Level, Logger
from shared.rpc.address import connect_unix
from shared.rpc.client import RpcClient
from shared.rpc.store_client import StoreClient
from shared.testing.process import Process, RunningService

T = TypeVar("T")

EDGES = ("smtp_in", "smtp_out", "imap", "pop3")
DOMAIN = "example.test"
PASSWORD = "correct-horse-battery"
"""Of every account that names no other."""


QUIET = {"PILLARBOX_STORE__WILD_PERCENT": "0"}
"""Tests delete by the hundred: a mail to the owner would come in between."""


class Stack:
    """The store and `services` on `data_dir`, with `domain` made. `start` returns when all of them accept connections."""

    def __init__(
        self,
        data_dir: Path,
        services: Sequence[str] = EDGES,
        settings: Mapping[str, str] | None = None,
        domain: str = DOMAIN,
        argv: Callable[[str], Sequence[str]] | None = None,
    ) -> None:
        """`settings`: PILLARBOX_* variables for all; `argv`: how to start a service by its name, if not as usual."""
        self.data_dir = data_dir
        self.domain = domain
        settings = {**QUIET, **(settings or {})}
        self.services = {name: RunningService(name, data_dir, settings) for name in ("store", *services)}
        if argv is not None:
            for name, service in self.services.items():
                service.argv = tuple(argv(name))

    # -- life

    def start(self) -> None:
        """Start the store, make the domain, start the edges side by side."""
        try:
            self.services["store"].start()
            self.add_domain(self.domain)
            edges = [service for name, service in self.services.items() if name != "store"]
            for service in edges:
                service.start(wait=False)
            for service in edges:
                service.wait_ready()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop everything, the store last."""
        edges: list[Process] = [service for name, service in self.services.items() if name != "store"]
        for service in edges:
            if service.popen is not None and service.running:
                service.popen.terminate()
        for service in [*edges, self.services["store"]]:
            service.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getitem__(self, name: str) -> RunningService:
        return self.services[name]

    def port(self, listener: str) -> int:
        """The port of a listener of any service: smtp, submission, submissions, imap, imaps, pop3, pop3s."""
        for name, service in self.services.items():
            if name != "store" and listener in service.listeners:
                return service.port(listener)
        raise KeyError(listener)

    @property
    def certificate(self) -> Path:
        """The self-signed certificate of all listeners."""
        return self.data_dir / "tls" / "cert.pem"

    # -- data

    def add_domain(self, name: str) -> None:
        """Make a domain; one that is there is kept."""

        async def add(store: StoreClient) -> None:
            try:
                await store.admin.domain_add(name)
            except AlreadyExists:
                pass

        self.administer(add)

    def add_account(self, address: str, password: str = PASSWORD) -> None:
        """Make an account with its mailboxes."""
        self.add_accounts({address: password})

    def add_accounts(self, accounts: Mapping[str, str]) -> None:
        """Make many accounts (address: password) side by side: a password's hash takes its time."""

        async def add(store: StoreClient) -> None:
            async with trio.open_nursery() as nursery:
                for address, password in accounts.items():
                    nursery.start_soon(store.admin.account_add, address, password)

        self.administer(add)

    def add_alias(self, address: str, *targets: str) -> None:
        """Make an alias."""

        async def add(store: StoreClient) -> None:
            await store.admin.alias_add(address, targets)

        self.administer(add)

    def administer(
        self, use: Callable[[StoreClient], Awaitable[T]], role: Role = Role.ADMIN, seconds: float = 60.0
    ) -> T:
        """Run `use(store)` from a test that is not async; its result."""

        async def main() -> T:
            with trio.fail_after(seconds):
                async with self.client(role) as store:
                    return await use(store)

        return trio.run(main)

    @asynccontextmanager
    async def client(self, role: Role = Role.ADMIN) -> AsyncIterator[StoreClient]:
        """A client of the store with a role, for async tests."""
        async with open_client(self.data_dir, role) as store:
            yield store


@asynccontextmanager
async def open_client(data_dir: Path, role: Role = Role.ADMIN) -> AsyncIterator[StoreClient]:
    """A client of the store that runs on `data_dir`."""
    key = data_dir / "keys" / role / "key"
    client = RpcClient(
        lambda: connect_unix(str(data_dir / "run" / "store.sock")),
        role,
        key.read_bytes,
        f"test-{role}",
        Logger(f"test-{role}", Level.ERROR),
    )
    store = StoreClient(client)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        try:
            yield store
        finally:
            nursery.cancel_scope.cancel()
