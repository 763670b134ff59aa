"""One supervised child: spawned, its lines passed on, its ready notice read, started again when it dies.

The ready notice is one JSON line that the child writes to PILLARBOX_READY_FD once all its listeners accept. Back-off:
FIRST_DELAY_SECONDS, doubled up to LONGEST_DELAY_SECONDS, from the start again after STEADY_SECONDS of life.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Final

import attrs
import trio

FIRST_DELAY_SECONDS: Final = 0.2
LONGEST_DELAY_SECONDS: Final = 30.0
STEADY_SECONDS: Final = 60.0
MAX_LINE_OCTETS: Final = 64 * 1024
"""A longer line is passed on in pieces."""
MAX_NOTICE_OCTETS: Final = 64 * 1024

Listeners = dict[str, list[tuple[str, int]]]


@attrs.define
class Backoff:
    """How long to wait before the next start."""

    delay: float = FIRST_DELAY_SECONDS

    def after(self, lived_seconds: float) -> float:
        """Seconds to wait, given how long the last run lived."""
        if lived_seconds >= STEADY_SECONDS:
            self.delay = FIRST_DELAY_SECONDS
        delay = self.delay
        self.delay = min(self.delay * 2, LONGEST_DELAY_SECONDS)
        return delay


def read_notice(line: bytes) -> Listeners | None:
    """The listeners of a ready notice; None for anything else."""
    try:
        notice = json.loads(line)
        listeners = notice["listeners"]
        return {str(name): [(str(host), int(port)) for host, port in where] for name, where in listeners.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def describe_exit(code: int) -> str:
    """Exit code or signal in words."""
    if code < 0:
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"
    return f"ended with exit code {code}"


class Worker:
    """A service's process ``index`` (from 1) of ``count``."""

    def __init__(
        self,
        service: str,
        index: int,
        count: int,
        environment: Mapping[str, str],
        lifeline: int,
        write_line: Callable[[str, bytes], None],
    ) -> None:
        self.service = service
        self.name = service if count == 1 else f"{service}.{index}"
        self.listeners: Listeners = {}
        self.ready = trio.Event()
        self.gone = trio.Event()
        self.starts = 0
        self._index = index
        self._environment = environment
        self._lifeline = lifeline
        self._write_line = write_line
        self._stopping = trio.Event()
        self._process: trio.Process | None = None

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        return self._process.pid if self._process is not None else None

    def stop(self) -> None:
        """Ask the process to drain (SIGTERM), and do not start it again."""
        self._stopping.set()
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._stopping.set()
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def keep_running(self, failed_start: Callable[["Worker"], None], patience: int = 3) -> None:
        """Run the process again and again until ``stop``. ``failed_start`` hears of ``patience`` ends before a first ready."""
        backoff = Backoff()
        try:
            while not self._stopping.is_set():
                began = trio.current_time()
                code = await self._run_once()
                if self._stopping.is_set():
                    return
                if not self.ready.is_set() and self.starts >= patience:
                    self.say(f"{describe_exit(code)} before it was ready, {self.starts} times")
                    failed_start(self)
                    return
                delay = backoff.after(trio.current_time() - began)
                self.say(f"{describe_exit(code)}, starts again in {delay:g} s")
                with trio.move_on_after(delay):
                    await self._stopping.wait()
        finally:
            self.gone.set()

    def say(self, text: str) -> None:
        """A line of the supervisor's own about this worker."""
        self._write_line(self.name, f"[supervisor] {text}".encode())

    async def _run_once(self) -> int:
        output_read, output_write = os.pipe()
        ready_read, ready_write = os.pipe()
        environment = {
            **self._environment,
            "PILLARBOX_READY_FD": str(ready_write),
            "PILLARBOX_LIFELINE_FD": str(self._lifeline),
        }
        if self._index > 1:
            # The first process has the configured port of /healthz and /metrics, the others take free ones.
            environment[f"PILLARBOX_OBSERVE__{self.service.upper()}_PORT"] = "0"
        # -P: the current folder is not searched, it may hold a `shared` of somebody else.
        command = [sys.executable, "-P", "-m", "shared.supervisor.child", self.service]
        self.starts += 1
        async with trio.lowlevel.FdStream(output_read) as output, trio.lowlevel.FdStream(ready_read) as notice:
            try:
                self._process = await trio.lowlevel.open_process(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output_write,
                    stderr=output_write,
                    pass_fds=(ready_write, self._lifeline),
                    env=environment,
                    # Its own session: a Ctrl-C at the terminal reaches the supervisor alone, which drains in order.
                    start_new_session=True,
                )
            finally:
                os.close(output_write)
                os.close(ready_write)
            if self._stopping.is_set():
                self._signal(signal.SIGTERM)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pass_lines, output)
                nursery.start_soon(self._read_notice, notice)
                code: int = await self._process.wait()
                # A grandchild may hold the pipes open; what the child itself wrote is in them by now.
                nursery.cancel_scope.deadline = trio.current_time() + 1.0
        return code

    async def _pass_lines(self, output: trio.lowlevel.FdStream) -> None:
        pending = b""
        try:
            async for chunk in output:
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    for start in range(0, max(len(line), 1), MAX_LINE_OCTETS):
                        self._write_line(self.name, line[start : start + MAX_LINE_OCTETS])
                while len(pending) >= MAX_LINE_OCTETS:
                    self._write_line(self.name, pending[:MAX_LINE_OCTETS])
                    pending = pending[MAX_LINE_OCTETS:]
        finally:
            if pending:
                self._write_line(self.name, pending)

    async def _read_notice(self, notice: trio.lowlevel.FdStream) -> None:
        received = b""
        async for chunk in notice:
            received += chunk
            if len(received) > MAX_NOTICE_OCTETS:
                break
            if b"\n" in received:
                break
        listeners = read_notice(received.split(b"\n")[0])
        if listeners is not None:
            self.listeners = listeners
            self.ready.set()
