"""The keys of DKIM."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared
from services.store.sql.schema import dkim_key, domain

_k = dkim_key.c
INSERT: Final = Prepared(
    dkim_key.insert(),
    "domain_id",
    "selector",
    "algorithm",
    "state",
    "private_key",
    "public_key",
    "created_at",
)
OF_DOMAIN: Final = Prepared(
    sa.select(_k.selector, _k.algorithm, _k.state, _k.public_key)
    .where(_k.domain_id == b("domain"))
    .order_by(_k.created_at, _k.selector),
    "domain",
)
SIGNING: Final = Prepared(
    sa.select(_k.selector, _k.algorithm, _k.private_key)
    .join_from(dkim_key, domain, domain.c.id == _k.domain_id)
    .where(domain.c.name == b("name"), _k.state == b("state"))
    .order_by(_k.algorithm.desc()),
    "name",
    "state",
)
RETIRE: Final = Prepared(
    sa.update(dkim_key)
    .where(_k.domain_id == b("domain"), _k.state == b("was"))
    .values(state=b("new_state"), private_key=b("nothing")),
    "new_state",
    "nothing",
    "domain",
    "was",
)
SET_STATE: Final = Prepared(
    sa.update(dkim_key).where(_k.domain_id == b("domain"), _k.state == b("was")).values(state=b("new_state")),
    "new_state",
    "domain",
    "was",
)
DELETE_STATE: Final = Prepared(
    sa.delete(dkim_key).where(_k.domain_id == b("domain"), _k.state == b("was")), "domain", "was"
)
DELETE_ALL: Final = Prepared(sa.delete(dkim_key).where(_k.domain_id == b("domain")), "domain")
