"""The outbound queue."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared, PreparedIn
from services.store.sql.schema import content
from services.store.sql.schema_queue import dialogue, queue_attempt, queue_entry, queue_message
from shared.contract.queue_types import HERE

_e = queue_entry.c
_m = queue_message.c
_zero: sa.ColumnElement[int] = sa.literal_column("0")
_one: sa.ColumnElement[int] = sa.literal_column("1")

INSERT_MESSAGE: Final = Prepared(
    queue_message.insert(), "id", "content_id", "trace", "sender", "octets", "skip_octets", "smtputf8", "eight_bit",
    "queued_at", "expires_at", "account_id", "received_from", "entries", "envelope_id", "ret", "header_octets",
    "tls", "held_until", "deliver_by", "by_mode", "by_trace",
)  # fmt: skip
INSERT_ENTRY: Final = Prepared(
    queue_entry.insert(), "id", "message_id", "recipient", "original", "destination", "due_at", "lease_owner",
    "lease_until", "attempts", "last_text", "notify", "orcpt", "warn_at", "account_id", "mailbox", "share",
)  # fmt: skip

WISHES: Final = (_m.tls, _m.held_until, _m.deliver_by, _m.by_mode, _m.by_trace)

# What the partial indexes are about, in their words: a parameter would not do.
_waits = sa.and_(_e.lease_until == _zero, _e.destination != sa.literal_column(f"'{HERE}'"))
_is_leased = _e.lease_until > _zero

END_LEASES: Final = Prepared(
    sa.update(queue_entry).where(_is_leased, _e.lease_until <= b("now")).values(lease_until=_zero), "now"
)
"""What was leased for a time that is over waits again; its late worker may still report it, until somebody else leases it."""

OLDEST_DUE: Final = Prepared(
    sa.select(_e.share, _e.due_at).where(_waits, _e.due_at <= b("now")).order_by(_e.due_at).limit(b("limit")), "now", "limit"
)
SHARE_NEAR: Final = Prepared(sa.select(_e.share).where(_e.id >= b("id")).order_by(_e.id).limit(_one), "id")
LAST_ENTRY: Final = Prepared(sa.select(sa.func.coalesce(sa.func.max(_e.id), _zero)))

# A loose scan: one probe of (share, due_at) per share, however long the queue of a dead destination or of one sender is.
_walk = sa.select(sa.func.min(_e.share).label("share")).where(_e.share >= b("start")).cte("walk", recursive=True)
_next = sa.select(sa.func.min(_e.share)).where(_e.share > _walk.c.share).scalar_subquery()
_shares = _walk.union_all(sa.select(_next).where(_walk.c.share.is_not(None)))
_oldest = (
    sa.select(_e.due_at)
    .where(_e.share == _shares.c.share, _e.due_at <= b("now"), _e.lease_until <= b("now"))
    .order_by(_e.due_at)
    .limit(_one)
    .scalar_subquery()
)
DUE_SHARES: Final = Prepared(
    sa.select(_shares.c.share, _oldest.label("due")).where(_shares.c.share.is_not(None)).limit(b("limit")),
    "start",
    "now",
    "limit",
)
"""Shares in the queue in their order, each with its oldest entry that is due and not leased (NULL: none)."""

DUE_OF_SHARE: Final = Prepared(
    sa.select(_e.id, _e.message_id)
    .where(_e.share == b("of_share"), _e.due_at <= b("now"), _e.lease_until <= b("now"))
    .order_by(_e.due_at, _e.id)
    .limit(b("limit")),
    "of_share",
    "now",
    "limit",
)
DUE_OF_MESSAGES: Final = PreparedIn(
    lambda ids: (
        sa.select(_e.id, _e.message_id)
        .where(
            _e.share == b("of_share"),
            _e.due_at <= b("now"),
            _e.lease_until <= b("now"),
            _e.message_id.in_(ids),
        )
        .order_by(_e.id)
    ),
    "of_share",
    "now",
)
_ENTRY: Final = (
    _e.id,
    _e.message_id,
    _e.destination,
    _m.trace,
    _m.sender,
    _e.recipient,
    _e.original,
    _m.octets,
    _m.smtputf8,
    _m.eight_bit,
    _m.queued_at,
    _m.expires_at,
    _e.attempts,
    _m.account_id,
    _e.notify,
    _e.orcpt,
    _m.envelope_id,
    _m.ret,
    _e.warn_at,
    *WISHES,
    _e.route,
)
ENTRIES: Final = PreparedIn(
    lambda ids: (
        sa.select(*_ENTRY).join_from(queue_entry, queue_message, _m.id == _e.message_id).where(_e.id.in_(ids))
    )
)
LEASE: Final = PreparedIn(
    lambda ids: (
        sa.update(queue_entry).where(_e.id.in_(ids)).values(lease_owner=b("new_owner"), lease_until=b("new_until"))
    ),
    "new_owner",
    "new_until",
)
HELD: Final = PreparedIn(
    lambda ids: sa.select(_e.id).where(_e.lease_owner == b("owner"), _e.lease_until > b("now"), _e.id.in_(ids)),
    "owner",
    "now",
)
LEASED: Final = PreparedIn(
    lambda ids: sa.select(_e.id).where(_e.lease_owner != b("holder"), _e.lease_until > b("now"), _e.id.in_(ids)),
    "holder",
    "now",
)
NEXT_DUE: Final = Prepared(sa.select(sa.func.min(_e.due_at)).where(_waits))
NEXT_LEASE_END: Final = Prepared(
    sa.select(sa.func.min(_e.lease_until)).where(_is_leased, _e.lease_until < b("for_ever")), "for_ever"
)

STATE: Final = PreparedIn(
    lambda ids: (
        sa.select(
            _e.id, _e.message_id, _e.lease_owner, _e.due_at, _e.attempts, _e.recipient, _e.destination, _m.trace, _m.sender
        )
        .join_from(queue_entry, queue_message, _m.id == _e.message_id)
        .where(_e.id.in_(ids))
    )
)  # fmt: skip
DEFER: Final = Prepared(
    sa.update(queue_entry)
    .where(_e.id == b("entry"))
    .values(
        due_at=b("new_due"),
        attempts=b("new_attempts"),
        last_text=b("new_text"),
        lease_owner=sa.literal_column("''"),
        lease_until=_zero,
    ),
    "new_due",
    "new_attempts",
    "new_text",
    "entry",
)
WARNED: Final = PreparedIn(lambda ids: sa.update(queue_entry).where(_e.id.in_(ids)).values(warn_at=_zero))
INSERT_ATTEMPT: Final = Prepared(
    queue_attempt.insert(), "entry_id", "number", "at", "kind", "code", "enhanced", "text", "remote", "tls", "seconds",
    "dialogue_id",
)  # fmt: skip
ATTEMPTS: Final = Prepared(
    sa.select(
        *(column for column in queue_attempt.c if column.name not in ("entry_id", "number", "dialogue_id")),
        dialogue.c.data,
    )
    .join_from(queue_attempt, dialogue, dialogue.c.id == queue_attempt.c.dialogue_id, isouter=True)
    .where(queue_attempt.c.entry_id == b("entry"))
    .order_by(queue_attempt.c.number),
    "entry",
)
DROP_OLD_ATTEMPTS: Final = Prepared(
    sa.delete(queue_attempt).where(queue_attempt.c.entry_id == b("entry"), queue_attempt.c.number <= b("last")),
    "entry",
    "last",
)
DELETE_ATTEMPTS: Final = PreparedIn(lambda ids: sa.delete(queue_attempt).where(queue_attempt.c.entry_id.in_(ids)))
DELETE_ENTRIES: Final = PreparedIn(lambda ids: sa.delete(queue_entry).where(_e.id.in_(ids)))
ENTRIES_DONE: Final = Prepared(
    sa.update(queue_message).where(_m.id == b("message")).values(entries=_m.entries - b("done")), "done", "message"
)
FINISHED: Final = PreparedIn(
    lambda ids: sa.select(_m.id, _m.content_id).where(_m.entries <= _zero, _m.id.in_(ids))
)  # fmt: skip
DELETE_MESSAGES: Final = PreparedIn(lambda ids: sa.delete(queue_message).where(_m.id.in_(ids)))

CONTENT_OF: Final = Prepared(
    sa.select(
        _e.lease_owner, _m.skip_octets, content.c.pack, content.c.offset, content.c.length, content.c.octets
    )
    .join_from(queue_entry, queue_message, _m.id == _e.message_id)
    .join(content, content.c.id == _m.content_id)
    .where(_e.id == b("entry")),
    "entry",
)  # fmt: skip

_ITEM: Final = (
    _e.id,
    _m.trace,
    _m.sender,
    _e.recipient,
    _e.destination,
    _m.octets,
    _m.queued_at,
    _e.due_at,
    _m.expires_at,
    _e.attempts,
    _e.lease_owner,
    _e.last_text,
    *WISHES,
    _e.route,
)
SELECT_ITEMS: Final = sa.select(*_ITEM).join_from(queue_entry, queue_message, _m.id == _e.message_id)
ITEMS_OF: Final = PreparedIn(lambda ids: SELECT_ITEMS.where(_e.id.in_(ids)).order_by(_e.id))
ITEMS: Final = Prepared(SELECT_ITEMS.where(_e.id > b("after")).order_by(_e.id).limit(b("limit")), "after", "limit")


def _like(column: sa.Column[str], name: str) -> sa.ColumnElement[bool]:
    return sa.func.lower(column).like(b(name), escape="\\")


FIND: Final = Prepared(
    SELECT_ITEMS.where(
        _e.id > b("after"),
        _like(_m.sender, "sender"),
        _like(_e.recipient, "recipient"),
        _like(_e.destination, "destination"),
        _like(_e.last_text, "reason"),
        _m.queued_at <= b("before"),
        _e.lease_owner.like(b("owner")),
        _like(_m.trace, "trace"),
    )
    .order_by(_e.id)
    .limit(b("limit")),
    "after", "sender", "recipient", "destination", "reason", "before", "owner", "trace", "limit",
)  # fmt: skip
HOLD: Final = PreparedIn(
    lambda ids: (
        sa.update(queue_entry)
        .where(_e.id.in_(ids), _e.lease_until <= b("now"))
        .values(lease_owner=b("holder"), lease_until=b("for_ever"))
    ),
    "holder",
    "for_ever",
    "now",
)
RELEASE: Final = PreparedIn(
    lambda ids: (
        sa.update(queue_entry)
        .where(_e.id.in_(ids), _e.lease_owner == b("holder"))
        .values(lease_owner=sa.literal_column("''"), lease_until=_zero)
    ),
    "holder",
)
ITEM: Final = Prepared(SELECT_ITEMS.where(_e.id == b("entry")), "entry")
# RFC 4865: nothing is released before its time
_free = _e.message_id.not_in(sa.select(_m.id).where(_m.held_until > b("now")))
RETRY: Final = PreparedIn(
    lambda ids: sa.update(queue_entry).where(_e.due_at > b("now"), _free, _e.id.in_(ids)).values(due_at=b("new_due")),
    "new_due",
    "now",
)
RETRY_ALL: Final = Prepared(
    sa.update(queue_entry).where(_e.due_at > b("now"), _free).values(due_at=b("new_due")), "new_due", "now"
)
COUNTS: Final = Prepared(
    sa.select(
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(sa.case((_e.due_at <= b("now"), _one), else_=_zero)), _zero),
    ).select_from(queue_entry),
    "now",
)
