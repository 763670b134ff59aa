"""Which messages were changed with which modseqs."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared
from services.store.sql.schema import change_set

_c = change_set.c
_between = sa.and_(_c.mailbox_id == b("mailbox"), _c.modseq >= b("start"), _c.modseq < b("end"))

INSERT: Final = Prepared(change_set.insert(), "mailbox_id", "modseq", "uids")
SINCE: Final = Prepared(
    sa.select(_c.uids).where(_c.mailbox_id == b("mailbox"), _c.modseq > b("since")), "mailbox", "since"
)
BETWEEN: Final = Prepared(
    sa.select(_c.modseq, _c.uids).where(_between).order_by(_c.modseq), "mailbox", "start", "end"
)
DELETE_BETWEEN: Final = Prepared(sa.delete(change_set).where(_between), "mailbox", "start", "end")
DELETE_MAILBOX: Final = Prepared(sa.delete(change_set).where(_c.mailbox_id == b("mailbox")), "mailbox")
