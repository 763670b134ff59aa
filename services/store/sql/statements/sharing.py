"""Rights of others on mailboxes, and what is shared with an account."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared, PreparedIn
from services.store.sql.schema import account, acl, mailbox, subscription

_a = acl.c
_m = mailbox.c
_zero: sa.ColumnElement[int] = sa.literal_column("0")

ENTRIES_FOR: Final = Prepared(
    sa.select(_a.negative, _a.rights).where(_a.mailbox_id == b("mailbox"), _a.grantee.in_([_zero, b("grantee")])),
    "mailbox",
    "grantee",
)
"""What concerns one account: its own entries and those of anyone."""
GUESTS: Final = PreparedIn(
    lambda ids: sa.select(_a.mailbox_id, _a.grantee).where(_a.negative == _zero, _a.mailbox_id.in_(ids))
)
ENTRIES: Final = Prepared(
    sa.select(_a.grantee, _a.negative, _a.rights, account.c.address)
    .join_from(acl, account, account.c.id == _a.grantee, isouter=True)
    .where(_a.mailbox_id == b("mailbox"))
    .order_by(account.c.address, _a.negative),
    "mailbox",
)
ENTRY: Final = Prepared(
    sa.select(_a.rights).where(
        _a.mailbox_id == b("mailbox"), _a.grantee == b("grantee"), _a.negative == b("negative")
    ),
    "mailbox", "grantee", "negative",
)  # fmt: skip
COUNT: Final = Prepared(sa.select(sa.func.count()).select_from(acl).where(_a.mailbox_id == b("mailbox")), "mailbox")
INSERT: Final = Prepared(acl.insert(), "mailbox_id", "grantee", "negative", "rights")
DELETE: Final = Prepared(
    sa.delete(acl).where(_a.mailbox_id == b("mailbox"), _a.grantee == b("grantee"), _a.negative == b("negative")),
    "mailbox", "grantee", "negative",
)  # fmt: skip
DELETE_MAILBOX: Final = Prepared(sa.delete(acl).where(_a.mailbox_id == b("mailbox")), "mailbox")
DELETE_GRANTEE: Final = Prepared(sa.delete(acl).where(_a.grantee == b("grantee")), "grantee")
INHERIT: Final = Prepared(
    acl.insert().from_select(
        ["mailbox_id", "grantee", "negative", "rights"],
        sa.select(b("child"), _a.grantee, _a.negative, _a.rights).where(_a.mailbox_id == b("parent")),
    ),
    "child",
    "parent",
)
RAISE_VERSION: Final = Prepared(
    sa.update(mailbox).where(_m.id == b("at")).values(acl_version=_m.acl_version + sa.literal_column("1")), "at"
)

_full_name: sa.ColumnElement[str] = sa.literal_column("'shared/'") + account.c.address + sa.literal_column("'/'") + _m.name
_subscribed = (
    sa.select(subscription.c.name)
    .where(subscription.c.account_id == b("me"), subscription.c.name == _full_name)
    .exists()
)
_one: sa.ColumnElement[int] = sa.literal_column("1")
_lookup = sa.and_(_a.grantee.in_([_zero, b("me")]), _a.rights.op("&")(_one) != _zero)
_seen = sa.and_(
    _m.id.in_(sa.select(_a.mailbox_id).where(_lookup, _a.negative == _zero)),
    _m.id.not_in(sa.select(_a.mailbox_id).where(_lookup, _a.negative == _one)),
)
"""RFC 4314 §2: given and not denied the right to see it."""
CHILD_SHARED: Final = Prepared(
    sa.select(_m.id)
    .where(_m.account_id == b("owner"), _m.name > b("low"), _m.name < b("high"), _seen)
    .limit(b("one")),
    "owner", "low", "high", "me", "one",
)  # fmt: skip
SHARED_WITH: Final = Prepared(
    sa.select(_m.id, account.c.address, _m.name, _subscribed, _m.uidvalidity, _m.account_id)
    .join_from(mailbox, account, account.c.id == _m.account_id)
    .where(
        _seen,
        _m.account_id != b("me"),
        sa.tuple_(account.c.address, _m.name) > sa.tuple_(b("after_owner"), b("after_name")),
    )
    .order_by(account.c.address, _m.name)
    .limit(b("limit")),
    "me", "after_owner", "after_name", "limit",
)  # fmt: skip
"""Mailboxes of others that an account may see."""
_counters = (
    sa.select(
        _m.id, account.c.address, _m.name, _subscribed, _m.uidvalidity, _m.uid_next, _m.highest_modseq, _m.messages,
        _m.unseen, _m.account_id,
    )
    .join_from(mailbox, account, account.c.id == _m.account_id)
    .where(_seen, _m.account_id != b("me"))
)  # fmt: skip
COUNTERS: Final = Prepared(
    _counters.where(sa.tuple_(account.c.address, _m.name) > sa.tuple_(b("after_owner"), b("after_name")))
    .order_by(account.c.address, _m.name)
    .limit(b("limit")),
    "me", "after_owner", "after_name", "limit",
)  # fmt: skip
"""``mailboxes.COUNTERS`` of those."""
COUNTERS_OF: Final = PreparedIn(lambda ids: _counters.where(_m.id.in_(ids)), "me")
