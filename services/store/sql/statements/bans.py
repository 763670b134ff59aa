"""Bans of logins, and where accounts logged in from."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared
from services.store.sql.schema import account, ban, known_address

_b = ban.c
_k = known_address.c

_COLUMNS: Final = ("kind", "subject", "since", "until", "failures", "times", "tried", "manual")
ALL: Final = Prepared(sa.select(*(_b[name] for name in _COLUMNS)))
INSERT: Final = Prepared(ban.insert(), *_COLUMNS)
DELETE: Final = Prepared(
    sa.delete(ban).where(_b.kind == b("of_kind"), _b.subject == b("of_subject")), "of_kind", "of_subject"
)
ALL_KNOWN: Final = Prepared(
    sa.select(account.c.address, _k.client, _k.seen_at).join_from(known_address, account, account.c.id == _k.account_id)
)
INSERT_KNOWN: Final = Prepared(known_address.insert(), "account_id", "client", "seen_at")
DELETE_KNOWN: Final = Prepared(
    sa.delete(known_address).where(_k.account_id == b("account"), _k.client == b("address")), "account", "address"
)
FORGET_KNOWN: Final = Prepared(sa.delete(known_address).where(_k.seen_at < b("before")), "before")
DELETE_ACCOUNT: Final = Prepared(sa.delete(known_address).where(_k.account_id == b("account")), "account")
