"""Domains, accounts, aliases."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared
from services.store.sql.schema import account, alias, domain, mailbox, scram

_a = account.c

DOMAIN: Final = Prepared(sa.select(domain.c.id, domain.c.created_at).where(domain.c.name == b("name")), "name")
INSERT_DOMAIN: Final = Prepared(domain.insert(), "name", "created_at", "alias_of")
_target = domain.alias("target")
_with_target = domain.outerjoin(_target, _target.c.id == domain.c.alias_of)
STANDS_FOR: Final = Prepared(
    sa.select(sa.func.coalesce(_target.c.name, domain.c.name))
    .select_from(_with_target)
    .where(domain.c.name == b("name")),
    "name",
)
DOMAIN_ALIASES: Final = Prepared(
    sa.select(domain.c.name).where(domain.c.alias_of == b("id")).order_by(domain.c.name), "id"
)
DELETE_DOMAIN: Final = Prepared(sa.delete(domain).where(domain.c.id == b("id")), "id")
_accounts = sa.select(sa.func.count()).where(_a.domain_id == domain.c.id).scalar_subquery()
_aliases = (
    sa.select(sa.func.count(alias.c.address.distinct())).where(alias.c.domain_id == domain.c.id).scalar_subquery()
)
DOMAINS: Final = Prepared(
    sa.select(domain.c.name, _accounts, _aliases, sa.func.coalesce(_target.c.name, sa.literal_column("''")))
    .select_from(_with_target)
    .order_by(domain.c.name)
)
DOMAIN_USE: Final = Prepared(sa.select(_accounts, _aliases).select_from(domain).where(domain.c.id == b("id")), "id")

ACCOUNT: Final = Prepared(
    sa.select(_a.id, _a.password_hash, _a.created_at).where(_a.address == b("address")), "address"
)
CREDENTIALS: Final = Prepared(
    sa.select(
        _a.id, _a.password_hash, scram.c.salt, scram.c.iterations, scram.c.stored_key, scram.c.server_key
    )
    .select_from(account.outerjoin(scram, scram.c.account_id == _a.id))
    .where(_a.address == b("address")),
    "address",
)
DELETE_SCRAM: Final = Prepared(sa.delete(scram).where(scram.c.account_id == b("account")), "account")
INSERT_SCRAM: Final = Prepared(scram.insert(), "account_id", "salt", "iterations", "stored_key", "server_key")
ACCOUNT_ID: Final = Prepared(sa.select(_a.id).where(_a.address == b("address")), "address")
ACCOUNT_ADDRESS: Final = Prepared(sa.select(_a.address).where(_a.id == b("id")), "id")
ACCOUNT_IDS: Final = Prepared(sa.select(_a.id, _a.address))
INSERT_ACCOUNT: Final = Prepared(account.insert(), "domain_id", "address", "password_hash", "created_at")
SET_PASSWORD: Final = Prepared(
    sa.update(account).where(_a.id == b("account")).values(password_hash=b("new_hash")), "new_hash", "account"
)
DELETE_ACCOUNT: Final = Prepared(sa.delete(account).where(_a.id == b("id")), "id")
_zero: sa.ColumnElement[int] = sa.literal_column("0")
ACCOUNTS: Final = Prepared(
    sa.select(_a.id, _a.address, _a.messages, _a.octets, _a.created_at)
    .where(_a.address > b("after"))
    .order_by(_a.address)
    .limit(b("limit")),
    "after",
    "limit",
)

COUNT_MAILBOXES: Final = Prepared(
    sa.update(account).where(_a.id == b("account")).values(mailboxes=_a.mailboxes + b("more")), "more", "account"
)
MAILBOXES: Final = Prepared(sa.select(_a.mailboxes).where(_a.id == b("account")), "account")
ADD_USAGE: Final = Prepared(
    sa.update(account)
    .where(_a.id == b("account"))
    .values(messages=_a.messages + b("more_messages"), octets=_a.octets + b("more_octets")),
    "more_messages", "more_octets", "account",
)  # fmt: skip
_usage = (_a.address, _a.messages, _a.octets, _a.quota_messages, _a.quota_octets)
USAGE: Final = Prepared(sa.select(*_usage).where(_a.id == b("account")), "account")
USAGES: Final = Prepared(
    sa.select(*_usage).where(_a.address > b("after")).order_by(_a.address).limit(b("limit")), "after", "limit"
)
LIMITED: Final = Prepared(
    sa.select(_a.id, *_usage).where(sa.or_(_a.quota_messages.is_not(None), _a.quota_octets.is_not(None)))
)
SET_QUOTA: Final = Prepared(
    sa.update(account)
    .where(_a.id == b("account"))
    .values(quota_messages=b("most_messages"), quota_octets=b("most_octets")),
    "most_messages", "most_octets", "account",
)  # fmt: skip
COUNTED: Final = Prepared(
    sa.select(
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(mailbox.c.messages), _zero),
        sa.func.coalesce(sa.func.sum(mailbox.c.octets), _zero),
    ).where(mailbox.c.account_id == b("account")),
    "account",
)
SET_USAGE: Final = Prepared(
    sa.update(account)
    .where(_a.id == b("account"))
    .values(mailboxes=b("new_mailboxes"), messages=b("new_messages"), octets=b("new_octets")),
    "new_mailboxes", "new_messages", "new_octets", "account",
)  # fmt: skip

TARGETS: Final = Prepared(
    sa.select(alias.c.target).where(alias.c.address == b("address")).order_by(alias.c.target), "address"
)
LEADING_TO: Final = Prepared(
    sa.select(alias.c.address).distinct().where(alias.c.target.like(b("pattern"))).order_by(alias.c.address), "pattern"
)
INSERT_ALIAS: Final = Prepared(alias.insert(), "address", "target", "domain_id")
DELETE_TARGET: Final = Prepared(
    sa.delete(alias).where(alias.c.address == b("address"), alias.c.target == b("target")), "address", "target"
)
DELETE_ALIAS: Final = Prepared(sa.delete(alias).where(alias.c.address == b("address")), "address")
ALIASES: Final = Prepared(
    sa.select(alias.c.address, alias.c.target)
    .where(alias.c.address > b("after"))
    .order_by(alias.c.address, alias.c.target)
    .limit(b("limit")),
    "after",
    "limit",
)

TOTALS: Final = Prepared(
    sa.select(
        sa.select(sa.func.count()).select_from(domain).scalar_subquery(),
        sa.select(sa.func.count()).select_from(account).scalar_subquery(),
        sa.select(sa.func.coalesce(sa.func.sum(_a.messages), _zero)).scalar_subquery(),
        sa.select(sa.func.coalesce(sa.func.sum(_a.octets), _zero)).scalar_subquery(),
    )
)
