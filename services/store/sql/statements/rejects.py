"""Refused messages that are kept for a while."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared
from services.store.sql.schema import keyword, mailbox, message

_m = message.c
_kept = sa.and_(_m.mailbox_id == b("mailbox"), _m.flags.op("&")(b("bit")) != sa.literal_column("0"))

SLOTS: Final = Prepared(
    sa.select(mailbox.c.id, keyword.c.slot)
    .join_from(mailbox, keyword, keyword.c.mailbox_id == mailbox.c.id)
    .where(mailbox.c.name == b("name"), sa.func.lower(keyword.c.name) == b("keyword"), mailbox.c.id > b("after"))
    .order_by(mailbox.c.id)
    .limit(b("limit")),
    "name", "keyword", "after", "limit",
)  # fmt: skip
"""Mailboxes of a name that know a keyword (lower case), and its slot."""
KEPT: Final = Prepared(
    sa.select(_m.uid, _m.content_id, _m.flags, _m.octets).where(_kept).order_by(_m.uid), "mailbox", "bit"
)
OLD: Final = Prepared(
    sa.select(_m.uid, _m.content_id, _m.flags, _m.octets)
    .where(_kept, _m.saved_date < b("before"))
    .order_by(_m.uid)
    .limit(b("limit")),
    "mailbox", "bit", "before", "limit",
)  # fmt: skip
