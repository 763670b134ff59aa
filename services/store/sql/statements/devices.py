"""App passwords of devices."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared
from services.store.sql.schema import device

_d = device.c

OF_ACCOUNT: Final = Prepared(
    sa.select(
        _d.id, _d.name, _d.digest, _d.uses, _d.networks, _d.recipients, _d.salt, _d.iterations, _d.stored_key,
        _d.server_key,
    )
    .where(_d.account_id == b("account"))
    .order_by(_d.id),
    "account",
)
LISTED: Final = Prepared(
    sa.select(
        _d.id, _d.name, _d.uses, _d.networks, _d.recipients, _d.created_at, _d.last_used_at, _d.last_used_from, _d.last_used_by
    )
    .where(_d.account_id == b("account"))
    .order_by(_d.name_key),
    "account",
)
IDS: Final = Prepared(sa.select(_d.id))
IDS_OF: Final = Prepared(sa.select(_d.id).where(_d.account_id == b("account")), "account")
NAMED: Final = Prepared(
    sa.select(_d.id).where(_d.account_id == b("account"), _d.name_key == b("key")), "account", "key"
)
INSERT: Final = Prepared(
    device.insert(),
    "account_id", "name", "name_key", "digest", "uses", "networks", "created_at", "last_used_from", "last_used_by",
    "salt", "iterations", "stored_key", "server_key", "recipients",
)  # fmt: skip
RECIPIENTS: Final = Prepared(sa.select(_d.recipients).where(_d.id == b("id")), "id")
DELETE: Final = Prepared(sa.delete(device).where(_d.id == b("id")), "id")
DELETE_ALL: Final = Prepared(sa.delete(device).where(_d.account_id == b("account")), "account")
USED: Final = Prepared(
    sa.update(device)
    .where(_d.id == b("which"), sa.or_(_d.last_used_at.is_(None), _d.last_used_at < b("before")))
    .values(last_used_at=b("at"), last_used_from=b("client"), last_used_by=b("service")),
    "at", "client", "service", "which", "before",
)  # fmt: skip
