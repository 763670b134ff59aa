"""One line on the terminal for long work: how much is done, how fast, how long it takes still."""

import sys
import time
from typing import Final

from shared.cli.output import size_text
from shared.cli.progress import share_bar

BAR_COLUMNS: Final = 24
SHOW_SECONDS: Final = 0.2


def time_text(seconds: float) -> str:
    """5 s, 3 min 20 s, 2 h 5 min"""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def progress_line(done: int, total: int, octets: int, total_octets: int, seconds: float) -> str:
    """`[####    ]  50 %  500 of 1000 messages, 1.2 MB, 900/s, 2 s left`; the share is that of octets."""
    share = min(octets / total_octets, 1.0) if total_octets else min(done / total, 1.0) if total else 1.0
    line = f"{share_bar(share, BAR_COLUMNS)}  {done} of {total} messages, {size_text(octets)}"
    if seconds > 0 and done:
        line += f", {done / seconds:.0f}/s"
        if 0 < share < 1:
            line += f", {time_text(seconds / share - seconds)} left"
    return line


class ProgressBar:
    """On stderr, where that is a terminal and somebody may look at it."""

    def __init__(self, total: int, total_octets: int, *, quiet: bool) -> None:
        self._total, self._total_octets = total, total_octets
        self._done = self._octets = 0
        self._begun = time.monotonic()
        self._shown = 0.0
        self._visible = sys.stderr.isatty() and not quiet

    def __call__(self, messages: int, octets: int) -> None:
        """So many more are done."""
        self._done += messages
        self._octets += octets
        now = time.monotonic()
        if self._visible and now - self._shown >= SHOW_SECONDS:
            self._shown = now
            self._show(now)

    def _show(self, now: float) -> None:
        line = progress_line(self._done, self._total, self._octets, self._total_octets, now - self._begun)
        # what was longer before is wiped out
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._visible:
            self._show(time.monotonic())
            print(file=sys.stderr)


def show_looking(position: int, total: int, *, quiet: bool) -> None:
    """Before there is anything to count: at which mailbox an import is; beyond the last one the line is wiped."""
    if sys.stderr.isatty() and not quiet:
        line = f"looking at mailbox {position} of {total}" if position <= total else ""
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
