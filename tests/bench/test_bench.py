"""The benchmark runs: both servers start, every kind of case gives a figure for both."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared.testing import require
from shared.testing.process import ROOT, clean_environment
from shared.testing.runner import require_root

CASES = (
    "deliver, 4 connections",
    "outbound, 4 connections",
    "POP3 RETR of 40, 32",
    "POP3 login, 4 connections",
    "POP3 DELE of 40",
    "FETCH metadata of 100, first",
    "FETCH bodies of 100, 4 KB",
    "FETCH bodies of 10, 100 KB",
    "SEARCH TEXT rare in 100",
    "STORE +FLAGS of 100",
    "MOVE of 100",
    "EXPUNGE of 100",
    "APPEND, 16 connections",
    "LOGIN, 16 connections",
    "delivery to IDLE notification",
)


@pytest.mark.whole
@pytest.mark.timeout(180)
def test_every_case_gives_figures_for_both_servers() -> None:
    require_root("the benchmark's peer")
    for program in ("cc", "postfix", "dovecot"):
        require(program)
    env = clean_environment() | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(Path(__file__).with_name("main.py")), "--smoke"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for case in CASES:
        row = next(line for line in done.stdout.splitlines() if line.startswith(f"| {case}"))
        figures = [float(figure) for figure in re.findall(r"\| \**([0-9.]+)\**(?= )", row)]
        assert len(figures) == 6, row
        assert figures[0] > 0, row
        assert figures[1] > 0, row
