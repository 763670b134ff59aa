"""`python -m shared.cli.healthcheck SERVICE ...`: is the service of this container well? Exit code 0 or 1.

Runs every few seconds in every container, so it imports little: no trio, no RPC, no HTTP library (that one brings TLS).
The store must be ready, the others alive: one that merely waits for a restarting store is not to be restarted itself.
"""

import os
import socket
import sys

from shared.config.load import SettingsError, load_settings
from shared.config.paths import SERVICES
from shared.config.schema import Settings

TIMEOUT_SECONDS = 4.0
MAX_ANSWER_OCTETS = 16 * 1024


def check(settings: Settings, service: str) -> str:
    """Empty when well, else the reason."""
    port = settings.listen_port(getattr(settings.observe, f"{service}_port"))
    path = "/readyz" if service == "store" else "/healthz"
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((settings.observe.address, port), timeout=TIMEOUT_SECONDS) as connection:
            connection.sendall(request.encode())
            answer = b""
            while len(answer) < MAX_ANSWER_OCTETS and (more := connection.recv(4096)):
                answer += more
    except OSError as error:
        return f"{service}: {error}"
    # RFC 9112 §4: HTTP-version SP status-code SP [ reason-phrase ]
    words = answer.split(maxsplit=2)
    if len(words) > 1 and words[1] == b"200":
        return ""
    return f"{service}: {answer.decode('utf-8', 'replace').strip() or 'no answer'}"


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
