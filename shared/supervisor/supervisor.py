"""All workers of one machine: the store first, then the edges; drained the other way round.

SIGTERM, SIGINT and SIGHUP drain: the edges together, then the store, each side within ``grace_seconds``, then SIGKILL.
A second signal kills at once. A worker that ends three times before it was ever ready ends the start (StartFailed);
later deaths are answered by restarts for ever.
"""

import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final

import attrs
import trio

from shared.supervisor.worker import Listeners, Worker

FIRST: Final = "store"
COLOURS: Final = (36, 32, 33, 35, 34)
"""Cyan, green, yellow, magenta, blue: no red, which is for errors."""


class StartFailed(Exception):
    """A service did not come up; the text says which."""


@attrs.frozen
class Plan:
    """What to run: services in their order with their numbers of processes, and the environment they get."""

    services: tuple[tuple[str, int], ...]
    environment: Mapping[str, str]
    grace_seconds: float = 15.0
    colour: bool = False


class LinePrinter:
    """Writes prefixed lines to a file descriptor, each in one piece."""

    def __init__(self, services: Sequence[tuple[str, int]], descriptor: int, colour: bool) -> None:
        names = [name if count == 1 else f"{name}.{count}" for name, count in services]
        self._width = max(map(len, names), default=0)
        self._order = [name for name, _ in services]
        self._descriptor = descriptor
        self._colour = colour

    def __call__(self, name: str, line: bytes) -> None:
        prefix = f"{name:<{self._width}} | "
        service = name.partition(".")[0]
        if self._colour and service in self._order:
            prefix = f"\x1b[{COLOURS[self._order.index(service) % len(COLOURS)]}m{prefix}\x1b[0m"
        data = prefix.encode() + line.rstrip(b"\r") + b"\n"
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            # Nobody reads the log any more; the mail goes on.
            return


def merge_listeners(workers: Sequence[Worker]) -> Listeners:
    """Names and addresses over all workers, each once, in the order of the services."""
    merged: Listeners = {}
    for worker in workers:
        for name, addresses in worker.listeners.items():
            known = merged.setdefault(name, [])
            known.extend(address for address in addresses if address not in known)
    return merged


class Supervisor:
    """Runs a plan. ``started`` is called once, with all listeners, when everything accepts; its return ends nothing."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._lifeline_read, self._lifeline_write = os.pipe()
        printer = LinePrinter(plan.services, sys.stderr.fileno(), plan.colour)
        self.workers = [
            Worker(name, index, count, plan.environment, self._lifeline_read, printer)
            for name, count in plan.services
            for index in range(1, count + 1)
        ]
        self._stop = trio.Event()
        self._failed: Worker | None = None

    async def run(self, started: Callable[[Listeners], Awaitable[None]]) -> None:
        """Until a signal; returns after the drain. Raises StartFailed, after the drain as well."""
        # Under nohup the terminal's end is none of our business.
        hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
        try:
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, *hangup) as signals:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch_signals, signals)
                    async with trio.open_nursery() as keepers:
                        await self._start(keepers)
                        if not self._stop.is_set():
                            await self._announce(started)
                        await self._stop.wait()
                        await self._drain()
                    nursery.cancel_scope.cancel()
        finally:
            os.close(self._lifeline_read)
            os.close(self._lifeline_write)
        if self._failed is not None:
            raise StartFailed(f"{self._failed.name} does not start; its last lines above say why")

    def stop(self) -> None:
        """Begin the drain."""
        self._stop.set()

    async def _watch_signals(self, signals: AsyncIterator[int]) -> None:
        async for _ in signals:
            if self._stop.is_set():
                for worker in self.workers:
                    worker.kill()
            self._stop.set()

    def _groups(self) -> tuple[list[Worker], list[Worker]]:
        """(store, edges)"""
        store = [worker for worker in self.workers if worker.service == FIRST]
        return store, [worker for worker in self.workers if worker.service != FIRST]

    async def _start(self, keepers: trio.Nursery) -> None:
        for group in self._groups():
            if self._stop.is_set():
                return
            for worker in group:
                keepers.start_soon(worker.keep_running, self._start_failed)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._cancel_on_stop, nursery.cancel_scope)
                for worker in group:
                    await worker.ready.wait()
                nursery.cancel_scope.cancel()

    async def _cancel_on_stop(self, scope: trio.CancelScope) -> None:
        await self._stop.wait()
        scope.cancel()

    async def _announce(self, started: Callable[[Listeners], Awaitable[None]]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_on_stop, nursery.cancel_scope)
            await started(merge_listeners(self.workers))
            nursery.cancel_scope.cancel()

    def _start_failed(self, worker: Worker) -> None:
        self._failed = self._failed or worker
        self._stop.set()

    async def _drain(self) -> None:
        store, edges = self._groups()
        for group in (edges, store):
            running = [worker for worker in group if worker.starts]
            for worker in running:
                worker.stop()
            with trio.move_on_after(self.plan.grace_seconds):
                for worker in running:
                    await worker.gone.wait()
            for worker in running:
                if not worker.gone.is_set():
                    worker.say(f"did not end within {self.plan.grace_seconds:g} s, killed")
                    worker.kill()
            for worker in running:
                await worker.gone.wait()


async def nothing_to_announce(_: Listeners) -> None:
    """For those who only want it running."""
