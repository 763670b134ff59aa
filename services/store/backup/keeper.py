"""The store's side of `pillarbox backup test`: the newest backup in ``backup.directory`` is tried every ``backup.test_days``.

An hour after a start at the earliest, in a process of its own at the lowest priority. A failure is a warning in the log, is shown by
`pillarbox status`, and is looked at again the next day.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs
import trio

from services.store.child import run_child, why
from services.store.layout import write_new
from services.store.verify.keeper import seconds_until_due
from shared.observe.log import Logger

TESTER: Final = "services.store.backup"
AGAIN_DAYS: Final = 1.0
"""After a failure."""


@attrs.frozen
class Tried:
    """The last test. ``at`` 0: there was none; ``failure`` empty: it went well."""

    at: float = 0.0
    failure: str = ""


def read_tried(path: Path) -> Tried:
    """What the file says; nothing where there is none that makes sense."""
    try:
        kept = json.loads(path.read_bytes())
        return Tried(float(kept["at"]), str(kept["failure"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Tried()


class BackupTests:
    """Of one store."""

    def __init__(
        self,
        data: Path,
        directory: str,
        result_path: Path,
        log: Logger,
        *,
        every_days: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._words = ("test", str(data), directory)
        self._enabled = bool(directory and every_days)
        self._path = result_path
        self._log = log
        self._every_days = every_days
        self._clock = clock
        self.tried = Tried()
        self.runs = 0

    async def run(self) -> None:
        """Try a restore when it is due, until cancelled."""
        self.tried = await trio.to_thread.run_sync(read_tried, self._path)
        begun = trio.current_time()
        while self._enabled:
            days = min(self._every_days, AGAIN_DAYS) if self.tried.failure else self._every_days
            up = trio.current_time() - begun
            await trio.sleep(seconds_until_due(self.tried.at, self._clock(), up, days))
            await self._try()

    async def _try(self) -> None:
        result = b""

        async def heard(line: bytes) -> None:
            nonlocal result
            result = line

        try:
            status, said = await run_child(TESTER, self._words, heard)
        except OSError as error:
            status, said = 1, str(error)
        self.tried = Tried(self._clock(), "" if status == 0 else why(status, said))
        if self.tried.failure:
            self._log.warning("the backup failed its test", reason=self.tried.failure)
        else:
            told = json.loads(result)["result"]
            self._log.info("the backup was tested", name=told["name"], account=told["address"], messages=told["messages"])
        try:
            await trio.to_thread.run_sync(write_new, self._path, json.dumps(attrs.asdict(self.tried)).encode())
        except OSError as error:
            self._log.warning("the result of the backup's test cannot be kept", reason=str(error))
        self.runs += 1
