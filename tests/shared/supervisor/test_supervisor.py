"""The supervisor with small stand-in services as real processes: order, restarts, drain, and no orphans."""

import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.testing.process import ROOT, Process

DRIVER = """
import sys, trio
from shared.supervisor.supervisor import Plan, StartFailed, Supervisor
import os
services = tuple((word.split("=")[0], int(word.split("=")[1])) for word in sys.argv[1:])
async def started(listeners):
    print("started", sorted(listeners.items()), flush=True)
async def main():
    await Supervisor(Plan(services, dict(os.environ), grace_seconds=3.0)).run(started)
try:
    trio.run(main)
except StartFailed as error:
    print("failed:", error, flush=True)
    sys.exit(1)
print("drained", flush=True)
"""

SERVICE = """
import json, os, signal, sys, time
NAME = os.path.basename(__file__)[:-3]
folder = os.environ["FAKE_FOLDER"]
def stop(*_):
    if NAME != "loud":
        print("stopping at", time.monotonic_ns(), flush=True)
    sys.exit(0)
if NAME == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, stop)
print("pid", os.getpid(), "at", time.monotonic_ns(), flush=True)
if NAME == "broken":
    sys.exit("cannot start")
if NAME == "loud":
    sys.stdout.write("x" * 200_000 + "\\nno line end")
    sys.stdout.flush()
fd = int(os.environ["PILLARBOX_READY_FD"])
os.write(fd, json.dumps({"service": NAME, "pid": os.getpid(), "listeners": {NAME: [["127.0.0.1", 1]]}}).encode() + b"\\n")
os.close(fd)
while True:
    signal.pause()
"""


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[object]:
    """Start a supervisor over stand-in services."""
    package = tmp_path / "services"
    package.mkdir()
    (package / "__init__.py").write_text("")
    running: list[Process] = []

    def start(*words: str) -> Process:
        for word in words:
            (package / f"{word.split('=')[0]}.py").write_text(SERVICE)
        environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "FAKE_FOLDER": str(tmp_path)}
        process = Process("supervisor", [sys.executable, "-P", "-c", DRIVER, *words], environment)
        process.start()
        running.append(process)
        return process

    yield start
    for process in running:
        process.stop()


def pid_in(line: str) -> int:
    """From `store | pid 17 at 23`."""
    return int(line.split(" pid ")[1].split()[0])


def wait_until_gone(pids: list[int], seconds: float = 20.0) -> list[int]:
    """Those still alive at the end of the wait (event: pidfd becomes readable)."""
    deadline = time.monotonic() + seconds
    alive = []
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            alive.append(pid)
        os.close(descriptor)
    return alive


def test_starts_the_store_first_and_drains_it_last(supervise) -> None:
    process = supervise("store=1", "imap=2", "pop3=1")
    started = process.wait_for_log("^started")[0]
    assert started == "started [('imap', [('127.0.0.1', 1)]), ('pop3', [('127.0.0.1', 1)]), ('store', [('127.0.0.1', 1)])]"
    began = {line.split(" | ")[0].strip(): int(line.split()[-1]) for line in process.wait_for_log(r"\| pid ", count=4)}
    assert set(began) == {"store", "imap.1", "imap.2", "pop3"}
    assert min(began, key=lambda name: began[name]) == "store"
    assert process.stop() == 0
    ended = {line.split(" | ")[0].strip(): int(line.split()[-1]) for line in process.lines if "stopping at" in line}
    assert len(ended) == 4
    assert max(ended, key=lambda name: ended[name]) == "store"
    assert process.lines[-1] == "drained"


def test_starts_a_killed_service_again_and_leaves_the_others_alone(supervise) -> None:
    process = supervise("store=1", "imap=1")
    process.wait_for_log("^started")
    first = pid_in(process.wait_for_log(r"^imap +\| pid ")[0])
    store = pid_in(process.wait_for_log(r"^store +\| pid ")[0])
    for round_number in (1, 2):
        os.kill(first, signal.SIGKILL)
        process.wait_for_log("was killed by SIGKILL, starts again", count=round_number)
        first = pid_in(process.wait_for_log(r"^imap +\| pid ", count=round_number + 1)[-1])
    delays = [line.split("again in ")[1] for line in process.lines if "again in" in line]
    assert delays == ["0.2 s", "0.4 s"]
    assert pid_in(process.wait_for_log(r"^store +\| pid ")[-1]) == store
    assert process.stop() == 0


def test_no_child_survives_a_killed_supervisor(supervise) -> None:
    process = supervise("store=1", "imap=2")
    process.wait_for_log("^started")
    children = [pid_in(line) for line in process.wait_for_log(r"\| pid ", count=3)]
    os.kill(process.pid, signal.SIGKILL)
    assert wait_until_gone(children) == []


def test_a_service_that_does_not_end_is_killed_after_the_grace_period(supervise) -> None:
    process = supervise("store=1", "stubborn=1")
    process.wait_for_log("^started")
    assert process.stop() == 0
    assert any("did not end within 3 s, killed" in line for line in process.lines)
    assert process.lines[-1] == "drained"


def test_a_second_signal_kills_at_once(supervise) -> None:
    process = supervise("store=1", "stubborn=1")
    process.wait_for_log("^started")
    child = pid_in(process.wait_for_log(r"^stubborn +\| pid ")[0])
    began = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    assert wait_until_gone([child], 0.3) == [child]
    os.kill(process.pid, signal.SIGINT)
    assert process.popen.wait(10) == 0
    assert time.monotonic() - began < 3


def test_a_service_that_never_comes_up_ends_the_start(supervise) -> None:
    process = supervise("store=1", "broken=1")
    process.wait_for_log("^failed: broken does not start")
    assert process.popen.wait(10) == 1
    assert any("cannot start" in line for line in process.lines)
    assert not any(line.startswith("started") for line in process.lines)


def test_long_lines_are_cut_and_an_unfinished_one_is_kept(supervise) -> None:
    process = supervise("store=1", "loud=1")
    process.wait_for_log("^started")
    process.stop()
    pieces = [line.split(" | ")[1] for line in process.lines if line.startswith("loud") and "xxx" in line]
    assert "".join(pieces) == "x" * 200_000
    assert max(map(len, pieces)) == 64 * 1024
    assert any("no line end" in line for line in process.lines)


@contextmanager
def hangup(handler: signal.Handlers) -> Iterator[None]:
    """What a child inherits for SIGHUP; this test run may itself be under nohup."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nohup_survives_the_end_of_the_terminal(supervise) -> None:
    with hangup(signal.SIG_IGN):
        process = supervise("store=1")
    process.wait_for_log("^started")
    os.kill(process.pid, signal.SIGHUP)
    os.kill(pid_in(process.wait_for_log(r"^store +\| pid ")[0]), signal.SIGKILL)
    process.wait_for_log(r"^store +\| pid ", count=2)
    assert process.stop() == 0


def test_the_end_of_the_terminal_drains(supervise) -> None:
    with hangup(signal.SIG_DFL):
        process = supervise("store=1")
    process.wait_for_log("^started")
    os.kill(process.pid, signal.SIGHUP)
    assert process.popen.wait(10) == 0
    process.wait_for_log("^drained$")
