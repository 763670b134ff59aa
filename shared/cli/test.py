"""`pillarbox test [pytest arguments]`: the test suite, from any folder, with this environment's pytest.

Without arguments the whole suite runs, one process per processor core up to MAX_PROCESSES, a file's tests together
(their services are started once per file). With arguments pytest gets exactly those.
"""

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import attrs

from shared.cli.environment import ROOT, python_path
from shared.cli.invocation import CommandFailed, Invocation

MAX_PROCESSES: Final = 4


@attrs.frozen
class SplitWords:
    """Words for our parser, and those that pytest gets as they are."""

    own: list[str]
    passed_on: list[str]


def split_words(words: Sequence[str]) -> SplitWords:
    """Everything after a first word `test` belongs to pytest, whatever it looks like."""
    if words and words[0] == "test":
        return SplitWords(["test"], list(words[1:]))
    return SplitWords(list(words), [])


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The command's words."""
    parser = nouns.add_parser("test", help="run the tests", add_help=False)
    parser.set_defaults(handler=run_tests)


def run_tests(invocation: Invocation) -> int:
    """Become pytest. Raises CommandFailed where there is no source tree or no pytest."""
    if not (ROOT / "tests").is_dir():
        raise CommandFailed("the tests are in the source tree, this is an installed package")
    if importlib.util.find_spec("pytest") is None:
        raise CommandFailed("pytest is missing: use ./pillarbox test, or install pillarbox[dev]")
    environment = {**invocation.environ, "PYTHONPATH": python_path(invocation.environ)}
    # Paths on the command line are relative to the tree, as in the README.
    os.chdir(ROOT)
    passed_on = invocation.options.passed_on or ["-n", str(min(os.cpu_count() or 1, MAX_PROCESSES)), "--dist", "loadfile"]
    command = [sys.executable, "-P", "-m", "pytest", *passed_on]
    os.execve(command[0], command, environment)  # noqa: S606 - replacing this process is the point
