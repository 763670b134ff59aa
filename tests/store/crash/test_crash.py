"""The power is cut, the disk refuses, the clock jumps: a bounded run of each, with another seed every time. `main.py` runs thousands."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from shared.testing import require
from shared.testing.process import ROOT, clean_environment


def run(tmp_path: Path, *arguments: object) -> str:
    """main.py with a seed that is in the report of a failure."""
    require("cc")
    seed = random.SystemRandom().randrange(1 << 31)
    env = clean_environment() | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    command = [sys.executable, str(Path(__file__).with_name("main.py")), "--seed", str(seed), *map(str, arguments)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.soak
@pytest.mark.timeout(180)
def test_cuts_at_random_instants(tmp_path: Path) -> None:
    assert "60 cuts" in run(tmp_path, "--cuts", 60, "--calls", 250, "--kills", 2)


@pytest.mark.soak
@pytest.mark.timeout(180)
def test_a_disk_that_refuses_and_cuts_after_it(tmp_path: Path) -> None:
    assert "15 cuts" in run(tmp_path, "--cuts", 15, "--faults", 20)


@pytest.mark.soak
@pytest.mark.timeout(180)
def test_a_clock_that_jumps_both_ways(tmp_path: Path) -> None:
    assert "10 cuts" in run(tmp_path, "--cuts", 10, "--jumps", 5)
