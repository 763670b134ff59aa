"""A process of a service that does one job for a command and says how it goes in lines of JSON (`services.store.background`).

It ends with the command: its standard input closes. What it says on standard error is for the person.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from shared.cli.environment import service_environment
from shared.cli.invocation import CommandFailed, Invocation

_SAID_CHARACTERS: Final = 2000


def run_job(
    invocation: Invocation, module: str, words: Sequence[str], heard: Callable[[Mapping[str, Any]], None]
) -> None:
    """Run ``python -m module words...``; each line it says goes to ``heard``. Raises CommandFailed with what it said when it fails."""
    command = [sys.executable, "-P", "-m", module, *words]
    environment = service_environment(invocation, None)
    with subprocess.Popen(  # noqa: S603  our own interpreter and module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: S101, PT018  pipes
        try:
            for line in process.stdout:
                heard(json.loads(line))
            said = process.stderr.read().decode("utf-8", "replace").strip()[-_SAID_CHARACTERS:]
        finally:
            process.stdin.close()
    if process.returncode:
        raise CommandFailed(said or f"{module} ended with status {process.returncode}")


def is_terminal(invocation: Invocation) -> bool:
    """Whether a progress bar has somebody to look at it."""
    return os.isatty(2) and not invocation.json
