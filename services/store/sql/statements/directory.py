"""Domains, accounts, aliases."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared
from services.store.sql.schema import account, alias, domain, mailbox

_a = account.c

DOMAIN: Final = Prepared(sa.select(domain.c.id, domain.c.created_at).where(domain.c.name == b("name")), "name")
INSERT_DOMAIN: Final = Prepared(domain.insert(), "name", "created_at")
DELETE_DOMAIN: Final = Prepared(sa.delete(domain).where(domain.c.id == b("id")), "id")
_accounts = sa.select(sa.func.count()).where(_a.domain_id == domain.c.id).scalar_subquery()
_aliases = (
    sa.select(sa.func.count(alias.c.address.distinct())).where(alias.c.domain_id == domain.c.id).scalar_subquery()
)
DOMAINS: Final = Prepared(sa.select(domain.c.name, _accounts, _aliases).order_by(domain.c.name))
DOMAIN_USE: Final = Prepared(sa.select(_accounts, _aliases).select_from(domain).where(domain.c.id == b("id")), "id")

ACCOUNT: Final = Prepared(
    sa.select(_a.id, _a.password_hash, _a.created_at).where(_a.address == b("address")), "address"
)
ACCOUNT_ID: Final = Prepared(sa.select(_a.id).where(_a.address == b("address")), "address")
ACCOUNT_ADDRESS: Final = Prepared(sa.select(_a.address).where(_a.id == b("id")), "id")
ACCOUNT_IDS: Final = Prepared(sa.select(_a.id, _a.address))
INSERT_ACCOUNT: Final = Prepared(account.insert(), "domain_id", "address", "password_hash", "created_at")
SET_PASSWORD: Final = Prepared(
    sa.update(account).where(_a.id == b("account")).values(password_hash=b("new_hash")), "new_hash", "account"
)
DELETE_ACCOUNT: Final = Prepared(sa.delete(account).where(_a.id == b("id")), "id")
_zero: sa.ColumnElement[int] = sa.literal_column("0")
_messages = sa.func.coalesce(
    sa.select(sa.func.sum(mailbox.c.messages)).where(mailbox.c.account_id == _a.id).scalar_subquery(), _zero
)
_octets = sa.func.coalesce(
    sa.select(sa.func.sum(mailbox.c.octets)).where(mailbox.c.account_id == _a.id).scalar_subquery(), _zero
)
ACCOUNTS: Final = Prepared(
    sa.select(_a.id, _a.address, _messages, _octets, _a.created_at)
    .where(_a.address > b("after"))
    .order_by(_a.address)
    .limit(b("limit")),
    "after",
    "limit",
)

TARGETS: Final = Prepared(
    sa.select(alias.c.target).where(alias.c.address == b("address")).order_by(alias.c.target), "address"
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
        sa.select(sa.func.coalesce(sa.func.sum(mailbox.c.messages), _zero)).scalar_subquery(),
        sa.select(sa.func.coalesce(sa.func.sum(mailbox.c.octets), _zero)).scalar_subquery(),
    )
)
