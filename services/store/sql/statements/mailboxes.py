"""Mailboxes, their counters, keywords and subscriptions."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared, PreparedIn
from services.store.sql.schema import keyword, mailbox, message, subscription, tombstone

_m = mailbox.c
_COLUMNS: Final = (
    _m.id,
    _m.account_id,
    _m.name,
    _m.special_use,
    _m.uidvalidity,
    _m.uid_next,
    _m.highest_modseq,
    _m.first_recent_uid,
    _m.messages,
    _m.unseen,
    _m.deleted,
    _m.octets,
    _m.tombstone_floor,
    _m.acl_version,
)
MAILBOX_COLUMNS: Final = tuple(column.name for column in _COLUMNS)

BY_ID: Final = Prepared(sa.select(*_COLUMNS).where(_m.id == b("id")), "id")
BY_NAME: Final = Prepared(
    sa.select(*_COLUMNS).where(_m.account_id == b("account"), _m.name == b("name")), "account", "name"
)
ID_BY_NAME: Final = Prepared(
    sa.select(_m.id).where(_m.account_id == b("account"), _m.name == b("name")), "account", "name"
)
OWNER: Final = Prepared(sa.select(_m.account_id).where(_m.id == b("id")), "id")
OF_ACCOUNT: Final = Prepared(sa.select(_m.id).where(_m.account_id == b("account")), "account")

_subscribed = (
    sa.select(subscription.c.name)
    .where(subscription.c.account_id == _m.account_id, subscription.c.name == _m.name)
    .exists()
)
_child = mailbox.alias("child")
# "/" is followed by "0"
_has_children = (
    sa.select(_child.c.id)
    .where(
        _child.c.account_id == _m.account_id,
        _child.c.name > _m.name + sa.literal_column("'/'"),
        _child.c.name < _m.name + sa.literal_column("'0'"),
    )
    .exists()
)
_LISTED: Final = (_m.id, _m.name, _m.special_use, _subscribed, _m.uidvalidity, _has_children)
LIST: Final = Prepared(
    sa.select(*_LISTED).where(_m.account_id == b("account"), _m.name > b("after")).order_by(_m.name).limit(b("limit")),
    "account",
    "after",
    "limit",
)
LIST_SPECIAL_USE: Final = Prepared(
    sa.select(*_LISTED)
    .where(_m.account_id == b("account"), _m.name > b("after"), _m.special_use != sa.literal_column("''"))
    .order_by(_m.name)
    .limit(b("limit")),
    "account",
    "after",
    "limit",
)
HAS_CHILDREN: Final = Prepared(sa.select(_has_children).where(_m.id == b("id")), "id")
BELOW: Final = Prepared(
    sa.select(_m.id, _m.name)
    .where(_m.account_id == b("account"), _m.name > b("low"), _m.name < b("high"))
    .order_by(_m.name),
    "account",
    "low",
    "high",
)
_counters = sa.select(
    _m.id, _m.name, _m.special_use, _subscribed, _m.uidvalidity, _m.uid_next, _m.highest_modseq, _m.messages, _m.unseen
)
COUNTERS: Final = Prepared(
    _counters.where(_m.account_id == b("account"), _m.name > b("after")).order_by(_m.name).limit(b("limit")),
    "account",
    "after",
    "limit",
)
COUNTERS_OF: Final = PreparedIn(
    lambda ids: _counters.where(_m.account_id == b("account"), _m.id.in_(ids)), "account"
)
ANY_BELOW: Final = Prepared(
    sa.select(_m.id)
    .where(_m.account_id == b("account"), _m.name > b("low"), _m.name < b("high"))
    .limit(b("one")),
    "account", "low", "high", "one",
)  # fmt: skip
INSERT: Final = Prepared(
    mailbox.insert(), "account_id", "name", "special_use", "uidvalidity", "uid_next", "highest_modseq",
    "first_recent_uid", "messages", "unseen", "deleted", "octets", "tombstone_floor",
)  # fmt: skip
UPDATE_STATE: Final = Prepared(
    sa.update(mailbox)
    .where(_m.id == b("mailbox"))
    .values(
        uid_next=b("new_uid_next"),
        highest_modseq=b("new_modseq"),
        first_recent_uid=b("new_recent"),
        messages=b("new_messages"),
        unseen=b("new_unseen"),
        deleted=b("new_deleted"),
        octets=b("new_octets"),
    ),
    "new_uid_next", "new_modseq", "new_recent", "new_messages", "new_unseen", "new_deleted", "new_octets", "mailbox",
)  # fmt: skip
SET_UIDVALIDITY: Final = Prepared(
    sa.update(mailbox).where(_m.id == b("mailbox")).values(uidvalidity=b("new_uidvalidity")),
    "new_uidvalidity",
    "mailbox",
)
RENAME: Final = Prepared(
    sa.update(mailbox).where(_m.id == b("mailbox")).values(name=b("new_name")), "new_name", "mailbox"
)
CLEAR_SPECIAL_USE: Final = Prepared(
    sa.update(mailbox)
    .where(_m.account_id == b("account"), _m.special_use == b("use"))
    .values(special_use=sa.literal_column("''")),
    "account",
    "use",
)
DELETE: Final = Prepared(sa.delete(mailbox).where(_m.id == b("mailbox")), "mailbox")
DELETE_MESSAGES: Final = Prepared(sa.delete(message).where(message.c.mailbox_id == b("mailbox")), "mailbox")
DELETE_TOMBSTONES: Final = Prepared(sa.delete(tombstone).where(tombstone.c.mailbox_id == b("mailbox")), "mailbox")
DELETE_KEYWORDS: Final = Prepared(sa.delete(keyword).where(keyword.c.mailbox_id == b("mailbox")), "mailbox")

SET_FLOOR: Final = Prepared(
    sa.update(mailbox).where(_m.id == b("mailbox")).values(tombstone_floor=b("new_floor")), "new_floor", "mailbox"
)

KEYWORDS: Final = Prepared(
    sa.select(keyword.c.name).where(keyword.c.mailbox_id == b("mailbox")).order_by(keyword.c.slot), "mailbox"
)
INSERT_KEYWORD: Final = Prepared(keyword.insert(), "mailbox_id", "slot", "name")

WITH_SPECIAL_USE: Final = Prepared(
    sa.select(mailbox.c.id).where(mailbox.c.account_id == b("account"), mailbox.c.special_use == b("special_use")),
    "account",
    "special_use",
)
SUBSCRIBED: Final = Prepared(
    sa.select(subscription.c.name)
    .where(subscription.c.account_id == b("account"), subscription.c.name == b("name")),
    "account",
    "name",
)  # fmt: skip
SUBSCRIBE: Final = Prepared(subscription.insert(), "account_id", "name")
UNSUBSCRIBE: Final = Prepared(
    sa.delete(subscription).where(subscription.c.account_id == b("account"), subscription.c.name == b("name")),
    "account",
    "name",
)
UNSUBSCRIBE_ALL: Final = Prepared(sa.delete(subscription).where(subscription.c.account_id == b("account")), "account")
SUBSCRIPTIONS_COUNT: Final = Prepared(
    sa.select(sa.func.count()).select_from(subscription).where(subscription.c.account_id == b("account")), "account"
)
_exists = (
    sa.select(_m.id).where(_m.account_id == subscription.c.account_id, _m.name == subscription.c.name).exists()
)
SUBSCRIBED_ONLY: Final = Prepared(
    sa.select(subscription.c.name)
    .where(subscription.c.account_id == b("account"), subscription.c.name > b("after"), ~_exists)
    .order_by(subscription.c.name)
    .limit(b("limit")),
    "account",
    "after",
    "limit",
)
LIST_SUBSCRIBED: Final = Prepared(
    sa.select(_m.id, subscription.c.name, _m.special_use, sa.literal_column("1"), _m.uidvalidity, _has_children)
    .join_from(
        subscription,
        mailbox,
        sa.and_(_m.account_id == subscription.c.account_id, _m.name == subscription.c.name),
        isouter=True,
    )
    .where(subscription.c.account_id == b("account"), subscription.c.name > b("after"))
    .order_by(subscription.c.name)
    .limit(b("limit")),
    "account",
    "after",
    "limit",
)
