"""Rules of retention, and what they let go. Nothing here walks more than one mailbox."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared, PreparedIn
from services.store.sql.schema import account, mailbox, message, retention

_r = retention.c
_m = message.c
_nothing: sa.ColumnElement[str] = sa.literal_column("''")
_zero: sa.ColumnElement[int] = sa.literal_column("0")

RULES: Final = Prepared(
    sa.select(_r.account_id, _r.mailbox, _r.days, _r.messages, _r.downloaded_days, sa.func.coalesce(account.c.address, _nothing))
    .join_from(retention, account, account.c.id == _r.account_id, isouter=True)
    .order_by(_r.account_id, _r.mailbox)
)
COUNT: Final = Prepared(sa.select(sa.func.count()).select_from(retention))
INSERT: Final = Prepared(retention.insert(), "account_id", "mailbox", "days", "messages", "downloaded_days")
_its = sa.and_(_r.account_id == b("account"), _r.mailbox == b("name"))
DELETE: Final = Prepared(sa.delete(retention).where(_its), "account", "name")
DELETE_ACCOUNT: Final = Prepared(sa.delete(retention).where(_r.account_id == b("account")), "account")
AT_AND_BELOW: Final = Prepared(
    sa.select(_r.mailbox).where(
        _r.account_id == b("account"),
        sa.or_(_r.mailbox == b("name"), sa.and_(_r.mailbox > b("low"), _r.mailbox < b("high"))),
    ),
    "account",
    "name",
    "low",
    "high",
)
RENAME: Final = Prepared(sa.update(retention).where(_its).values(mailbox=b("new_name")), "new_name", "account", "name")

MAILBOXES: Final = Prepared(
    sa.select(mailbox.c.id, mailbox.c.account_id, mailbox.c.name, mailbox.c.messages, mailbox.c.uidvalidity, account.c.address)
    .join_from(mailbox, account, account.c.id == mailbox.c.account_id)
    .where(mailbox.c.id > b("after"))
    .order_by(mailbox.c.id)
    .limit(b("limit")),
    "after",
    "limit",
)
USES: Final = Prepared(
    sa.select(mailbox.c.name, mailbox.c.special_use).where(
        mailbox.c.account_id == b("account"), mailbox.c.special_use != _nothing
    ),
    "account",
)

CUT: Final = Prepared(
    sa.select(_m.uid).where(_m.mailbox_id == b("mailbox")).order_by(_m.uid).limit(b("one")).offset(b("skip")),
    "mailbox",
    "one",
    "skip",
)
_due = sa.and_(_m.mailbox_id == b("mailbox"), sa.or_(_m.saved_date < b("before"), _m.uid <= b("cut")))
_sums = sa.select(
    sa.func.count(),
    sa.func.coalesce(sa.func.sum(_m.octets), _zero),
    sa.func.min(_m.saved_date),
    sa.func.max(_m.saved_date),
)
DUE: Final = Prepared(_sums.where(_due), "mailbox", "before", "cut")
ONLY_BETWEEN: Final = Prepared(
    _sums.where(
        _m.mailbox_id == b("mailbox"),
        _m.uid >= b("first"),
        _m.uid <= b("last"),
        _m.saved_date >= b("before"),
        _m.uid > b("cut"),
    ),
    "mailbox",
    "first",
    "last",
    "before",
    "cut",
)
"""What lies in a range and is not in DUE."""
DUE_UIDS: Final = Prepared(
    sa.select(_m.uid).where(_due).order_by(_m.uid).limit(b("limit")), "mailbox", "before", "cut", "limit"
)
EXPIRING: Final = PreparedIn(
    lambda uids: (
        sa.select(_m.uid, _m.content_id, _m.flags, _m.octets, _m.saved_date).where(
            _m.mailbox_id == b("mailbox"), _m.uid.in_(uids)
        )
    ),
    "mailbox",
)
