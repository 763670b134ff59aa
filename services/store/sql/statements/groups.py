"""Who may post to aliases."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared, PreparedIn
from services.store.sql.schema import alias_posting

_p = alias_posting.c

POSTING: Final = Prepared(sa.select(_p.posting, _p.owners).where(_p.address == b("address")), "address")
POSTINGS: Final = PreparedIn(lambda addresses: sa.select(_p.address, _p.posting, _p.owners).where(_p.address.in_(addresses)))
INSERT: Final = Prepared(alias_posting.insert(), "address", "posting", "owners")
DELETE: Final = Prepared(sa.delete(alias_posting).where(_p.address == b("address")), "address")
