"""Domains, accounts, aliases."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared
from services.store.sql.schema import account, alias, domain, scram

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
ACCOUNT_DOMAINS: Final = Prepared(sa.select(_a.id, _a.domain_id))
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
