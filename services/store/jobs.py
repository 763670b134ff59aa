"""What runs beside the mail: bounded pieces of housekeeping, through the writer like every other write."""

import sqlite3
from collections.abc import Callable
from typing import Any, Final

import trio

from services.store.core import Core
from services.store.reads.messages import tombstones_above
from services.store.reads.sending import accounts_with_known_above
from services.store.writer import Command
from services.store.writes import housekeeping, queue_clock, sending
from shared.errors import StoreError

BETWEEN_PIECES_SECONDS: Final = 0.05
"""Between two pieces of one job: mail goes first."""
DAY: Final = 86400.0


async def keep_house(core: Core) -> None:
    """Until cancelled."""
    store = core.settings.store
    while True:
        await trio.sleep(store.housekeeping_seconds)
        try:
            if core.writer.clock_was_put_back(queue_clock.SLACK_SECONDS):
                await _all_pieces(core, queue_clock.bring_back)
            await _clean(core)
        except (StoreError, sqlite3.Error) as error:
            core.log.warning("housekeeping failed", error=str(error))


async def _clean(core: Core) -> None:
    """All jobs once. Raises StoreError, sqlite3.Error: a disk that cannot be read."""
    store = core.settings.store
    await core.uploads.sweep()
    await _all_pieces(core, housekeeping.drop_contents, store.expunged_seconds)
    await _all_pieces(core, housekeeping.prune_operations, store.operation_seconds)
    await _all_pieces(core, housekeeping.prune_journal, store.journal_days * DAY)
    await _all_pieces(core, housekeeping.prune_history, store.history_days * DAY, store.history_rows)
    await _all_pieces(core, housekeeping.prune_dialogues, store.history_days * DAY, store.history_dialogues)
    most = store.tombstones_per_mailbox
    for mailbox_id, floor in await core.readers.run(tombstones_above, most):
        await _all_pieces(core, housekeeping.drop_tombstones, mailbox_id, floor)
    limits = core.settings.limits
    await _all_pieces(core, sending.forget_unused, limits.known_recipient_days)
    for account_id in await core.readers.run(accounts_with_known_above, limits.known_recipients):
        await _all_pieces(core, sending.forget_beyond, account_id, limits.known_recipients)


async def _all_pieces(core: Core, job: Callable[..., int], *arguments: float) -> None:
    """Run a job until a piece finds less than a piece to do."""
    done: Any = housekeeping.PIECE
    while done >= housekeeping.PIECE:
        try:
            done = await core.writer.submit(Command("", None, job, arguments))
        except StoreError as error:
            core.log.warning("housekeeping failed", job=job.__name__, error=str(error))
            return
        await trio.sleep(BETWEEN_PIECES_SECONDS)
