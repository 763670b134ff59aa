"""The power is cut, thousands of times: `python tests/store/crash/main.py --seed 1 --cuts 5000`.

A run records the real store under a seeded load once (or takes a recording: `--recording DIR`), then makes what the disk may hold after
a cut at a random instant, opens it with the store's own recovery and checks the laws (`laws.py`). Cut number K of a seed is always the
same on the same recording: what fails is kept and named with the command that repeats it.
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
from disk import Disk, read_log
from laws import Acknowledged, Laws, recover, verified
from load import History
from record import SETTINGS, record

from services.store import layout

ABOVE_DATA = "data"


@attrs.frozen
class Cut:
    number: int
    position: int
    """Records of the log that were done."""


@attrs.frozen
class Failure:
    cut: Cut
    what: str


def choose(seed: int, cuts: Sequence[int], records: int) -> list[Cut]:
    """Instants, in the order of the log."""
    chosen = [Cut(number, random.Random(f"{seed} {number} at").randint(1, records)) for number in cuts]
    return sorted(chosen, key=lambda cut: cut.position)


def check_cuts(recording: Path, seed: int, cuts: Sequence[int], scratch: Path) -> tuple[list[Failure], dict[str, int]]:
    """All these cuts of a recording; what failed, and what was met."""
    records = read_log(recording / "log")
    history: History = pickle.loads((recording / "history").read_bytes())  # noqa: S301  we wrote it
    laws = Laws(history)
    disk = Disk(str(recording / ABOVE_DATA))
    acknowledged = Acknowledged()
    failures: list[Failure] = []
    met = {"cuts": 0, "before setup": 0, "tails cut": 0, "acknowledged": 0}
    done = 0
    for cut in choose(seed, cuts, len(records)):
        for record_ in records[done : cut.position]:
            if record_.kind == "M":
                acknowledged.note(json.loads(record_.data))
            else:
                disk.play(record_)
        done = cut.position
        target = scratch / "cut"
        try:
            wrong = check(disk, target, random.Random(f"{seed} {cut.number}"), laws, acknowledged, met)
        except Exception:
            wrong = [traceback.format_exc()]
        if wrong:
            failures.append(Failure(cut, "\n".join(wrong)))
            shutil.move(target, scratch / f"failed-{cut.number}")
        else:
            shutil.rmtree(target)
        if len(failures) >= 5:
            break
    return failures, met


def check(
    disk: Disk, target: Path, rng: random.Random, laws: Laws, acknowledged: Acknowledged, met: dict[str, int]
) -> list[str]:
    """One cut: make it, recover, verify, compare."""
    target.mkdir()
    disk.write(target / ABOVE_DATA, rng)
    root = target / ABOVE_DATA
    damage, lines = recover(root, SETTINGS)
    met["cuts"] += 1
    met["tails cut"] += any("torn tail" in line for line in lines)
    wrong = damage + verified(root)
    if not acknowledged.setup:
        met["before setup"] += 1
        return wrong
    met["acknowledged"] += len(acknowledged.delivered) + sum(acknowledged.owned.values()) + acknowledged.sent
    return wrong + laws.broken(layout.database_path(layout.DataPaths(root)), acknowledged)


def main() -> int:
    """The exit status: 1 when a law was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--only", type=int, help="just the cut with this number")
    parser.add_argument("--calls", type=int, default=1200, help="acknowledged calls of the load")
    parser.add_argument("--kills", type=int, default=3, help="kill -9 during the load")
    parser.add_argument("--recording", type=Path, help="a directory that an earlier run has left")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="crash-"))
    recording = options.recording or place / "recording"
    began = time.monotonic()
    if options.recording is None:
        recording.mkdir()
        record(recording, options.seed, options.calls, options.kills)
    print(f"seed {options.seed}: recorded in {time.monotonic() - began:.0f} s", flush=True)
    cuts = range(options.cuts) if options.only is None else [options.only]
    jobs = [(recording, options.seed, list(cuts)[n :: options.processes], place / f"w{n}") for n in range(options.processes)]
    for job in jobs:
        job[3].mkdir()
    with multiprocessing.get_context("fork").Pool(options.processes) as pool:
        found = pool.starmap(check_cuts, jobs)
    failures = [failure for some, _ in found for failure in some]
    met = {key: sum(met[key] for _, met in found) for key in found[0][1]}
    print(f"{met} in {time.monotonic() - began:.0f} s, {len(failures)} failures")
    for failure in failures:
        print(f"\ncut {failure.cut.number} at {failure.cut.position}: {failure.what}")
        print(f"again: {sys.argv[0]} --recording {recording} --seed {options.seed} --only {failure.cut.number}")
    if not failures:
        shutil.rmtree(place)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
