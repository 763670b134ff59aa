"""The task that files held messages for accounts here when their time has come (``writes.held``).

It sleeps until the next is due, or until the queue changes. A store that was away files what came due meanwhile at its start.
"""

import sqlite3
import time
from typing import Final

import trio

from services.store.core import Core
from services.store.domain.turns import HERE_SHARE
from services.store.readers import Snapshot
from services.store.sql.statements import held
from services.store.writer import Command
from services.store.writes.held import file_due
from shared.errors import StoreError

LOOK_SECONDS: Final = 60.0
"""Between two looks at the least: the clock may be set meanwhile."""
PAUSE_SECONDS: Final = 0.1
"""Between two looks at the most: a busy queue changes all the time."""


async def keep_held(core: Core) -> None:
    """Until cancelled."""
    while True:
        changed = core.queue_changed.arm()
        try:
            wait_seconds = await _look(core)
        except (StoreError, sqlite3.Error) as error:
            core.log.warning("held mail was not filed", error=str(error))
            wait_seconds = LOOK_SECONDS
        await trio.sleep(min(wait_seconds, PAUSE_SECONDS))
        with trio.move_on_after(max(0.0, wait_seconds - PAUSE_SECONDS)):
            await changed.wait()


async def _look(core: Core) -> float:
    """File what is due; after how many seconds something may be. Raises StoreError, sqlite3.Error."""
    while True:
        due_at = await core.readers.run(next_due)
        wait_seconds = LOOK_SECONDS if due_at is None else due_at - time.time()
        if wait_seconds > 0:
            return min(wait_seconds, LOOK_SECONDS)
        filed = await core.writer.submit(Command("", None, file_due, ()))
        core.deliveries.inc(filed, "local")


def next_due(snapshot: Snapshot) -> float | None:
    """When the next copy is to be filed; None: none waits."""
    due_at: float | None = held.NEXT.scalar(snapshot.cursor, HERE_SHARE, time.time())
    return due_at
