"""The line that shows how far a long job is: `[#####     ] 50 %  packs, 1.2 GB of 2.4 GB`."""

import sys
from typing import Final

from shared.cli.output import size_text, width_of

BAR_COLUMNS: Final = 30


def share_bar(share: float, columns: int = BAR_COLUMNS) -> str:
    """`[#####     ]  50 %`; the share is 0 to 1."""
    filled = int(share * columns)
    return f"[{'#' * filled}{' ' * (columns - filled)}] {share * 100:3.0f} %"


def bar_line(stage: str, done: int, total: int) -> str:
    """Octets; a total of 0 is nothing to do."""
    shown = f"{share_bar(min(done / total, 1.0) if total else 1.0)}  {stage}"
    return f"{shown}, {size_text(min(done, total))} of {size_text(total)}" if total else shown


class Bar:
    """On standard error, and only where somebody sees it."""

    def __init__(self, *, show: bool) -> None:
        self._shown = show
        self._columns = 0

    def show(self, stage: str, done: int, total: int) -> None:
        if self._shown:
            line = bar_line(stage, done, total)
            columns = width_of(line)
            print("\r" + line + " " * max(0, self._columns - columns), end="", file=sys.stderr, flush=True)
            self._columns = columns

    def end(self) -> None:
        """Leave the line."""
        if self._columns:
            print(file=sys.stderr)
            self._columns = 0
