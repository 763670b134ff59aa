"""The store's side of work beside the mail: start one of our processes, hear its lines, end it with ourselves. See ``background``."""

import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import trio

_ROOT: Final = Path(__file__).parents[2]
LINE_OCTETS: Final = 64 * 1024
"""Longer lines are cut: nothing sensible comes of them."""
_SAID_OCTETS: Final = 4096


async def run_child(module: str, words: Sequence[str], heard: Callable[[bytes], Awaitable[None]]) -> tuple[int, str]:
    """Run ``python -m module words...`` to its end; exit status, and the last of what it said on standard error.

    Cancelled, it is killed. Raises OSError when it cannot be started.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PILLARBOX_")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), environment.get("PYTHONPATH"))))
    command = [sys.executable, "-P", "-m", module, *words]
    said = b""

    async def listen(stream: trio.abc.ReceiveStream) -> None:
        nonlocal said
        async for data in stream:
            said = (said + data)[-_SAID_OCTETS:]

    pipe = subprocess.PIPE
    process = await trio.lowlevel.open_process(
        command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
    )
    try:
        async with trio.open_nursery() as nursery:
            assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018  both are pipes
            nursery.start_soon(listen, process.stderr)
            rest = b""
            async for data in process.stdout:
                *lines, rest = (rest + data).split(b"\n")
                rest = rest[-LINE_OCTETS:]
                for line in lines:
                    await heard(line)
            status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    await stream.aclose()
    return status, said.decode("utf-8", "replace").strip()[-500:]


def why(status: int, said: str) -> str:
    """Why a child failed, in words."""
    return said or (f"ended by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}")
