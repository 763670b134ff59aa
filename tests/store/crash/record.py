"""One recorded run: the real store below `disklog`, a load on it, killed now and then, stopped at the end."""

import random
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

import attrs
import trio
from disk import Disk, differences, read_log
from load import Load

from shared.testing.stack import Stack

HERE = Path(__file__).resolve().parent
SETTINGS = {
    "PILLARBOX_STORE__PACK_OCTETS": "400000",
    "PILLARBOX_STORE__HOUSEKEEPING_SECONDS": "0.1",
    "PILLARBOX_STORE__EXPUNGED_SECONDS": "0",
    "PILLARBOX_STORE__RETENTION_SECONDS": "0.1",
    "PILLARBOX_STORE__COMPACT_SECONDS": "0.1",
    "PILLARBOX_STORE__COMPACT_KEEP_SECONDS": "0.1",
    "PILLARBOX_STORE__COMPACT_OCTETS_PER_SECOND": "20000000",
    "PILLARBOX_STORE__SEARCH_INDEX": "false",
}
"""Small packs, so that many are sealed; what is thrown away goes soon, and the packs are written anew beside the mail."""
SYNC_US = 1500
"""Long enough that writes share a commit."""


def build_library(directory: Path, compiler: str = "cc") -> Path:
    library = directory / "disklog.so"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", library, HERE / "disklog.c", "-lpthread"]
    subprocess.run(command, check=True)
    return library


class Control:
    """What the library is told while it runs: `struct control` of disklog.c."""

    FIELDS = (
        "kill_in", "refuse", "refuse_errno", "refuse_in", "refuse_times", "refused", "seen", "sync_us", "clock_seconds"
    )  # fmt: skip

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(bytes(8 * len(self.FIELDS)))

    def set(self, **values: int) -> None:
        """All values at once are not one step: those that arm come last."""
        with self._path.open("r+b", buffering=0) as file:
            for name, value in values.items():
                file.seek(8 * self.FIELDS.index(name))
                file.write(struct.pack("<q", value))

    def get(self, name: str) -> int:
        return int(struct.unpack_from("<q", self._path.read_bytes(), 8 * self.FIELDS.index(name))[0])


@attrs.frozen
class Watched:
    """A store below the library."""

    stack: Stack
    control: Control
    log: Path


def watched(directory: Path, settings: Mapping[str, str] = SETTINGS) -> Watched:
    """Not started yet. `directory` is empty."""
    library = build_library(directory)
    control = Control(directory / "control")
    log = directory / "log"
    log.touch()
    data = directory / "data"
    extra = {
        "LD_PRELOAD": str(library),
        "DISKLOG_ROOT": str(data),
        "DISKLOG_LOG": str(log),
        "DISKLOG_CONTROL": str(directory / "control"),
    }
    return Watched(Stack(data, services=(), settings={**settings, **extra}), control, log)


def record(directory: Path, seed: int, calls: int, kills: int) -> None:
    """Leave `log` and `history` in `directory`. Raises AssertionError where the log missed something."""
    run = watched(directory)
    run.control.set(sync_us=SYNC_US)
    load = Load(run.stack.data_dir, run.log, seed)
    run.stack.start()
    try:
        trio.run(_scenario, run, load, random.Random(seed), calls, kills)
    finally:
        run.stack.close()
    load.history.save(directory / "history")
    disk = Disk(str(run.stack.data_dir))
    for line in read_log(run.log):
        disk.play(line)
    missed = differences(disk, directory / "played", run.stack.data_dir)
    assert not missed, f"the log and the disk differ: {missed}"


async def _scenario(run: Watched, load: Load, rng: random.Random, calls: int, kills: int) -> None:
    store = run.stack["store"]
    with trio.fail_after(60 + calls / 10):
        await load.setup()
        async with trio.open_nursery() as nursery:
            finished = trio.Event()
            nursery.start_soon(_until_done, load, calls, finished)
            for number in range(kills):
                while load.calls < calls * (number + 1) / (kills + 1):
                    await trio.sleep(0.01)
                run.control.set(kill_in=rng.randrange(1, 300))
                assert store.popen is not None
                await trio.to_thread.run_sync(store.popen.wait)
                store.kill()
                store.start()
            await finished.wait()


async def _until_done(load: Load, calls: int, finished: trio.Event) -> None:
    await load.run(calls)
    finished.set()
