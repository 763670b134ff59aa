"""The life of a process: settings, logs, signals, health, the store, ready, drain.

Every service's ``__main__`` is ``sys.exit(run_service("imap", main))``. ``main`` gets a ``Service``, opens its listeners, calls
``service.ready(...)`` once they accept, and returns when ``service.draining`` is set and what was under way is done. SIGTERM and SIGINT
set it; a second signal, or ``server.drain_seconds`` and a little more, end the process hard.

Exit status: 0 after a drain, 1 after a failure, 2 for wrong settings.
"""

import gc
import json
import os
import signal
import stat
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import trio

from shared.config.load import SettingsError, load_settings
from shared.config.paths import DataPaths
from shared.config.schema import LogFormat, Settings
from shared.http.server import serve_http
from shared.observe.health import Health
from shared.observe.log import Level, Logger
from shared.observe.log_buffer import LogBuffer
from shared.observe.metrics import Metrics
from shared.rpc.address import connect_unix
from shared.rpc.client import RpcClient
from shared.rpc.store_client import StoreClient

READY_FD: Final = "PILLARBOX_READY_FD"
"""Variable with the number of a file descriptor that gets the ready notice: one JSON line, then it is closed."""
HARD_STOP_SECONDS: Final = 5.0
"""Beyond ``server.drain_seconds``, before what is left is cancelled."""

Listeners = Mapping[str, list[tuple[str, int]]]


class Service:
    """What a service's code has of its process."""

    def __init__(self, name: str, settings: Settings, log: Logger, nursery: trio.Nursery) -> None:
        self.name = name
        self.settings = settings
        self.paths = DataPaths.of(settings)
        self.log = log
        self.nursery = nursery
        """For tasks that live as long as the process."""
        self.metrics = Metrics()
        self.health = Health(name)
        self.draining = trio.Event()
        self._health_listener: tuple[str, int] | None = None
        self._store: StoreClient | None = None

    @property
    def store(self) -> StoreClient:
        """The storage service; the store itself has none."""
        if self._store is None:
            raise RuntimeError("this service runs without a store")
        return self._store

    def ready(self, listeners: Listeners) -> None:
        """All listeners accept: tell whoever started us, and the log."""
        everything = {name: [list(address) for address in addresses] for name, addresses in listeners.items()}
        if self._health_listener is not None:
            everything["health"] = [list(self._health_listener)]
        self.health.set("started", True)
        _tell_ready({"service": self.name, "pid": os.getpid(), "listeners": everything})
        shown = " ".join(f"{name}:{address[1]}" for name, addresses in everything.items() for address in addresses[:1])
        self.log.info("ready", listeners=shown)
        # what exists now lives as long as the process: the collector need not look at it again
        gc.collect()
        gc.freeze()

    async def connect_store(self) -> None:
        """Begin to keep a connection to the store, under this service's key."""
        path = str(self.paths.socket)
        key_path = self.paths.service_key(self.name)

        async def connect() -> trio.abc.Stream:
            return await connect_unix(path)

        client = RpcClient(
            connect, self.name, key_path.read_bytes, str(os.getpid()), self.log, self.settings.store.wait_seconds
        )
        self._store = StoreClient(client)
        self.health.set("store", False, "not connected yet")
        self._store.on_connection = lambda up: self.health.set("store", up, "" if up else "away")
        await self.nursery.start(self._store.run)

    async def serve_health(self, host: str, port: int) -> None:
        """/healthz and /metrics on an internal address. Raises OSError when it cannot be bound."""
        bound = await self.nursery.start(serve_http, host, port, self.metrics, self.health)
        self._health_listener = (host, bound)


def _tell_ready(notice: Mapping[str, object]) -> None:
    text = os.environ.pop(READY_FD, "")
    if text.isdecimal():
        try:
            if not stat.S_ISFIFO(os.fstat(int(text)).st_mode):
                return  # inherited from another process: here the number is a file of ours, or none
            with os.fdopen(int(text), "wb") as stream:
                stream.write(json.dumps(notice).encode() + b"\n")
        except OSError:
            pass  # whoever started us is gone or asked for nothing


def make_logger(name: str, settings: Settings, buffer: LogBuffer) -> Logger:
    """The logger that the settings ask for."""
    chosen = settings.log.format
    as_json = None if chosen is LogFormat.AUTO else chosen is LogFormat.JSON
    return Logger(name, Level[settings.log.level.name], as_json, buffer.write, flush=buffer.flush)


def run_service(name: str, main: Callable[[Service], Awaitable[None]], *, uses_store: bool = True) -> int:
    """Run a service to its end; the exit status. ``name`` is the folder below ``services`` and the role in the RPC."""
    try:
        settings = load_settings(None, os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 2
    buffer = LogBuffer()
    log = make_logger(name, settings, buffer)
    try:
        trio.run(_run, name, settings, log, buffer, main, uses_store, strict_exception_groups=True)
    except BaseExceptionGroup as group:
        for leaf in _leaves(group):
            _report(log, leaf)
        return 1
    except Exception as error:
        _report(log, error)
        return 1
    log.info("stopped")
    return 0


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return leaves


def _report(log: Logger, error: BaseException) -> None:
    if isinstance(error, OSError):
        # a port in use, a directory that may not be written: the operator's business, in the system's words
        log.error("cannot run", reason=str(error))
    else:
        log.exception("failed", error)


async def _run(
    name: str,
    settings: Settings,
    log: Logger,
    buffer: LogBuffer,
    main: Callable[[Service], Awaitable[None]],
    uses_store: bool,
) -> None:
    async with trio.open_nursery() as nursery:
        service = Service(name, settings, log, nursery)
        await nursery.start(buffer.run)
        service.health.set("started", False, "starting")
        await nursery.start(_watch_signals, service)
        port: int = getattr(settings.observe, f"{name}_port")
        await service.serve_health(settings.observe.address, settings.listen_port(port))
        if uses_store:
            await service.connect_store()
        await main(service)
        nursery.cancel_scope.cancel()


async def _watch_signals(service: Service, *, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            if service.draining.is_set():
                service.log.warning("stopping at once", signal=signal.Signals(number).name)
                service.nursery.cancel_scope.cancel()
                return
            service.log.info("draining", signal=signal.Signals(number).name)
            service.health.set("started", False, "draining")
            service.draining.set()
            deadline = trio.current_time() + service.settings.server.drain_seconds + HARD_STOP_SECONDS
            service.nursery.cancel_scope.deadline = deadline
