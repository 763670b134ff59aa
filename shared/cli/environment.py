"""The environment that the processes we start get: this code first on their path, one data directory, one offset."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from shared.cli.invocation import Invocation

ROOT: Final = Path(__file__).resolve().parents[2]
"""The source tree, or site-packages when installed."""


def python_path(environ: Mapping[str, str]) -> str:
    """PYTHONPATH with our root first: another distribution may own a package named `shared`."""
    others = [entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry not in ("", str(ROOT))]
    return os.pathsep.join([str(ROOT), *others])


def service_environment(invocation: Invocation, port_offset: int | None) -> dict[str, str]:
    """What the services of this invocation run with."""
    environment = dict(invocation.environ)
    environment["PYTHONPATH"] = python_path(invocation.environ)
    environment["PILLARBOX_DATA"] = str(invocation.data)
    if invocation.config is not None:
        environment["PILLARBOX_CONFIG"] = str(invocation.config)
    if port_offset is not None:
        environment["PILLARBOX_PORT_OFFSET"] = str(port_offset)
    return environment
