"""Messages and mailboxes that went, and the rows of the journal that can be undone."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared, PreparedIn
from services.store.sql.schema import buried, buried_mailbox, content, content_index, journal, mailbox, message

_m = message.c
_b = buried.c
_g = buried_mailbox.c
_j = journal.c
_zero: sa.ColumnElement[int] = sa.literal_column("0")
_KEPT: Final = (
    "mailbox_id", "uid", "content_id", "flags", "octets", "header_octets", "internal_date", "saved_date", "email_id", "thread_id",
    "uidl",
)  # fmt: skip
_TO: Final = [*_KEPT, "gone_at", "next_mailbox", "next_uid"]
_kept = [_m[name] for name in _KEPT]

# --- what goes ---

BURY: Final = PreparedIn(
    lambda uids: buried.insert().from_select(
        _TO, sa.select(*_kept, b("now"), sa.null(), sa.null()).where(_m.mailbox_id == b("mailbox"), _m.uid.in_(uids))
    ),
    "now",
    "mailbox",
)
BURY_ALL: Final = Prepared(
    buried.insert().from_select(
        _TO, sa.select(*_kept, b("now"), sa.null(), sa.null()).where(_m.mailbox_id == b("mailbox"))
    ),
    "now",
    "mailbox",
)
BURY_MOVED: Final = PreparedIn(
    lambda uids: buried.insert().from_select(
        _TO,
        sa.select(
            *_kept, b("now"), b("target"), b("before_first") + sa.func.row_number().over(order_by=_m.uid)
        ).where(_m.mailbox_id == b("mailbox"), _m.uid.in_(uids)),
    ),
    "now",
    "target",
    "before_first",
    "mailbox",
)
"""Their new UIDs follow each other, in the order of the old ones."""
BURY_MAILBOX: Final = Prepared(
    buried_mailbox.insert(), "mailbox_id", "account_id", "address", "name", "special_use", "keywords", "gone_at"
)

# --- what was ---

GONE_MAILBOXES: Final = Prepared(
    sa.select(_g.mailbox_id, _g.account_id, _g.name, _g.special_use, _g.gone_at).where(
        sa.or_(_g.account_id == b("account"), _g.address == b("address")), _g.gone_at > b("at")
    ),
    "account",
    "address",
    "at",
)
"""An account's, and those of removed ones that had its address."""
GONE_MAILBOX: Final = Prepared(
    sa.select(_g.account_id, _g.name, _g.special_use, _g.keywords, _g.address).where(_g.mailbox_id == b("mailbox")), "mailbox"
)
MAILBOXES: Final = Prepared(
    sa.select(mailbox.c.id, mailbox.c.name).where(mailbox.c.account_id == b("account")), "account"
)
_told = sa.or_(
    *(_j.what == sa.literal_column(f"'{what}'") for what in ("flags", "moved", "mailbox renamed", "brought back", "mailbox created"))
)
EVENTS: Final = Prepared(
    sa.select(_j.id, _j.at, _j.what, _j.mailbox_id, _j.uids, _j.detail)
    .where(_j.account_id == b("account"), _j.at > b("at"), _j.id > b("after"), _told)
    .order_by(_j.id)
    .limit(b("limit")),
    "account",
    "at",
    "after",
    "limit",
)
LOST: Final = Prepared(
    sa.select(_b.uid, _b.flags, _b.uidl, _b.content_id)
    .where(_b.mailbox_id == b("mailbox"), _b.gone_at > b("at"), _b.saved_date <= b("latest"))
    .order_by(_b.uid),
    "mailbox",
    "at",
    "latest",
)
BURIED_OF: Final = PreparedIn(
    lambda uids: (
        sa.select(
            _b.uid, _b.next_mailbox, _b.next_uid, _b.gone_at, _b.content_id, _b.octets, _b.header_octets, _b.internal_date,
            _b.email_id, _b.thread_id, _b.uidl, _b.flags,
        ).where(_b.mailbox_id == b("mailbox"), _b.uid.in_(uids))
    ),
    "mailbox",
)  # fmt: skip
LIVE_OF: Final = PreparedIn(
    lambda uids: sa.select(_m.uid, _m.flags, _m.saved_date).where(_m.mailbox_id == b("mailbox"), _m.uid.in_(uids)), "mailbox"
)
CAME_AFTER: Final = Prepared(
    sa.select(_m.uidl, _m.content_id).where(_m.mailbox_id == b("mailbox"), _m.saved_date >= b("since")), "mailbox", "since"
)
SUMMARIES: Final = PreparedIn(
    lambda uids: (
        sa.select(_b.uid, _b.internal_date, content_index.c.summary)
        .join_from(buried, content_index, content_index.c.content_id == _b.content_id)
        .where(_b.mailbox_id == b("mailbox"), _b.uid.in_(uids))
        .order_by(_b.uid)
    ),
    "mailbox",
)
CONTINUES: Final = Prepared(
    sa.update(buried)
    .where(_b.mailbox_id == b("mailbox"), _b.uid == b("old_uid"))
    .values(next_mailbox=b("target"), next_uid=b("target_uid")),
    "target",
    "target_uid",
    "mailbox",
    "old_uid",
)
"""What was dead has come back as another message."""

# --- what it takes, and how it ends ---

HELD: Final = Prepared(
    sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(content.c.length), _zero)).where(
        content.c.buried_at.is_not(None), content.c.refs == _zero
    )
)
ROWS: Final = Prepared(sa.select(sa.func.count()).select_from(buried))
EVENT_ROWS: Final = Prepared(sa.select(sa.func.count()).select_from(journal).where(_j.account_id.is_not(None)))
OLDEST: Final = Prepared(
    sa.select(_j.id, _j.at, _j.what, _j.mailbox_id, _j.uids, _j.detail)
    .where(_j.account_id.is_not(None), _j.id > b("after"))
    .order_by(_j.id)
    .limit(b("one")),
    "after",
    "one",
)
SETTLE: Final = Prepared(sa.update(journal).where(_j.id == b("journal")).values(account_id=sa.null()), "journal")
DROP_BETWEEN: Final = Prepared(
    sa.delete(buried).where(
        _b.mailbox_id == b("mailbox"),
        _b.uid.in_(
            sa.select(_b.uid)
            .where(_b.mailbox_id == b("of"), _b.uid >= b("low"), _b.uid <= b("high"))
            .order_by(_b.uid)
            .limit(b("limit"))
        ),
    ),
    "mailbox",
    "of",
    "low",
    "high",
    "limit",
)
DROP_MAILBOX: Final = Prepared(sa.delete(buried_mailbox).where(_g.mailbox_id == b("mailbox")), "mailbox")
DROP_ALL_OF: Final = Prepared(sa.delete(buried).where(_b.mailbox_id == b("mailbox")), "mailbox")
_due = (
    sa.select(content.c.id)
    .where(content.c.buried_at.is_not(None), content.c.buried_at < b("before"))
    .order_by(content.c.buried_at)
    .limit(b("limit"))
)
RELEASE: Final = Prepared(
    sa.update(content)
    .where(content.c.id.in_(_due))
    .values(
        buried_at=sa.null(),
        unreferenced_at=sa.case((content.c.refs == _zero, content.c.buried_at), else_=content.c.unreferenced_at),
    ),
    "before",
    "limit",
)
"""Contents that no message can come back to any more."""
WARNED_DAY: Final = Prepared(sa.select(mailbox.c.warned_day).where(mailbox.c.id == b("mailbox")), "mailbox")
SET_WARNED: Final = Prepared(
    sa.update(mailbox).where(mailbox.c.id == b("mailbox")).values(warned_day=b("day")), "day", "mailbox"
)
