"""`pillarbox up`: the whole server on one machine, in the foreground, until Ctrl-C or SIGTERM.

Log lines go to stderr with the service's name before them; stdout gets one line when every listener accepts,
`ready: smtp 0.0.0.0:10025, ...`, and what `--demo` has to say. One `up` per data directory: a lock in `run/up.lock`.
"""

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import trio

from shared.cli.demo import run_demo
from shared.cli.environment import service_environment
from shared.cli.invocation import EXIT_OK, CommandFailed, Invocation, WrongUse
from shared.cli.output import print_json
from shared.cli.run import settings_for, workers_of
from shared.config.paths import SERVICES
from shared.config.schema import LogFormat
from shared.supervisor.ports import PortUnavailable, check_ports
from shared.supervisor.supervisor import Plan, StartFailed, Supervisor
from shared.supervisor.worker import Listeners

DEFAULT_PORT_OFFSET: Final = 10000
"""Ports below 1024 need privileges; containers, where they do not, start the services with `run`."""
MORE_GRACE_SECONDS: Final = 10.0
"""The supervisor's patience beyond what a service itself allows for its drain."""


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The command's words."""
    summary = "start all services on this machine"
    parser = nouns.add_parser("up", help=summary, description=summary.capitalize() + ", in the foreground.")
    offset_help = f"added to every port (PILLARBOX_PORT_OFFSET; default {DEFAULT_PORT_OFFSET})"
    parser.add_argument("--port-offset", type=int, metavar="N", help=offset_help)
    parser.add_argument("--demo", action="store_true", help="with two accounts in example.test and a first message")
    parser.set_defaults(handler=up)


def up(invocation: Invocation) -> int:
    """Returns after an orderly drain. Raises CommandFailed."""
    offset = invocation.options.port_offset
    if offset is None and not invocation.environ.get("PILLARBOX_PORT_OFFSET"):
        offset = DEFAULT_PORT_OFFSET
    if offset is not None and not 0 <= offset <= 64000:
        raise WrongUse(f"--port-offset {offset}: must be from 0 to 64000")
    environment = service_environment(invocation, offset)
    settings = settings_for(environment)
    terminal = sys.stderr.isatty()
    if settings.log.format is LogFormat.AUTO:
        # The services see a pipe; their lines are still for the person at this terminal, or for the journal behind it.
        environment["PILLARBOX_LOG__FORMAT"] = LogFormat.HUMAN.value
    make_data_directory(invocation.data)
    with only_one(invocation.data):
        try:
            check_ports(settings)
        except PortUnavailable as error:
            raise CommandFailed(str(error)) from None
        services = tuple((name, workers_of(settings, name)) for name in SERVICES)
        grace = settings.server.drain_seconds + MORE_GRACE_SECONDS
        supervisor = Supervisor(Plan(services, environment, grace, colour=terminal and "NO_COLOR" not in environment))

        async def started(listeners: Listeners) -> None:
            announce(invocation, listeners)
            if invocation.options.demo:
                await run_demo(invocation.data, listeners)

        try:
            trio.run(supervisor.run, started)
        except StartFailed as error:
            raise CommandFailed(str(error)) from None
    return EXIT_OK


def make_data_directory(data: Path) -> None:
    """Mode 0700. An existing folder must be empty or ours. Raises CommandFailed."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = {entry.name for entry in data.iterdir()} - {"pillarbox.toml"}
        if names and not names & {"store", "run", "keys"}:
            raise CommandFailed(f"{data} holds other things: name an empty or new folder with --data")
        data.chmod(0o700)
        (data / "run").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise CommandFailed(f"cannot use {data} for the data: {error.strerror}") from None


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Hold the lock of the data directory. Raises CommandFailed when another `up` has it."""
    descriptor = os.open(data / "run" / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(descriptor, 20).decode("ascii", "replace").strip()
            raise CommandFailed(f"already running with {data} (process {owner or 'unknown'})") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def announce(invocation: Invocation, listeners: Listeners) -> None:
    """The one line that says that everything accepts."""
    shown = {name: addresses for name, addresses in listeners.items() if name != "health" and addresses}
    if invocation.json:
        print_json({"ready": {name: [list(address) for address in where] for name, where in shown.items()}})
    else:
        words = [f"{name} {' '.join(address_words(where))}" for name, where in shown.items()]
        print("ready: " + ", ".join(words))
    sys.stdout.flush()


def address_words(addresses: list[tuple[str, int]]) -> list[str]:
    """host:port; `[::]` is left out where 0.0.0.0 has the same port, for shortness."""
    return [
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        for host, port in addresses
        if not (host == "::" and ("0.0.0.0", port) in addresses)
    ]
