"""A disk that refuses, a clock that jumps, under the load of `load.py`.

Again and again some operation of the store's fails: the n-th write with ENOSPC, a flush with EIO, everything with EROFS for a while. Its
clients get temporary errors and try again; when the disk works again, so does the store, by itself. Nothing of a call that was refused
has happened, and in the end all laws hold.
"""

import errno
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import attrs
import trio
from load import Load
from record import SETTINGS, Watched, watched

from shared.contract.registry import Role
from shared.model.ids import EntryId
from shared.testing.stack import open_client

DAY = 86400
RECOVER_SECONDS = 20.0
"""A machine whose cores are busy; the store itself needs a few milliseconds."""
SLACK_SECONDS = 61
"""What is due so much later is due at once, for who looks at a clock that was put back."""
WRITES, SYNCS, NAMES, HALF_FIRST = 1, 2, 4, 8
"""Bits of disklog.c."""


@attrs.frozen
class Fault:
    name: str
    refuse: int
    error: int


FAULTS = (
    Fault("disk full at a write", WRITES | HALF_FIRST, errno.ENOSPC),
    Fault("disk full", WRITES | NAMES | HALF_FIRST, errno.ENOSPC),
    Fault("disk full at a flush", SYNCS, errno.ENOSPC),
    Fault("a write fails", WRITES, errno.EIO),
    Fault("a flush fails", SYNCS, errno.EIO),
    Fault("anything fails", WRITES | SYNCS | NAMES, errno.EIO),
    Fault("read-only", WRITES | SYNCS | NAMES, errno.EROFS),
)


@attrs.define
class Met:
    """What happened."""

    faults: int = 0
    refused_operations: int = 0
    calls: int = 0
    refused_calls: int = 0


def run(directory: Path, seed: int, rounds: int, faults: tuple[Fault, ...] = FAULTS) -> Met:
    """Leave `log`, `history` and `data` in `directory`, the store stopped. Raises AssertionError, TooSlowError."""
    return _under_load(directory, seed, lambda store, load, rng: _refuse(store, load, rng, rounds, faults))


def run_clock(directory: Path, seed: int, jumps: int) -> Met:
    """As `run`, with a clock that jumps by days, both ways."""
    # by less than operations are remembered: they say what was committed
    settings = {**SETTINGS, "PILLARBOX_STORE__OPERATION_SECONDS": str(30 * DAY)}
    return _under_load(directory, seed, lambda store, load, rng: _jump(store, load, rng, jumps), settings)


_Steer = Callable[[Watched, Load, random.Random], Awaitable[Met]]


def _under_load(directory: Path, seed: int, steer: _Steer, settings: Mapping[str, str] = SETTINGS) -> Met:
    store = watched(directory, settings)
    store.control.set(sync_us=300)
    load = Load(store.stack.data_dir, store.log, seed)
    store.stack.start()
    try:
        met = trio.run(_scenario, store, load, random.Random(seed), steer)
        assert store.stack["store"].running, "the store ended"
    except BaseException:
        print(store.stack["store"].tail())
        raise
    finally:
        store.control.set(refuse=0)
        store.stack.close()
    load.history.save(directory / "history")
    return met


async def _scenario(store: Watched, load: Load, rng: random.Random, steer: _Steer) -> Met:
    await load.setup()
    async with trio.open_nursery() as nursery:
        done = trio.Event()
        nursery.start_soon(load.run_until, done)
        met = await steer(store, load, rng)
        done.set()
    met.refused_calls, met.calls = load.refused, load.calls
    return met


async def _progress(load: Load, calls: int, what: str) -> None:
    """Wait for so many more acknowledged calls."""
    goal = load.calls + calls
    try:
        with trio.fail_after(RECOVER_SECONDS):
            while load.calls < goal:
                await trio.sleep(0.002)
    except trio.TooSlowError:
        raise AssertionError(f"no call is done any more after: {what}") from None


async def _refuse(store: Watched, load: Load, rng: random.Random, rounds: int, faults: tuple[Fault, ...]) -> Met:
    met, control = Met(), store.control
    for number in range(rounds):
        fault = rng.choice(faults)
        after, times = rng.randrange(40), rng.choice((1, 1, 2, 5, -1, -1))
        what = f"round {number}: {fault.name}, {times} times, after {after}"
        control.set(
            refuse=0, refused=0, seen=0, refuse_errno=fault.error, refuse_in=after, refuse_times=times
        )
        control.set(refuse=fault.refuse)
        with trio.move_on_after(1.0):
            while not control.get("refused"):
                await trio.sleep(0.001)
            await trio.sleep(rng.choice((0.0, 0.02, 0.1)))
        met.faults += bool(control.get("refused"))
        met.refused_operations += control.get("refused")
        control.set(refuse=0)
        await _progress(load, rng.randint(3, 12), what)
    return met


async def _queue_is_due(store: Watched, what: str) -> None:
    """Wait until nothing in the queue waits for a time that was: the load never defers into the future."""
    async with open_client(store.stack.data_dir, Role.ADMIN) as admin:
        with trio.move_on_after(RECOVER_SECONDS):
            while True:
                latest = time.time() + store.control.get("clock_seconds") + SLACK_SECONDS
                late = [item for item in await admin.admin.queue_list(EntryId(0), 250) if item.due_at > latest]
                if not late:
                    return
                await trio.sleep(0.05)
    raise AssertionError(f"{len(late)} entries wait for the time before: {what}")


async def _jump(store: Watched, load: Load, rng: random.Random, jumps: int) -> Met:
    met = Met()
    for number in range(jumps):
        days = rng.choice((-10, -2, 0, 2, 10))
        store.control.set(clock_seconds=days * DAY + rng.randrange(DAY))
        met.faults += 1
        what = f"jump {number}: to {days} days from now"
        await _progress(load, 30, what)
        await _queue_is_due(store, what)
    return met
