"""The meter counts the CPU time between its two readings once, also of children and threads that end in between."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

BURN = "import sys,time\nwhile time.process_time() < {}: pass\nprint(flush=True); sys.stdin.readline()"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', {BURN.format(0.5)!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline(); print(flush=True)
sys.stdin.readline(); child.communicate(b'end'); print(flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def meter_class(monkeypatch: pytest.MonkeyPatch) -> type:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    from measure import Meter

    return Meter


def test_a_child_that_ends_in_between_is_not_counted_for_its_whole_life(meter_class: type) -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdout.readline()  # the child has burnt half a second, before the meter begins
        with meter_class({"server": parent.pid}) as meter:
            parent.stdin.write(b"\n")
            parent.stdin.flush()
            parent.stdout.readline()  # the child is reaped
        parent.stdin.write(b"\n")
    assert meter.cpu["server/(ended)"] >= 0.4
    assert meter.total < 0.2


def test_what_is_spent_in_between_is_counted(meter_class: type) -> None:
    with meter_class({"server": os.getpid()}) as meter:
        end = time.thread_time() + 0.3
        while time.thread_time() < end:
            pass
    assert 0.25 < meter.total < 0.6


def test_a_thread_that_ends_in_between_takes_nothing_away(meter_class: type) -> None:
    burnt, leave = threading.Event(), threading.Event()

    def work() -> None:
        end = time.thread_time() + 0.3
        while time.thread_time() < end:
            pass
        burnt.set()
        leave.wait(10)

    worker = threading.Thread(target=work)
    worker.start()
    burnt.wait(10)
    with meter_class({"server": os.getpid()}) as meter:
        leave.set()
        worker.join()
    assert 0 <= meter.total < 0.2
