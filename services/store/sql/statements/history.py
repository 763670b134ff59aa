"""What happened to messages. One narrow table without a second index: it is appended to by every delivery and read by people."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared, PreparedIn
from services.store.sql.schema import account, mailbox, message, passage
from services.store.sql.schema_queue import queue_entry
from services.store.sql.statements.queue import SELECT_ITEMS

_p = passage.c

INSERT: Final = Prepared(passage.insert(), "at", "trace", "addresses", "detail")
TRACES_OF: Final = Prepared(
    sa.select(_p.trace)
    .where(_p.addresses.like(b("pattern"), escape="\\"), _p.addresses.like(b("token")))
    .group_by(_p.trace)
    .order_by(sa.func.max(_p.id).desc())
    .limit(b("limit")),
    "pattern",
    "token",
    "limit",
)
TRACE_WITH: Final = Prepared(
    sa.select(_p.trace).where(_p.trace == b("of_trace"), _p.addresses.like(b("token"))).distinct(), "of_trace", "token"
)
OF_TRACES: Final = PreparedIn(lambda traces: sa.select(_p.id, _p.detail).where(_p.trace.in_(traces)).order_by(_p.id))
OLDEST: Final = Prepared(sa.select(_p.id, _p.at).order_by(_p.id).limit(b("one")), "one")
NEWEST_ID: Final = Prepared(sa.select(sa.func.coalesce(sa.func.max(_p.id), sa.literal_column("0"))))
PRUNE: Final = Prepared(sa.delete(passage).where(_p.id <= b("last"), _p.at < b("before")), "last", "before")
DROP_FIRST: Final = Prepared(sa.delete(passage).where(_p.id <= b("last")), "last")

NOW: Final = Prepared(
    sa.select(account.c.address, mailbox.c.id, mailbox.c.name, message.c.uid, message.c.flags)
    .join_from(mailbox, message, message.c.mailbox_id == mailbox.c.id)
    .join(account, account.c.id == mailbox.c.account_id)
    .where(mailbox.c.account_id == b("account"), message.c.email_id == b("email_id"))
    .order_by(mailbox.c.name, message.c.uid),
    "account",
    "email_id",
)
ADDRESSES: Final = PreparedIn(lambda ids: sa.select(account.c.id, account.c.address).where(account.c.id.in_(ids)))
WAITING: Final = PreparedIn(lambda ids: SELECT_ITEMS.where(queue_entry.c.id.in_(ids)).order_by(queue_entry.c.id))
