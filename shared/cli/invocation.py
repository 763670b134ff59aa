"""What every command gets: where the data is, how to answer; and the errors that end a command with their exit code."""

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import attrs

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_WRONG_USE: Final = 2
EXIT_STORE_AWAY: Final = 3
EXIT_DAMAGED: Final = 4
"""What was to be verified is damaged."""

DEFAULT_DATA: Final = "data"


class CommandFailed(Exception):
    """Ends the command: one line on stderr, this exit code."""

    exit_code = EXIT_FAILED


class WrongUse(CommandFailed):
    """The command line asks for something that makes no sense."""

    exit_code = EXIT_WRONG_USE


class StoreAway(CommandFailed):
    """The store does not run, or not for this data directory."""

    exit_code = EXIT_STORE_AWAY


@attrs.frozen
class Invocation:
    """One command as typed: ``options`` are the parsed words of its own."""

    data: Path
    """Absolute."""
    config: Path | None
    json: bool
    options: argparse.Namespace
    environ: Mapping[str, str]


Handler = Callable[[Invocation], int]


def make_invocation(options: argparse.Namespace, environ: Mapping[str, str]) -> Invocation:
    """The words that every command takes, with their defaults from the environment. Raises WrongUse."""
    data = getattr(options, "data", None) or environ.get("PILLARBOX_DATA") or DEFAULT_DATA
    config = getattr(options, "config", None) or environ.get("PILLARBOX_CONFIG") or None
    if config is not None and not os.path.isfile(config):
        raise WrongUse(f"the settings file {config} does not exist")
    return Invocation(
        data=Path(os.path.abspath(data)),
        config=Path(os.path.abspath(config)) if config is not None else None,
        json=getattr(options, "json", False),
        options=options,
        environ=environ,
    )
