"""Annotations of mailboxes and of the server."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared
from services.store.sql.schema import annotation

_a = annotation.c
_whose = sa.and_(_a.mailbox_id == b("mailbox"), _a.account_id == b("account"))

OF: Final = Prepared(sa.select(_a.name, _a.value).where(_whose).order_by(_a.name), "mailbox", "account")
SIZES: Final = Prepared(sa.select(_a.name, sa.func.length(_a.value)).where(_whose), "mailbox", "account")
INSERT: Final = Prepared(annotation.insert(), "mailbox_id", "account_id", "name", "value")
DELETE: Final = Prepared(sa.delete(annotation).where(_whose, _a.name == b("entry")), "mailbox", "account", "entry")
COPY: Final = Prepared(
    annotation.insert().from_select(
        ["mailbox_id", "account_id", "name", "value"],
        sa.select(b("target"), _a.account_id, _a.name, _a.value).where(_a.mailbox_id == b("mailbox")),
    ),
    "target",
    "mailbox",
)
DELETE_MAILBOX: Final = Prepared(sa.delete(annotation).where(_a.mailbox_id == b("mailbox")), "mailbox")
DELETE_ACCOUNT: Final = Prepared(sa.delete(annotation).where(_a.account_id == b("account")), "account")
