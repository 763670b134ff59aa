"""The parts that other tests stand on: children that are waited for by events and never outlive the run."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from shared.testing import require, trio_test
from shared.testing.process import LIVE, ROOT, Process, ProcessFailed, RunningService


def python(name: str, code: str) -> Process:
    return Process(name, [sys.executable, "-c", code])


def service(code: str, tmp_path: Path) -> RunningService:
    found = RunningService("imap", tmp_path)
    found.argv = (sys.executable, "-c", code)
    return found


def test_a_log_line_is_waited_for_and_a_silent_end_is_an_error_with_the_log() -> None:
    with python("talker", "import time; print('one'); print('two', flush=True); time.sleep(60)") as child:
        assert child.wait_for_log("tw") == ["two"]
        assert child.pid in LIVE
    assert child.pid not in LIVE
    with (
        python("brief", "print('last words')") as child,
        pytest.raises(ProcessFailed, match=r"(?s)before it.*last words"),
    ):
        child.wait_for_log("never")


def test_stop_is_polite_then_firm() -> None:
    polite = (
        "import signal,sys,time; signal.signal(15, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(60)"
    )
    child = python("polite", polite)
    child.start()
    child.wait_for_log("up")
    assert child.stop() == 7
    stubborn = "import signal,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    child = python("stubborn", stubborn)
    child.start()
    child.wait_for_log("up")
    assert child.stop(seconds=0.1) == -signal.SIGKILL
    assert "did not end" in child.tail()


def test_a_child_dies_with_its_parent() -> None:
    receive, send = os.pipe()
    code = (
        "import sys,time; from shared.testing.process import Process\n"
        f"Process('orphan', [sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(60)']).start([{send}])\n"
        "print('up', flush=True); time.sleep(60)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env, pass_fds=[send]) as parent:
        os.close(send)
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        parent.kill()
    # the pipe ends when the last holder of its other end is gone
    assert select.select([receive], [], [], 10)[0]
    assert os.read(receive, 1) == b""
    os.close(receive)


def notice(listeners: object) -> str:
    line = json.dumps({"service": "imap", "pid": 1, "listeners": listeners})
    return f"import os,time; os.write(int(os.environ['PILLARBOX_READY_FD']), {line!r}.encode() + b'\\n'); "


def test_a_service_tells_its_ports_and_keeps_them_over_a_restart(tmp_path: Path) -> None:
    said: Sequence[object] = [["127.0.0.1", 4143]]
    child = service(notice({"imap": said}) + "print(os.environ['PILLARBOX_IMAP__PORT']); time.sleep(60)", tmp_path)
    with child:
        assert child.port("imap") == 4143
        child.kill()
        assert not child.running
        child.restart()
        assert child.env["PILLARBOX_IMAP__PORT"] == "4143"


@pytest.mark.parametrize(
    "code", ["raise SystemExit('no such key')", "import os; os.close(int(os.environ['PILLARBOX_READY_FD']))"]
)
def test_a_service_that_ends_before_it_is_ready_is_an_error_at_once(code: str, tmp_path: Path) -> None:
    child = service(code, tmp_path)
    with pytest.raises(ProcessFailed, match="ended before it was ready"):
        child.start()
    assert not child.running


def test_a_service_that_stays_silent_is_killed(tmp_path: Path) -> None:
    child = service("import time; time.sleep(60)", tmp_path)
    child.start(wait=False)
    with pytest.raises(ProcessFailed, match="not ready"):
        child.wait_ready(seconds=0.2)
    assert not child.running


def test_a_missing_program_skips_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert require("sh").endswith("/sh")
    monkeypatch.delenv("PILLARBOX_REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception):
        require("no-such-program")
    monkeypatch.setenv("PILLARBOX_REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception):
        require("no-such-program")


@trio_test
async def test_async_tests_run_under_trio_with_fixtures(tmp_path: Path) -> None:
    await trio.lowlevel.checkpoint()
    assert tmp_path.exists()
