"""The store tries its newest backup by itself; time is passed in, the process and the backup are real."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from services.store.backup.keep import Keep
from services.store.backup.keeper import BackupTests, Tried, read_tried
from services.store.backup.make import Job, make_backup
from services.store.layout import make_directories
from services.store.sql.migrate import migrate
from services.store.verify.keeper import FIRST_SECONDS
from shared.config.paths import DataPaths
from shared.observe.log import Level, Logger

NOON = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Of a store that never had an account."""
    paths = DataPaths(tmp_path / "data")
    make_directories(paths)
    migrate(paths.store / "pillarbox.db")
    return paths.root


def watch(data: Path, directory: str, lines: list[str], *, runs: int, act: Callable[[int], None] = lambda _: None) -> float:
    """Let so many tests happen, ``act`` after each; how many seconds that took by the clock that was passed in."""
    start = NOON.timestamp()

    async def main() -> float:
        begun = trio.current_time()
        said, told = trio.open_memory_channel[None](100)

        def say(line: object) -> None:
            lines.append(str(line))
            said.send_nowait(None)

        log = Logger("store", Level.INFO, True, say)
        tests = BackupTests(
            data, directory, data / "store" / "backup-tested.json", log, every_days=7,
            clock=lambda: start + trio.current_time() - begun,
        )  # fmt: skip
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tests.run)
            for run in range(runs):
                await told.receive()
                while tests.runs <= run:
                    await trio.lowlevel.checkpoint()
                act(run)
            nursery.cancel_scope.cancel()
        return trio.current_time() - begun

    return trio.run(main, clock=MockClock(autojump_threshold=0.02))


def test_once_a_week_and_the_day_after_a_failure(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "backups"
    made = make_backup(Job(data, root, None, Keep(0, 0, 0)), NOON, lambda *_: None)
    database = root / made.name / "data" / "store" / "pillarbox.db"
    lines: list[str] = []

    def harm(run: int) -> None:
        if run == 0:
            database.write_bytes(database.read_bytes() + b"x")

    seconds = watch(data, str(root), lines, runs=3, act=harm)
    assert seconds >= FIRST_SECONDS + timedelta(days=7).total_seconds() + timedelta(days=1).total_seconds()
    assert ["was tested" in line for line in lines] == [True, False, False]
    assert ["pillarbox.db is not what was written" in line for line in lines] == [False, True, True]
    kept = read_tried(data / "store" / "backup-tested.json")
    assert "pillarbox.db" in kept.failure
    assert kept.at > NOON.timestamp()


def test_a_folder_without_backups_is_a_failure(data: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    watch(data, str(tmp_path / "nowhere"), lines, runs=1)
    assert "nowhere" in read_tried(data / "store" / "backup-tested.json").failure


def test_without_a_folder_nothing_is_done(data: Path) -> None:
    async def main() -> None:
        log = Logger("store", Level.ERROR, True, print)
        tests = BackupTests(data, "", data / "store" / "tested", log, every_days=7)
        await tests.run()
        assert (tests.runs, tests.tried) == (0, Tried())

    trio.run(main)
