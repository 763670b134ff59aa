"""`pillarbox run SERVICE`: one service in the foreground, with as many processes as its `workers` says.

This is what a container runs. At the very first start of all, its keys and the certificate are still being made by the
store in another container: that is waited for. One process: this one becomes it, so that nothing stays between the container's init and
the service. Several: a supervisor as under `up`.
"""

import argparse
import os
import sys
import time
from typing import Any, Final

import trio

from shared.cli.environment import service_environment
from shared.cli.invocation import EXIT_OK, CommandFailed, Invocation
from shared.config.load import SettingsError, load_settings
from shared.config.paths import SERVICES, DataPaths
from shared.config.schema import Settings

FIRST_START_SECONDS: Final = 120.0
POLL_SECONDS: Final = 0.2


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The command's words."""
    summary = "run one service in the foreground"
    parser = nouns.add_parser("run", help=summary, description=summary.capitalize() + ".")
    parser.add_argument("service", metavar="SERVICE", choices=SERVICES, help=", ".join(SERVICES))
    parser.add_argument("--port-offset", type=int, metavar="N", help="added to every port (default 0)")
    parser.set_defaults(handler=run_service)


def settings_for(environment: dict[str, str]) -> Settings:
    """Raises CommandFailed with the file, the key, the value and what would be right."""
    try:
        return load_settings(None, environment)
    except SettingsError as error:
        raise CommandFailed(str(error)) from None


def workers_of(settings: Settings, service: str) -> int:
    """How many processes share a service's ports; the store is one."""
    return getattr(getattr(settings, service), "workers", 1)


def wait_for_store_files(settings: Settings, service: str, seconds: float = FIRST_START_SECONDS) -> None:
    """Until this service's key and the certificate are there. Raises CommandFailed."""
    paths = DataPaths.of(settings)
    needed = [paths.service_key(service)]
    if service != "smtp_out":  # it presents no certificate
        needed += [paths.certificate(settings), paths.private_key(settings)]
    deadline = time.monotonic() + seconds
    for path in needed:
        while not path.exists():
            if time.monotonic() >= deadline:
                raise CommandFailed(f"{path} is not there after {seconds:g} s: does the store run, on the same data?")
            time.sleep(POLL_SECONDS)


def run_service(invocation: Invocation) -> int:
    """Returns only after a drain of several workers."""
    service = invocation.options.service
    environment = service_environment(invocation, invocation.options.port_offset)
    settings = settings_for(environment)
    if service != "store":
        wait_for_store_files(settings, service)
    workers = workers_of(settings, service)
    if workers == 1:
        command = [sys.executable, "-P", "-m", f"services.{service}"]
        os.execve(command[0], command, environment)  # noqa: S606 - becoming the service is the point
    supervise(environment, ((service, workers),))
    return EXIT_OK


def supervise(environment: dict[str, str], services: tuple[tuple[str, int], ...]) -> None:
    """Run until a signal. Raises CommandFailed when a service does not start."""
    from shared.supervisor.supervisor import Plan, StartFailed, Supervisor, nothing_to_announce

    grace = settings_for(environment).server.drain_seconds + 10
    try:
        trio.run(Supervisor(Plan(services, environment, grace)).run, nothing_to_announce)
    except StartFailed as error:
        raise CommandFailed(str(error)) from None
