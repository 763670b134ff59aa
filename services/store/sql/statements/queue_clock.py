"""Times in the queue that lie ahead of the clock: they were written before it was put back."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared
from services.store.sql.schema_queue import queue_attempt, queue_entry, queue_message

_e, _m, _a = queue_entry.c, queue_message.c, queue_attempt.c

RELEASE: Final = Prepared(
    sa.update(queue_entry)
    .where(_e.lease_until > b("latest"), _e.lease_owner != b("holder"))
    .values(lease_owner=sa.literal_column("''"), lease_until=sa.literal_column("0")),
    "latest",
    "holder",
)
"""Leases that end later than any may."""
MESSAGES: Final = Prepared(
    sa.select(_m.id, _m.queued_at).where(_m.queued_at > b("latest")).order_by(_m.id).limit(b("limit")), "latest", "limit"
)
"""Queued later than now, with that time."""
MOVE_MESSAGE: Final = Prepared(
    sa.update(queue_message)
    .where(_m.id == b("message"))
    .values(queued_at=_m.queued_at - b("ahead"), expires_at=_m.expires_at - b("also_ahead")),
    "ahead",
    "also_ahead",
    "message",
)
MOVE_ENTRIES: Final = Prepared(
    sa.update(queue_entry)
    .where(_e.message_id == b("message"))
    .values(
        due_at=_e.due_at - b("ahead"),
        warn_at=sa.case((_e.warn_at > sa.literal_column("0"), _e.warn_at - b("also_ahead")), else_=_e.warn_at),
    ),
    "ahead",
    "also_ahead",
    "message",
)
ATTEMPTED: Final = Prepared(
    sa.select(_a.entry_id, sa.func.max(_a.at))
    .where(_a.at > b("latest"))
    .group_by(_a.entry_id)
    .order_by(_a.entry_id)
    .limit(b("limit")),
    "latest",
    "limit",
)
"""Entries that were tried later than now, with the last of those times."""
MOVE_DUE: Final = Prepared(
    sa.update(queue_entry).where(_e.id == b("entry")).values(due_at=_e.due_at - b("ahead")), "ahead", "entry"
)
MOVE_ATTEMPTS: Final = Prepared(
    sa.update(queue_attempt).where(_a.entry_id == b("entry"), _a.at > b("latest")).values(at=b("now")), "now", "entry", "latest"
)
