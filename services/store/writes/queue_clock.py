"""The clock was put back: what was queued and tried while it was ahead must not wait until it is there again.

A machine that starts with a wrong time and is set right a minute later may be off by years. Messages that were queued in that time, and
entries that were tried in it, are moved back by as much as they lie ahead: what they still have to wait stays what it was.
"""

from typing import Final

from services.store.domain.queue import MAX_LEASE_SECONDS
from services.store.sql.statements import queue_clock
from services.store.transaction import Transaction
from services.store.writes.housekeeping import PIECE
from shared.contract.queue_types import HOLDER

SLACK_SECONDS: Final = 60.0
"""What lies ahead by less waits for it."""


def bring_back(transaction: Transaction) -> int:
    """A piece of what lies ahead of the clock; how much it was. Below PIECE: that was all."""
    transaction.flush()
    cursor, now = transaction.cursor, transaction.now
    latest = now + SLACK_SECONDS
    queue_clock.RELEASE.run(cursor, latest + MAX_LEASE_SECONDS, HOLDER)
    # what was both queued and tried in that time is moved twice: it is due at once
    attempted = queue_clock.ATTEMPTED.all(cursor, latest, PIECE)
    queued = queue_clock.MESSAGES.all(cursor, latest, PIECE) if len(attempted) < PIECE else []
    for message, queued_at in queued:
        ahead = queued_at - now
        queue_clock.MOVE_MESSAGE.run(cursor, ahead, ahead, message)
        queue_clock.MOVE_ENTRIES.run(cursor, ahead, ahead, message)
    for entry, at in attempted:
        queue_clock.MOVE_DUE.run(cursor, at - now, entry)
        queue_clock.MOVE_ATTEMPTS.run(cursor, now, entry, latest)
    transaction.changes.queue = bool(queued or attempted) or transaction.changes.queue
    return max(len(queued), len(attempted))
