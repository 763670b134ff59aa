"""The one who writes: a thread that takes every write that waits, and makes them durable together.

    callers (trio)          writer thread
    submit(command) --->    take all that wait (at most ``group_writes``)
                            results of operations that were done before
                            BEGIN; run each command; packs fdatasync; COMMIT (one fsync of the log)
    rescheduled     <---    answers of the whole group in one wake-up, then the watchers are told

Laws:
- A caller gets its answer after the commit, never before. A write whose caller went away is done all the same.
- One bad write fails alone: it runs in a savepoint. Commands that are marked ``batch`` share one savepoint as long as
  nothing unforeseen happens; then each of them is run again in its own.
- An operation id that was recorded answers with the recorded result and does nothing.
- When the disk refuses (packs or database), the whole group fails with OutOfSpace and none of it has happened.
"""

import math
import queue
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import attrs
import msgpack
import outcome
import trio

from services.store.news import Changes
from services.store.packs.append import PackAppender
from services.store.packs.encode import Compressor
from services.store.packs.record import PACK_HEADER
from services.store.sql.statements import bookkeeping, contents
from services.store.transaction import Ids, Transaction
from shared.contract.codec import CODECS
from shared.errors import BadRequest, Internal, OutOfSpace, StoreError
from shared.observe.log import Logger

T = TypeVar("T")

_DISK_ERRORS: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY})


@attrs.define(eq=False)
class Command:
    """One write. ``run(transaction, *arguments)`` gives the contract's result."""

    method: str
    """Wire name in the contract; the result is recorded in its encoding. Empty: the store's own housekeeping."""
    op_id: bytes | None
    run: Callable[..., Any]
    arguments: tuple[Any, ...]
    batch: bool = False
    """May share a savepoint: it raises StoreError only before it changed anything in the transaction."""
    prepare: Callable[[Transaction, Compressor, "Sequence[Command]"], None] | None = None
    """For all batched commands of a group that name the same function: look things up and encode contents at once."""
    to_the_end: bool = False
    """Its caller is not cancelled while it waits: what the command needs is given up when the caller goes on."""
    task: trio.lowlevel.Task | None = None
    answer: outcome.Outcome[Any] | None = None

    def fail(self, error: BaseException) -> None:
        self.answer = outcome.Error(error)


@attrs.define
class WriterStatistics:
    groups: int = 0
    commands: int = 0
    repeated: int = 0
    failed: int = 0
    largest_group: int = 0
    busy_seconds: float = 0.0


class Writer:
    """Owns the writing connection and the pack that is appended to."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        appender: PackAppender,
        *,
        group_writes: int,
        waiting_writes: int,
        on_changes: Callable[[Changes], None],
        log: Logger,
        clock: Callable[[], float] = time.time,
        on_commit: Callable[[int], None] = lambda _: None,
        keeps_history: bool = False,
    ) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._appender = appender
        self._compressor = Compressor(level=1)
        self._ids = Ids(self._cursor)
        self._group_writes = group_writes
        self._waiting_writes = waiting_writes
        self._on_changes = on_changes
        self._log = log
        self._clock = clock
        self._on_commit = on_commit
        self._keeps_history = keeps_history
        self._queue: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._waiting = 0
        self._room = trio.Event()
        self._stopping = False
        self._token: trio.lowlevel.TrioToken | None = None
        self._finished = trio.Event()
        self._latest_at = math.inf
        """The latest time of any group; at first nobody knows what was written before the start."""
        self._pack_ends: dict[int, int] | None = None
        """As the last commit left them; None: to be read again."""
        self.statistics = WriterStatistics()

    @property
    def waiting(self) -> int:
        """Writes that were submitted and are not answered."""
        return self._waiting

    def clock_was_put_back(self, slack_seconds: float) -> bool:
        """Whether something may have been written at a time that is later than now, by more than the slack; told once."""
        now = self._clock()
        put_back = self._latest_at > now + slack_seconds
        if put_back:
            self._latest_at = now
        return put_back

    def start(self) -> None:
        """Start the thread; from inside trio."""
        self._token = trio.lowlevel.current_trio_token()
        # not a daemon: the interpreter waits until what is under way is committed
        threading.Thread(target=self._run, name="writer").start()

    async def stop(self) -> None:
        """Commit what waits, refuse what comes later, and return when the thread is done."""
        if not self._stopping:
            self._stopping = True
            self._queue.put(None)
        with trio.CancelScope(shield=True):
            await self._finished.wait()

    async def submit(self, command: Command) -> Any:
        """Run a write and return its result once it is durable. Raises StoreError.

        Cancelled, it may still be done; a repeat with the same operation id tells.
        """
        while self._waiting >= self._waiting_writes:
            await self._room.wait()
        if self._stopping:
            # no answer: the connection is about to end, and the caller asks the next process
            await trio.sleep_forever()
        self._waiting += 1
        command.task = trio.lowlevel.current_task()
        self._queue.put(command)

        def abort(_: Any) -> trio.lowlevel.Abort:
            if command.to_the_end:
                return trio.lowlevel.Abort.FAILED
            command.task = None
            return trio.lowlevel.Abort.SUCCEEDED

        return await trio.lowlevel.wait_task_rescheduled(abort)

    # --- in the trio thread ---

    def _answer(self, group: list[Command], changes: Changes) -> None:
        self._waiting -= len(group)
        if self._waiting < self._waiting_writes and not self._room.is_set():
            self._room.set()
            self._room = trio.Event()
        for command in group:
            task, command.task = command.task, None
            if task is not None:
                trio.lowlevel.reschedule(task, command.answer or outcome.Error(Internal("no answer")))
        self._on_changes(changes)

    # --- in the writer's thread ---

    def _run(self) -> None:
        assert self._token is not None  # noqa: S101  start() has set it
        ended = False
        while not ended:
            group, ended = self._take()
            if not group:
                continue
            started = time.perf_counter()
            changes = self._run_group(group)
            statistics = self.statistics
            statistics.groups += 1
            statistics.commands += len(group)
            statistics.largest_group = max(statistics.largest_group, len(group))
            statistics.busy_seconds += time.perf_counter() - started
            self._tell(self._answer, group, changes)
        self._appender.close()
        self._connection.close()
        self._tell(self._finished.set)

    def _tell(self, function: Callable[..., object], *arguments: Any) -> None:
        assert self._token is not None  # noqa: S101  start() has set it
        try:
            self._token.run_sync_soon(function, *arguments)
        except trio.RunFinishedError:
            pass  # the process is on its way out; nobody waits for an answer any more

    def _take(self) -> tuple[list[Command], bool]:
        """Wait for a write and take what else is there; whether the end was asked for."""
        first = self._queue.get()
        if first is None:
            return [], True
        group = [first]
        while len(group) < self._group_writes:
            try:
                command = self._queue.get_nowait()
            except queue.Empty:
                break
            if command is None:
                return group, True
            group.append(command)
        return group, False

    def _run_group(self, group: list[Command]) -> Changes:
        """Run, sync, commit. Every command has its answer afterwards."""
        cursor = self._cursor
        try:
            cursor.execute("BEGIN IMMEDIATE")
            if self._pack_ends is None:
                self._pack_ends = {row[0]: row[1] for row in contents.PACK_ENDS.all(cursor)}
            now = self._clock()
            self._latest_at = max(self._latest_at, now)
            transaction = Transaction(cursor, self._appender, self._ids, now, keeps_history=self._keeps_history)
            repeated = self._answer_repeated(group)
            fresh = [command for command in group if command.answer is None and command not in repeated]
            self._run_commands(transaction, fresh)
            transaction.flush()
            transaction.find_guests()
            ends = self._record_packs(transaction, self._pack_ends)
            self._appender.sync()
            cursor.execute("COMMIT")
            self._pack_ends |= ends
            self._on_commit(self._connection.total_changes)
        except Exception as error:  # a failed disk or a mistake of ours: the group as a whole did not happen
            self._fail_group(group, error)
            return Changes()
        for command, first in repeated.items():
            command.answer = _same_answer(first.answer)
        return transaction.changes

    def _answer_repeated(self, group: Sequence[Command]) -> dict[Command, Command]:
        """Answer what was done before; of commands that are twice in the group, the second with its first."""
        first: dict[bytes, Command] = {}
        twice: dict[Command, Command] = {}
        for command in group:
            if command.op_id is not None and first.setdefault(command.op_id, command) is not command:
                twice[command] = first[command.op_id]
        for op_id, method, result in bookkeeping.OPERATIONS.all(self._cursor, list(first)):
            command = first[op_id]
            self.statistics.repeated += 1
            command.answer = outcome.capture(recorded_result, command.method, method, result)
        return twice

    def _run_commands(self, transaction: Transaction, commands: Sequence[Command]) -> None:
        position = 0
        while position < len(commands):
            end = position + 1
            if commands[position].batch:
                while end < len(commands) and commands[end].batch:
                    end += 1
            self._run_batch(transaction, commands[position:end])
            position = end

    def _run_batch(self, transaction: Transaction, commands: Sequence[Command]) -> None:
        """Run commands in one savepoint; if something unforeseen happens, again and each in its own."""
        transaction.begin_savepoint()
        try:
            for prepare in {command.prepare for command in commands if command.prepare is not None}:
                prepare(transaction, self._compressor, [c for c in commands if c.prepare is prepare])
            for command in commands:
                self._run_command(transaction, command, alone=len(commands) == 1)
            transaction.release_savepoint()
        except Exception as error:
            transaction.rollback_savepoint()
            if _is_disk_error(error):
                raise
            if len(commands) == 1:
                self._fail_command(commands[0], error)
                return
            for command in commands:
                command.answer = None
                self._run_batch(transaction, [command])

    def _run_command(self, transaction: Transaction, command: Command, *, alone: bool) -> None:
        try:
            result = command.run(transaction, *command.arguments)
        except StoreError as error:
            if alone:
                raise
            command.fail(error)
            return
        if command.op_id is not None:
            encode = CODECS[command.method].encode_result
            plain = result if encode is None else encode(result)
            transaction.remember_operation(command.op_id, command.method, msgpack.packb(plain))
        command.answer = outcome.Value(result)

    def _fail_command(self, command: Command, error: Exception) -> None:
        self.statistics.failed += 1
        if isinstance(error, StoreError):
            command.fail(error)
            return
        self._log.exception("write failed", error, method=command.method)
        command.fail(Internal(type(error).__name__))

    def _record_packs(self, transaction: Transaction, known: dict[int, int]) -> dict[int, int]:
        """How far the packs go and what of them is dead, in the same transaction; where those end that it has appended to.

        What came to a pack since the last commit and no row names is dead: records of commands and of groups that failed, too.
        """
        ends = self._appender.take_ends()
        dead = Counter(transaction.dead)
        for number, end in ends.items():
            begin = known.get(number)
            if begin is None:
                begin = PACK_HEADER.size
                contents.INSERT_PACK.run(self._cursor, number, end, 0)
            else:
                contents.UPDATE_PACK.run(self._cursor, end, number)
            dead[number] += end - begin - transaction.named.get(number, 0)
        if rows := [(octets, pack) for pack, octets in dead.items() if octets]:
            contents.ADD_DEAD.run_many(self._cursor, rows)
        return ends

    def _fail_group(self, group: Sequence[Command], error: Exception) -> None:
        """None of it has happened, unless its COMMIT failed and the process ends before the next one.

        SQLite's log may then hold the whole transaction, and the next start takes it for done: what was appended for it stays.
        """
        self._log.exception("commit failed", error, writes=len(group))
        self.statistics.failed += len(group)
        try:
            if self._connection.in_transaction:
                self._cursor.execute("ROLLBACK")
        except sqlite3.Error as again:
            self._log.exception("rollback failed", again)
        self._pack_ends = None
        self._appender.rollback()
        for command in group:
            full = _is_disk_error(error)
            command.fail(OutOfSpace("the disk refuses writes") if full else Internal(type(error).__name__))


def _same_answer(answer: outcome.Outcome[Any] | None) -> outcome.Outcome[Any] | None:
    """An outcome is unwrapped once: the second caller gets one of its own."""
    if isinstance(answer, outcome.Value):
        return outcome.Value(answer.value)
    if isinstance(answer, outcome.Error) and isinstance(answer.error, StoreError):
        return outcome.Error(type(answer.error)(answer.error.detail))
    return None


def _is_disk_error(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _DISK_ERRORS
    return isinstance(error, OSError)


def recorded_result(method: str, recorded_method: str, result: bytes) -> Any:
    """The result of an operation that was done before. Raises BadRequest where the id was used for another call."""
    if recorded_method != method:
        raise BadRequest("operation id was used for another call")
    return CODECS[method].decode_result(msgpack.unpackb(result, strict_map_key=True))
