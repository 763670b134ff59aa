"""Those who read: a few threads, each with its own connection, so that the trio thread never touches the disk.

A read sees everything that was committed before it began (SQLite's snapshot) and is never held up by the writer.
Answers that are ready at the same time share one wake-up of the trio thread.
"""

import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import attrs
import outcome
import trio

from services.store.packs.read import PackReader
from services.store.sql.prepared import Cursor

P = ParamSpec("P")
T = TypeVar("T")


@attrs.frozen
class Snapshot:
    """What a read works on: one consistent view of the database, and the packs."""

    cursor: Cursor
    packs: PackReader


@attrs.define(eq=False)
class _Job:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    task: trio.lowlevel.Task | None
    answer: outcome.Outcome[Any] | None = None


class Readers:
    """``threads`` readers over ``connect()``; at most ``waiting_max`` reads wait, then callers are held back."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], packs: PackReader, *, threads: int, waiting_max: int = 4096
    ) -> None:
        self._connect = connect
        self._packs = packs
        self._threads = threads
        self._waiting_max = waiting_max
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._done: deque[_Job] = deque()
        self._told = False
        self._lock = threading.Lock()
        self._waiting = 0
        self._room = trio.Event()
        self._running = 0
        self._finished = trio.Event()
        self._stopping = False
        self._token: trio.lowlevel.TrioToken | None = None
        self.reads = 0

    @property
    def waiting(self) -> int:
        return self._waiting

    def start(self) -> None:
        """Start the threads; from inside trio."""
        self._token = trio.lowlevel.current_trio_token()
        for number in range(self._threads):
            connection = self._connect()
            self._running += 1
            threading.Thread(target=self._serve, args=(connection,), name=f"reader-{number}").start()

    async def stop(self) -> None:
        """Finish what waits and end the threads."""
        if not self._stopping:
            self._stopping = True
            for _ in range(self._threads):
                self._queue.put(None)
        with trio.CancelScope(shield=True):
            while self._running:
                await self._finished.wait()

    async def run(
        self, function: Callable[Concatenate[Snapshot, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """Run ``function(snapshot, ...)`` in a reader's thread. Raises what it raises."""
        while self._waiting >= self._waiting_max:
            await self._room.wait()
        if self._stopping:
            # no answer: the connection is about to end, and the caller asks the next process
            await trio.sleep_forever()
        self._waiting += 1
        job = _Job(function, arguments, named, trio.lowlevel.current_task())
        self._queue.put(job)

        def abort(_: Any) -> trio.lowlevel.Abort:
            job.task = None
            return trio.lowlevel.Abort.SUCCEEDED

        return cast("T", await trio.lowlevel.wait_task_rescheduled(abort))

    def _answer(self) -> None:
        with self._lock:
            self._told = False
        while self._done:
            job = self._done.popleft()
            self._waiting -= 1
            self.reads += 1
            task, job.task = job.task, None
            if task is not None and job.answer is not None:
                trio.lowlevel.reschedule(task, job.answer)
        if not self._room.is_set() and self._waiting < self._waiting_max:
            self._room.set()
            self._room = trio.Event()

    def _ended(self) -> None:
        self._running -= 1
        if not self._running:
            self._finished.set()

    # --- in a reader's thread ---

    def _serve(self, connection: sqlite3.Connection) -> None:
        snapshot = Snapshot(connection.cursor(), self._packs)
        try:
            while (job := self._queue.get()) is not None:
                if job.task is None:
                    job.answer = None
                else:
                    job.answer = outcome.capture(_in_snapshot, snapshot, job)
                self._hand_over(job)
        finally:
            connection.close()
            self._tell(self._ended)

    def _hand_over(self, job: _Job) -> None:
        self._done.append(job)
        with self._lock:
            told, self._told = self._told, True
        if not told:
            self._tell(self._answer)

    def _tell(self, function: Callable[[], object]) -> None:
        assert self._token is not None  # noqa: S101  start() has set it
        try:
            self._token.run_sync_soon(function)
        except trio.RunFinishedError:
            pass  # the process is on its way out


def _in_snapshot(snapshot: Snapshot, job: _Job) -> Any:
    snapshot.cursor.execute("BEGIN")
    try:
        return job.function(snapshot, *job.arguments, **job.named)
    finally:
        snapshot.cursor.execute("COMMIT")
