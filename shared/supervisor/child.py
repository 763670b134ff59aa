"""First code of every supervised process: tie its life to the supervisor's, then become ``services.<name>``.

The supervisor holds the write end of a pipe and never writes. When it is gone, however it went, the read end that every
child holds reports end of file: the child drains as on SIGTERM and is killed where that takes too long. A pipe rather
than PR_SET_PDEATHSIG, which is Linux only and follows the parent's *thread*. Called as
``python -m shared.supervisor.child SERVICE`` with PILLARBOX_LIFELINE_FD set. Imports nothing that a service does not.
"""

import os
import runpy
import signal
import sys
import threading
import time

LIFELINE = "PILLARBOX_LIFELINE_FD"
GRACE_SECONDS = 10.0


def follow(lifeline: int, grace_seconds: float = GRACE_SECONDS) -> None:
    """Blocks until the supervisor is gone, then ends this process."""
    while True:
        try:
            if not os.read(lifeline, 1):
                break
        except OSError:
            break
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Start the watch and run the service in this process."""
    service = sys.argv[1]
    lifeline = os.environ.pop(LIFELINE, "")
    if lifeline:
        threading.Thread(target=follow, args=(int(lifeline),), name="lifeline", daemon=True).start()
    sys.argv = [f"services.{service}"]
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
