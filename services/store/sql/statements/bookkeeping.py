"""Operations, journal, counters."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared, PreparedIn
from services.store.sql.schema import content, journal, meta, operation
from services.store.sql.schema_queue import dialogue, queue_entry, queue_message

OPERATIONS: Final = PreparedIn(
    lambda ids: (
        sa.select(operation.c.op_id, operation.c.method, operation.c.result).where(operation.c.op_id.in_(ids))
    )
)
INSERT_OPERATION: Final = Prepared(operation.insert(), "op_id", "at", "method", "result")
OLDEST_OPERATION: Final = Prepared(sa.select(operation.c.id, operation.c.at).order_by(operation.c.id).limit(b("one")), "one")
PRUNE_OPERATIONS: Final = Prepared(
    sa.delete(operation).where(operation.c.id <= b("last"), operation.c.at < b("before")), "last", "before"
)
INSERT_JOURNAL: Final = Prepared(journal.insert(), "at", "actor", "what", "mailbox_id", "uids", "detail", "account_id")
OLDEST_JOURNAL: Final = Prepared(
    sa.select(journal.c.id, journal.c.at).where(journal.c.account_id.is_(None)).order_by(journal.c.id).limit(b("one")), "one"
)
PRUNE_JOURNAL: Final = Prepared(
    sa.delete(journal).where(journal.c.id <= b("last"), journal.c.at < b("before"), journal.c.account_id.is_(None)),
    "last",
    "before",
)
META: Final = Prepared(sa.select(meta.c.value).where(meta.c.name == b("name")), "name")
INSERT_META: Final = Prepared(meta.insert(), "name", "value")
UPDATE_META: Final = Prepared(
    sa.update(meta).where(meta.c.name == b("at_name")).values(value=b("new_value")), "new_value", "at_name"
)

# SQLite's own memory of the highest id that an AUTOINCREMENT table has given out
_sequence = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))
LAST_ID: Final = Prepared(sa.select(_sequence.c.seq).where(_sequence.c.name == b("table")), "table")
NUMBERED_TABLES: Final = (content.name, queue_message.name, queue_entry.name, dialogue.name)
"""Tables whose ids the writer gives out itself, so that rows of several tables can be written in bulk."""
