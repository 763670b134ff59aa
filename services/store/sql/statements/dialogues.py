"""Kept SMTP dialogues."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared, PreparedIn
from services.store.sql.schema_queue import dialogue

_d = dialogue.c

INSERT: Final = Prepared(dialogue.insert(), "id", "at", "digest", "data")
KNOWN: Final = Prepared(sa.select(_d.id).where(_d.digest == b("of_digest")), "of_digest")
BY_NUMBER: Final = PreparedIn(lambda ids: sa.select(_d.id, _d.data).where(_d.id.in_(ids)))
OLDEST: Final = Prepared(sa.select(_d.id, _d.at).order_by(_d.id).limit(b("one")), "one")
NEWEST_ID: Final = Prepared(sa.select(sa.func.coalesce(sa.func.max(_d.id), sa.literal_column("0"))))
PRUNE: Final = Prepared(sa.delete(dialogue).where(_d.id <= b("last"), _d.at < b("before")), "last", "before")
DROP_FIRST: Final = Prepared(sa.delete(dialogue).where(_d.id <= b("last")), "last")
