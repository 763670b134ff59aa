"""The task that bounds the history of what can be undone: by days, by rows, and by what the disk has left.

When there is too much of it, a tenth of its time goes at each look, so that a disk on which space comes back slowly (compaction) does not
cost all of it at once.
"""

import sqlite3
import time
from shutil import disk_usage
from typing import Final

import trio

from services.store.core import Core
from services.store.domain.undo import HistoryLimits
from services.store.reads import undo as reads
from services.store.writer import Command
from services.store.writes import forgetting
from services.store.writes.housekeeping import PIECE
from shared.errors import StoreError

BETWEEN_PIECES_SECONDS: Final = 0.05
"""Mail goes first."""
COUNT_SECONDS: Final = 600.0
"""Rows are counted no more often: it reads all of their index."""


async def keep_history(core: Core) -> None:
    """Until cancelled."""
    store = core.settings.store
    limits = HistoryLimits(store.undo_days, store.undo_rows, store.undo_free_octets)
    on = store.undo_days > 0
    counted_at, rows = -COUNT_SECONDS, 0
    begun = False
    while True:
        try:
            if not (on and begun):
                await core.writer.submit(Command("", None, forgetting.begin, (on,)))
                begun = True
            if time.monotonic() - counted_at >= COUNT_SECONDS:
                counted_at, rows = time.monotonic(), await core.readers.run(reads.rows)
            await _forget(core, limits, rows)
        except (StoreError, sqlite3.Error, OSError) as error:
            core.log.warning("the history was not shortened", error=str(error))
        await trio.sleep(store.housekeeping_seconds)


async def _forget(core: Core, limits: HistoryLimits, rows: int) -> None:
    """Raises StoreError, sqlite3.Error, OSError."""
    free = await trio.to_thread.run_sync(lambda: disk_usage(core.paths.store).free)
    since = await core.readers.run(reads.since)
    cut = limits.cut(time.time(), since, rows, free)
    done = PIECE
    while done >= PIECE:
        done = await core.writer.submit(Command("", None, forgetting.forget, (cut, PIECE)))
        await trio.sleep(BETWEEN_PIECES_SECONDS)
