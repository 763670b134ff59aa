"""Entries for accounts here that wait until it is time."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared, PreparedIn
from services.store.sql.schema_queue import queue_entry, queue_message

_e = queue_entry.c
_m = queue_message.c

NEXT: Final = Prepared(
    sa.select(sa.func.min(_e.due_at)).where(_e.share == b("here"), _e.lease_until <= b("now")), "here", "now"
)
DUE: Final = Prepared(
    sa.select(
        _e.id, _e.message_id, _e.recipient, _e.account_id, _e.mailbox, _e.notify,
        _m.content_id, _m.octets + _m.skip_octets, _m.header_octets, _m.trace, _m.sender,
    )
    .join_from(queue_entry, queue_message, _m.id == _e.message_id)
    .where(_e.share == b("here"), _e.due_at <= b("now"), _e.lease_until <= b("now"))
    .order_by(_e.due_at, _e.id)
    .limit(b("limit")),
    "here", "now", "limit",
)  # fmt: skip
REDIRECT: Final = PreparedIn(
    lambda ids: (
        sa.update(queue_entry)
        .where(_e.id.in_(ids))
        .values(destination=b("new_destination"), share=b("new_share"), due_at=b("new_due"))
    ),
    "new_destination",
    "new_share",
    "new_due",
)
