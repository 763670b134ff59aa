"""The child's side of work beside the mail: a process of its own at the lowest priority, that says what it does in lines of JSON.

Whoever started it holds the other end of its standard input: when that closes, the process ends. No trio here: such a process is short
and lean. ``child`` is the other side.
"""

import json
import os
import sys
import threading
from collections.abc import Mapping
from typing import Final

NICENESS: Final = 19


def end_with_parent() -> None:
    """End the process when standard input closes: whoever started it is gone."""
    while os.read(0, 1):
        pass
    os._exit(1)


def begin() -> None:
    """Step back behind everybody else, make files for the owner only, and watch the parent."""
    os.nice(NICENESS)
    os.umask(0o077)
    threading.Thread(target=end_with_parent, daemon=True).start()


def report(line: Mapping[str, object]) -> None:
    """A line on standard output."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
