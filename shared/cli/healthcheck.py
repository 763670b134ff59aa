"""`python -m shared.cli.healthcheck SERVICE ...`: is the service of this container well? Exit code 0 or 1.

Runs every few seconds in every container, so it imports little: no trio, no RPC. The store must be ready, the others
alive: one that merely waits for a restarting store is not to be restarted itself.
"""

import http.client
import os
import sys

from shared.config.load import SettingsError, load_settings
from shared.config.paths import SERVICES
from shared.config.schema import Settings

TIMEOUT_SECONDS = 4.0


def check(settings: Settings, service: str) -> str:
    """Empty when well, else the reason."""
    port = settings.listen_port(getattr(settings.observe, f"{service}_port"))
    connection = http.client.HTTPConnection(settings.observe.address, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz" if service == "store" else "/healthz")
        answer = connection.getresponse()
        text = answer.read(4096).decode("utf-8", "replace").strip()
        return "" if answer.status == 200 else f"{service}: {answer.status} {text}"
    except (OSError, http.client.HTTPException) as error:
        return f"{service}: {error}"
    finally:
        connection.close()


def main() -> int:
    """Check the named services; none named is wrong use."""
    services = sys.argv[1:]
    if not services or not set(services) <= set(SERVICES):
        print(f"usage: healthcheck SERVICE ... ({', '.join(SERVICES)})", file=sys.stderr)
        return 2
    try:
        settings = load_settings(None, os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    problems = [problem for problem in (check(settings, service) for service in services) if problem]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
