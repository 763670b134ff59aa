"""Views of devices by POP3, and what POP3 does for an account."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared
from services.store.sql.schema import account, mailbox, message, pop3_setting, pop3_view

_v = pop3_view.c
_s = pop3_setting.c
_m = message.c
_its = sa.and_(_v.mailbox_id == b("mailbox"), _v.device_id == b("device"))
_zero: sa.ColumnElement[int] = sa.literal_column("0")

_columns = (_v.uidvalidity, _v.hidden, _v.fetched, _v.repeats, _v.tidy_at)
VIEW: Final = Prepared(sa.select(*_columns).where(_its), "mailbox", "device")
VIEWS: Final = Prepared(sa.select(_v.device_id, *_columns).where(_v.mailbox_id == b("mailbox")), "mailbox")
INSERT: Final = Prepared(
    pop3_view.insert(),
    "mailbox_id", "device_id", "uidvalidity", "hidden", "fetched", "hidden_since", "repeats", "tidy_at",
)  # fmt: skip
DELETE: Final = Prepared(sa.delete(pop3_view).where(_its), "mailbox", "device")
DELETE_DEVICE: Final = Prepared(sa.delete(pop3_view).where(_v.device_id == b("device")), "device")
DELETE_MAILBOX: Final = Prepared(sa.delete(pop3_view).where(_v.mailbox_id == b("mailbox")), "mailbox")

FETCHED: Final = Prepared(
    sa.select(_v.fetched).where(_v.mailbox_id == b("mailbox"), _v.uidvalidity == b("uidvalidity")),
    "mailbox",
    "uidvalidity",
)
HIDDEN: Final = Prepared(
    sa.select(_v.hidden).where(_v.mailbox_id == b("mailbox"), _v.uidvalidity == b("uidvalidity")),
    "mailbox",
    "uidvalidity",
)
HIDING: Final = Prepared(
    sa.select(_v.mailbox_id, mailbox.c.account_id, sa.func.min(_v.hidden_since), _s.dele, _s.keep_days)
    .select_from(
        pop3_view.join(mailbox, mailbox.c.id == _v.mailbox_id).outerjoin(
            pop3_setting, _s.account_id == mailbox.c.account_id
        )
    )
    .where(_v.hidden_since > _zero, _v.mailbox_id > b("after"))
    .group_by(_v.mailbox_id, mailbox.c.account_id, _s.dele, _s.keep_days)
    .order_by(_v.mailbox_id)
    .limit(b("limit")),
    "after",
    "limit",
)
"""Mailboxes in which devices hide something, since which day, and what the account says."""
UIDS_BETWEEN: Final = Prepared(
    sa.select(_m.uid)
    .where(_m.mailbox_id == b("mailbox"), _m.uid >= b("first"), _m.uid <= b("last"))
    .order_by(_m.uid)
    .limit(b("limit")),
    "mailbox", "first", "last", "limit",
)  # fmt: skip

SETTING: Final = Prepared(
    sa.select(account.c.address, _s.dele, _s.keep_days)
    .select_from(account.outerjoin(pop3_setting, _s.account_id == account.c.id))
    .where(account.c.id == b("account")),
    "account",
)
"""One row per account that is there; NULLs where it has no settings of its own."""
INSERT_SETTING: Final = Prepared(pop3_setting.insert(), "account_id", "dele", "keep_days")
DELETE_SETTING: Final = Prepared(sa.delete(pop3_setting).where(_s.account_id == b("account")), "account")
