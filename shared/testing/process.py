"""Child processes of the tests: one program with its log, and `RunningService`, one service of ours.

Laws: every process started here ends with the test run, also when the run itself is killed (PDEATHSIG); every wait is
on an event (ready notice, log line, exit) and has an end; a failure carries the last lines of the log.

What can fail: `ProcessFailed` when the program exits early or stays silent.
"""

import atexit
import collections
import contextlib
import ctypes
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

DISCARD_PORT = 9
"""Nobody answers there: without a resolver of its own a test asks nobody."""
START_SECONDS = 20.0
"""A service starts in under a second; a loaded two-core machine with several test processes takes longer."""
STOP_SECONDS = 15.0
LOG_LINES = 20_000
TAIL_LINES = 60

PORT_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "store": {"health": "PILLARBOX_OBSERVE__STORE_PORT"},
    "smtp_in": {
        "smtp": "PILLARBOX_SMTP_IN__PORT",
        "submission": "PILLARBOX_SMTP_IN__SUBMISSION_PORT",
        "submissions": "PILLARBOX_SMTP_IN__SUBMISSIONS_PORT",
        "health": "PILLARBOX_OBSERVE__SMTP_IN_PORT",
    },
    "smtp_out": {"health": "PILLARBOX_OBSERVE__SMTP_OUT_PORT"},
    "imap": {
        "imap": "PILLARBOX_IMAP__PORT",
        "imaps": "PILLARBOX_IMAP__TLS_PORT",
        "health": "PILLARBOX_OBSERVE__IMAP_PORT",
    },
    "pop3": {
        "pop3": "PILLARBOX_POP3__PORT",
        "pop3s": "PILLARBOX_POP3__TLS_PORT",
        "health": "PILLARBOX_OBSERVE__POP3_PORT",
    },
}
"""Per service: the name of a listener in the ready notice, and the setting of its port."""

ROOT = Path(__file__).resolve().parent.parent.parent
"""The source tree (or site-packages): the services start from here, whatever the working directory of the test is."""

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1

LIVE: "dict[int, Process]" = {}
"""Every running child, for the report of a failed test and for the end of the run."""


class ProcessFailed(Exception):
    """A child ended or stayed silent where it had to answer; the text carries the tail of its log."""


def _die_with_parent() -> None:
    """Runs in the child between fork and exec: the kernel kills it when the thread that started it is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """One child process in its own process group; its output is collected line by line, or appended to `output`.

    `stop` ends it politely (SIGTERM, then SIGKILL after STOP_SECONDS), `kill` at once, both with its whole group.
    """

    def __init__(
        self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None, directory: Path = ROOT
    ) -> None:
        self.name = name
        self.directory = directory
        self.argv = tuple(argv)
        self.env = dict(os.environ if env is None else env)
        self.lines: collections.deque[str] = collections.deque(maxlen=LOG_LINES)
        self.output: Path | None = None
        """Set before the start: a file instead of lines in memory, for measurements (a reader here costs the child)."""
        self.popen: subprocess.Popen[bytes] | None = None
        self._logged = threading.Condition()
        self._reader: threading.Thread | None = None

    # -- life

    def start(self, pass_fds: Sequence[int] = ()) -> None:
        """Start the program; call from the thread that lives as long as the test (PDEATHSIG is tied to it)."""
        if self.running:
            message = f"{self.name} runs already"
            raise ProcessFailed(message)
        with contextlib.ExitStack() as files:
            self.popen = subprocess.Popen(
                self.argv,
                env=self.env,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=files.enter_context(self.output.open("ab")) if self.output else subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=tuple(pass_fds),
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        LIVE[self.popen.pid] = self
        if self.output is None:
            self._reader = threading.Thread(target=self._collect, args=(self.popen,), daemon=True)
            self._reader.start()

    def _collect(self, popen: subprocess.Popen[bytes]) -> None:
        assert popen.stdout is not None
        with popen.stdout as output:
            for line in output:
                with self._logged:
                    self.lines.append(line.decode("utf-8", "backslashreplace").rstrip("\n"))
                    self._logged.notify_all()
        with self._logged:
            self._logged.notify_all()

    @property
    def running(self) -> bool:
        """Whether the program is there (a zombie is not)."""
        return self.popen is not None and self.popen.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the last start."""
        assert self.popen is not None
        return self.popen.pid

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """SIGTERM, wait for the exit, SIGKILL after `seconds`; returns the exit status (negative: the signal)."""
        if self.popen is None:
            return 0
        if self.running:
            self.popen.terminate()
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.lines.append(f"-- {self.name} did not end within {seconds} s of SIGTERM: killed")
        return self.kill()

    def kill(self) -> int:
        """kill -9 of the process and its group; returns the exit status."""
        assert self.popen is not None
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        status = self.popen.wait()
        if self._reader is not None:
            self._reader.join(5)
        LIVE.pop(self.popen.pid, None)
        return status

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- log

    @property
    def log(self) -> str:
        """All that it has written (the last 20,000 lines)."""
        return "\n".join(list(self.lines))

    def tail(self, count: int = TAIL_LINES) -> str:
        """The last lines, for a report."""
        if self.output is not None and self.output.exists():
            return "\n".join(self.output.read_text("utf-8", "backslashreplace").splitlines()[-count:])
        return "\n".join(list(self.lines)[-count:])

    def wait_for_log(self, pattern: str, seconds: float = START_SECONDS, count: int = 1) -> list[str]:
        """Wait until `count` lines match the regular expression; raises ProcessFailed when it ends or stays silent."""
        regex = re.compile(pattern)

        def enough(lines: Iterable[str]) -> list[str]:
            found = [line for line in lines if regex.search(line)]
            return found if len(found) >= count else []

        return self.wait_for_lines(enough, f"no line like {pattern!r}", seconds)

    def wait_for_lines(
        self, done: Callable[[Iterable[str]], list[str]], otherwise: str, seconds: float = START_SECONDS
    ) -> list[str]:
        """Wait until `done` finds what it wants among all lines; `otherwise` says what is missing."""
        deadline = time.monotonic() + seconds
        with self._logged:
            while True:
                if found := done(self.lines):
                    return found
                left = deadline - time.monotonic()
                reading = self._reader is not None and self._reader.is_alive()
                if left <= 0 or not reading:
                    raise self.failure(otherwise + ("" if reading else " before it ended"))
                self._logged.wait(min(left, 1.0))

    def failure(self, what: str) -> ProcessFailed:
        """The exception for `what`, with the log's tail."""
        status = None if self.popen is None else self.popen.poll()
        state = "runs" if status is None else f"ended with status {status}"
        return ProcessFailed(f"{self.name} ({state}): {what}\n{self.tail()}")


class RunningService(Process):
    """One of our services as a real process, every listener on 127.0.0.1 and a port that the kernel chose.

    `name` is the folder under services/, `settings_env` further settings (`PILLARBOX_IMAP__WORKERS`: "2"). After
    `start` it accepts connections; after `restart` it does so on the same ports.
    """

    def __init__(self, name: str, data_dir: Path, settings_env: Mapping[str, str] | None = None) -> None:
        env = clean_environment()
        env.update(default_settings(name))
        env["PILLARBOX_DATA"] = str(data_dir)
        env["PYTHONPATH"] = str(ROOT)
        env["PYTHONUNBUFFERED"] = "1"
        env.update(settings_env or {})
        super().__init__(name, [sys.executable, "-m", f"services.{name}"], env)
        self.data_dir = data_dir
        self.listeners: dict[str, list[tuple[str, int]]] = {}
        self._ready_fd = -1

    def start(self, pass_fds: Sequence[int] = (), *, wait: bool = True) -> None:
        """Start it and, unless `wait` is false, wait for its ready notice (then call `wait_ready` yourself)."""
        receive, send = os.pipe()
        self.env["PILLARBOX_READY_FD"] = str(send)
        try:
            super().start((*pass_fds, send))
        except BaseException:
            os.close(receive)
            raise
        finally:
            os.close(send)
        self._ready_fd = receive
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Return when the service accepts connections; raises ProcessFailed when it ends or stays silent."""
        notice = b""
        deadline = time.monotonic() + seconds
        try:
            while not notice.endswith(b"\n"):
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([self._ready_fd], [], [], left)[0]:
                    self.kill()
                    raise self.failure(f"not ready after {seconds} s")
                received = os.read(self._ready_fd, 65536)
                if not received:
                    assert self.popen is not None
                    self.popen.wait(STOP_SECONDS)
                    self.kill()
                    raise self.failure("ended before it was ready")
                notice += received
        finally:
            os.close(self._ready_fd)
            self._ready_fd = -1
        told = json.loads(notice)
        self.listeners = {
            name: [(str(address[0]), int(address[1])) for address in addresses]
            for name, addresses in told["listeners"].items()
        }

    def port(self, listener: str) -> int:
        """The port of a listener by its name in the ready notice, for example "imap" or "imaps"."""
        return self.listeners[listener][0][1]

    def restart(self) -> None:
        """Start it again after `kill` or `stop`, on the ports it had."""
        for listener, setting in PORT_SETTINGS[self.name].items():
            if listener in self.listeners:
                self.env[setting] = str(self.port(listener))
        self.start()

    def metrics_address(self) -> tuple[str, int]:
        """Where it serves /healthz and /metrics."""
        return self.listeners["health"][0]


def clean_environment() -> dict[str, str]:
    """This process's environment without any setting of a server that the developer runs."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PILLARBOX_")}


def default_settings(*names: str) -> dict[str, str]:
    """Settings of every test: all ports chosen by the kernel, loopback only, passwords in clear from loopback."""
    settings = {variable: "0" for name in names for variable in PORT_SETTINGS[name].values()}
    settings["PILLARBOX_SERVER__LISTEN"] = "127.0.0.1"
    settings["PILLARBOX_AUTH__PLAINTEXT_NETWORKS"] = "127.0.0.0/8"
    settings["PILLARBOX_DNS__RESOLVERS"] = f"127.0.0.1:{DISCARD_PORT}"
    return settings


def report_logs() -> list[tuple[str, str]]:
    """(title, last log lines) of every child that runs now: what conftest adds to the report of a failed test."""
    return [(f"log of {child.name} (pid {pid})", child.tail()) for pid, child in sorted(LIVE.items())]


@atexit.register
def _end_all() -> None:
    for child in list(LIVE.values()):
        child.kill()
