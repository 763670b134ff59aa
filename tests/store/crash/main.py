"""The power is cut, thousands of times: `PYTHONPATH=. python tests/store/crash/main.py --seed 1 --cuts 5000`.

A run records the real store under a seeded load once (or takes a recording: `--recording DIR`), then makes what the disk may hold after
a cut at a random instant, opens it with the store's own recovery and checks the laws (`laws.py`). Cut number K of a seed is always the
same on the same recording: what fails is kept and named with the command that repeats it.

`--faults N` has the disk refuse N times meanwhile, `--jumps N` the clock jump; after the load all laws must hold, and then come the cuts.
"""

import argparse
import json
import multiprocessing
import pickle
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import attrs
import faults
from disk import Disk, read_log
from laws import Acknowledged, Laws, recover, verified
from load import History
from record import SETTINGS, record

from services.store import layout

FAILURES_MAX = 5
"""Of one process; then it stops."""
SHOWN_CHARACTERS = 3000


@attrs.frozen
class Cut:
    number: int
    position: int
    """Records of the log that were done."""


@attrs.define
class Result:
    cuts: int = 0
    tails: int = 0
    """Of packs, that recovery has cut."""
    acknowledged: int = 0
    """Calls whose results were looked for."""
    failures: list[tuple[Cut, str]] = attrs.field(factory=list)

    def add(self, other: "Result") -> None:
        self.cuts += other.cuts
        self.tails += other.tails
        self.acknowledged += other.acknowledged
        self.failures += other.failures


class Recording:
    """What a run has left in a directory, and how to cut it."""

    def __init__(self, directory: Path, seed: int, *, refusals: bool) -> None:
        self.directory = directory
        self._seed = seed
        self._refusals = refusals
        history: History = pickle.loads((directory / "history").read_bytes())
        self.laws = Laws(history)

    def after_the_load(self) -> list[str]:
        """What is wrong with the data as the store has left it."""
        root = self.directory / "data"
        found = verified(root) + recover(root, SETTINGS)[0]
        return found + self.laws.broken(layout.database_path(layout.DataPaths(root)), self.laws.everything())

    def check_cuts(self, numbers: Sequence[int], scratch: Path) -> Result:
        """Make these cuts, in the order of the log."""
        records = read_log(self.directory / "log")
        cuts = [Cut(number, random.Random(f"{self._seed} {number} at").randint(1, len(records))) for number in numbers]
        disk, acknowledged, result, done = Disk(str(self.directory / "data"), self._seed), Acknowledged(), Result(), 0
        for cut in sorted(cuts, key=lambda cut: cut.position):
            for line in records[done : cut.position]:
                if line.kind == "M":
                    acknowledged.note(json.loads(line.data))
                else:
                    disk.play(line)
            done = cut.position
            target = scratch / f"cut-{cut.number}"
            target.mkdir()
            try:
                wrong = self._check(disk, target / "data", cut.number, acknowledged, result)
            except Exception:
                wrong = [traceback.format_exc()]
            if not wrong:
                shutil.rmtree(target)
                continue
            result.failures.append((cut, "\n".join(wrong)))
            if len(result.failures) >= FAILURES_MAX:
                break
        return result

    def _check(self, disk: Disk, root: Path, number: int, acknowledged: Acknowledged, result: Result) -> list[str]:
        disk.write(root, random.Random(f"{self._seed} {number}"))
        damage, lines = recover(root, SETTINGS)
        result.cuts += 1
        result.tails += any("torn tail" in line for line in lines)
        wrong = damage + verified(root)
        if acknowledged.setup:
            result.acknowledged += acknowledged.calls
            database = layout.database_path(layout.DataPaths(root))
            wrong += self.laws.broken(database, acknowledged, refusals=self._refusals)
        return wrong


def make(options: argparse.Namespace, directory: Path) -> None:
    """Record the run that the options ask for."""
    directory.mkdir()
    if options.faults or options.jumps:
        run, times = (faults.run, options.faults) if options.faults else (faults.run_clock, options.jumps)
        print(run(directory, options.seed, times))
    else:
        record(directory, options.seed, options.calls, options.kills)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--only", type=int, help="just the cut with this number")
    parser.add_argument("--calls", type=int, default=1200, help="acknowledged calls of the load")
    parser.add_argument("--kills", type=int, default=3, help="kill -9 during the load")
    parser.add_argument("--faults", type=int, default=0, help="how often the disk refuses")
    parser.add_argument("--jumps", type=int, default=0, help="how often the clock jumps")
    parser.add_argument("--recording", type=Path, help="a directory that an earlier run has left")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


def main() -> int:
    """The exit status: 1 when a law was broken."""
    options = parse()
    place = Path(tempfile.mkdtemp(prefix="crash-"))
    directory = options.recording or place / "recording"
    began = time.monotonic()
    print(f"seed {options.seed}, in {place}", flush=True)
    if options.recording is None:
        make(options, directory)
        print(f"recorded in {time.monotonic() - began:.0f} s", flush=True)
    recording = Recording(directory, options.seed, refusals=bool(options.faults))
    result = Result()
    if wrong := recording.after_the_load():
        result.failures.append((Cut(-1, -1), "\n".join(wrong)))
    cuts = list(range(options.cuts)) if options.only is None else [options.only]
    with multiprocessing.get_context("fork").Pool(options.processes) as pool:
        for part in pool.starmap(
            recording.check_cuts, [(cuts[first :: options.processes], place) for first in range(options.processes)]
        ):
            result.add(part)
    print(
        f"{result.cuts} cuts, {result.tails} torn tails, {result.acknowledged} acknowledged calls looked for, "
        f"{len(result.failures)} failures, in {time.monotonic() - began:.0f} s"
    )
    for cut, what in result.failures:
        print(f"\ncut {cut.number} at {cut.position}: {what[:SHOWN_CHARACTERS]}")
        again = f"--recording {directory} --seed {options.seed} --only {cut.number}"
        print(f"again: {sys.argv[0]} {again}{' --faults 1' if options.faults else ''}")
    if not result.failures:
        shutil.rmtree(place)
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
