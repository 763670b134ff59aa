"""Contents: where they lie, who refers to them; packs and their dead octets."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared, PreparedIn
from services.store.sql.schema import content, content_index, pack

_c = content.c
_zero: sa.ColumnElement[int] = sa.literal_column("0")

BY_DIGEST: Final = PreparedIn(lambda digests: sa.select(_c.digest, _c.id).where(_c.digest.in_(digests)))
INSERT: Final = Prepared(content.insert(), "id", "digest", "pack", "offset", "length", "octets", "refs")
INSERT_INDEX: Final = Prepared(
    content_index.insert(), "content_id", "envelope", "bodystructure", "body", "parts", "summary"
)
ADD_REFS: Final = Prepared(
    sa.update(content)
    .where(_c.id == b("content"))
    .values(refs=_c.refs + b("more"), unreferenced_at=sa.null()),
    "more",
    "content",
)  # fmt: skip
_left = _c.refs - b("fewer")
# what a message was buried with stays until that is over
_last = sa.and_(_c.refs == b("fewer"), _c.buried_at.is_(None))
DROP_REFS: Final = Prepared(
    sa.update(content)
    .where(_c.id == b("content"))
    .values(refs=_left, unreferenced_at=sa.case((_last, b("now")), else_=_c.unreferenced_at)),
    "fewer",
    "now",
    "content",
)
BURY: Final = Prepared(
    sa.update(content)
    .where(_c.id == b("content"))
    .values(refs=_left, buried_at=b("now")),
    "fewer",
    "now",
    "content",
)
"""As DROP_REFS, for messages that may come back."""
UNREFERENCED: Final = Prepared(
    sa.select(_c.id, _c.pack, _c.length)
    .where(_c.unreferenced_at.is_not(None), _c.unreferenced_at < b("before"), _c.refs == _zero)
    .order_by(_c.unreferenced_at)
    .limit(b("limit")),
    "before",
    "limit",
)
DELETE_INDEXES: Final = PreparedIn(lambda ids: sa.delete(content_index).where(content_index.c.content_id.in_(ids)))
DELETE: Final = PreparedIn(lambda ids: sa.delete(content).where(_c.id.in_(ids)))
LOCATION: Final = Prepared(
    sa.select(_c.pack, _c.offset, _c.length, _c.octets).where(_c.id == b("content")), "content"
)
PLACES: Final = PreparedIn(lambda ids: sa.select(_c.id, _c.pack, _c.offset).where(_c.id.in_(ids)))
PLACES_OF_DIGESTS: Final = PreparedIn(
    lambda digests: sa.select(_c.id, _c.pack, _c.offset).where(_c.digest.in_(digests))
)
MOVE: Final = Prepared(
    sa.update(content).where(_c.id == b("content")).values(pack=b("new_pack"), offset=b("new_offset")),
    "new_pack", "new_offset", "content",
)  # fmt: skip
IN_PACK: Final = Prepared(
    sa.select(_c.id).where(_c.pack == b("pack"), _c.id > b("after"), _c.id <= b("last")).limit(b("one")),
    "pack", "after", "last", "one",
)  # fmt: skip
LAST: Final = Prepared(sa.select(_c.id).order_by(_c.id.desc()).limit(b("one")), "one")
PACKS: Final = Prepared(
    sa.select(pack.c.number, pack.c.octets, pack.c.dead_octets, pack.c.retired_at).order_by(pack.c.number)
)
RETIRE: Final = Prepared(sa.update(pack).where(pack.c.number == b("pack")).values(retired_at=b("now")), "now", "pack")
FORGET_PACK: Final = Prepared(sa.delete(pack).where(pack.c.number == b("pack"), pack.c.retired_at.is_not(None)), "pack")
PACK_ENDS: Final = Prepared(sa.select(pack.c.number, pack.c.octets).order_by(pack.c.number))
INSERT_PACK: Final = Prepared(pack.insert(), "number", "octets", "dead_octets")
UPDATE_PACK: Final = Prepared(
    sa.update(pack).where(pack.c.number == b("pack")).values(octets=b("new_octets")), "new_octets", "pack"
)
ADD_DEAD: Final = Prepared(
    sa.update(pack).where(pack.c.number == b("pack")).values(dead_octets=pack.c.dead_octets + b("dead")), "dead", "pack"
)
