"""Messages and tombstones. The scans of a whole mailbox touch ``message`` alone."""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b
from sqlalchemy.sql.expression import ClauseElement

from services.store.sql.prepared import Prepared, PreparedIn
from services.store.sql.schema import content, content_index, mailbox, message, tombstone
from shared.contract.types import IndexField

_m = message.c
_in_mailbox = _m.mailbox_id == b("mailbox")
_NARROW: Final = (_m.uid, _m.modseq, _m.flags, _m.octets, _m.internal_date)

INSERT: Final = Prepared(
    message.insert(), "mailbox_id", "uid", "content_id", "modseq", "flags", "octets", "header_octets", "internal_date", "saved_date",
    "email_id", "thread_id", "uidl",
)  # fmt: skip
LEAVE_TOMBSTONES: Final = PreparedIn(
    lambda uids: tombstone.insert().from_select(
        ["mailbox_id", "uid", "modseq", "content_id"],
        sa.select(_m.mailbox_id, _m.uid, b("modseq"), _m.content_id).where(_in_mailbox, _m.uid.in_(uids)),
    ),
    "modseq",
    "mailbox",
)
"""Of messages that are about to be deleted."""

ALL_NARROW: Final = Prepared(
    sa.select(*_NARROW).where(_in_mailbox, _m.uid > b("after")).order_by(_m.uid).limit(b("limit")),
    "mailbox",
    "after",
    "limit",
)
_changed_narrow = sa.select(*_NARROW).where(_in_mailbox, _m.modseq > b("since"))
CHANGED_BETWEEN: Final = Prepared(
    _changed_narrow.where(_m.uid >= b("low"), _m.uid <= b("high")).order_by(_m.uid).limit(b("limit")),
    "mailbox", "since", "low", "high", "limit",
)  # fmt: skip
CHANGED_OF: Final = PreparedIn(lambda uids: _changed_narrow.where(_m.uid.in_(uids)), "mailbox", "since")
_gone = tombstone.c
_vanished = sa.select(_gone.uid).where(_gone.mailbox_id == b("mailbox"), _gone.modseq > b("since"))
VANISHED_BETWEEN: Final = Prepared(
    _vanished.where(_gone.uid >= b("low"), _gone.uid <= b("high")).order_by(_gone.uid).limit(b("limit")),
    "mailbox", "since", "low", "high", "limit",
)  # fmt: skip
VANISHED_OF: Final = PreparedIn(lambda uids: _vanished.where(_gone.uid.in_(uids)), "mailbox", "since")

TOMBSTONES_ABOVE: Final = Prepared(
    sa.select(tombstone.c.mailbox_id)
    .group_by(tombstone.c.mailbox_id)
    .having(sa.func.count() > b("most")),
    "most",
)  # fmt: skip
TOMBSTONE_CUT: Final = Prepared(
    sa.select(tombstone.c.modseq)
    .where(tombstone.c.mailbox_id == b("mailbox"))
    .order_by(tombstone.c.modseq.desc())
    .limit(b("one"))
    .offset(b("most")),
    "mailbox",
    "one",
    "most",
)
"""The newest modseq that is one too many; none when there are no more than ``most``."""
_forgotten = (
    sa.select(tombstone.c.uid)
    .where(tombstone.c.mailbox_id == b("mailbox"), tombstone.c.modseq <= b("floor"))
    .limit(b("limit"))
)
DROP_TOMBSTONES: Final = Prepared(
    sa.delete(tombstone).where(tombstone.c.mailbox_id == b("mailbox"), tombstone.c.uid.in_(_forgotten)),
    "mailbox",
    "floor",
    "limit",
)

FLAGS_OF: Final = PreparedIn(
    lambda uids: sa.select(_m.uid, _m.flags, _m.modseq).where(_in_mailbox, _m.uid.in_(uids)), "mailbox"
)
FLAGS_BETWEEN: Final = Prepared(
    sa.select(*(sa.func.json_group_array(column) for column in (_m.uid, _m.flags, _m.modseq))).where(
        _in_mailbox, _m.uid >= b("low"), _m.uid <= b("high")
    ),
    "mailbox",
    "low",
    "high",
)
"""Three columns, each as JSON, by ascending UID: SQLite gives the interpreter up at every row, and here there is one."""
ALIKE_BETWEEN: Final = Prepared(
    sa.select(sa.func.count(), sa.func.min(_m.flags), sa.func.max(_m.flags)).where(
        _in_mailbox, _m.uid >= b("low"), _m.uid <= b("high")
    ),
    "mailbox",
    "low",
    "high",
)
"""How many there are, and whether all of them have the same flags: a third of what FLAGS_BETWEEN costs."""
_WHOLE: Final = (
    _m.uid,
    _m.content_id,
    _m.flags,
    _m.octets,
    _m.header_octets,
    _m.internal_date,
    _m.saved_date,
    _m.email_id,
    _m.thread_id,
    _m.uidl,
)
WHOLE_OF: Final = PreparedIn(lambda uids: sa.select(*_WHOLE).where(_in_mailbox, _m.uid.in_(uids)), "mailbox")
EXPUNGE_OF: Final = PreparedIn(
    lambda uids: sa.select(_m.uid, _m.content_id, _m.flags, _m.octets).where(_in_mailbox, _m.uid.in_(uids)), "mailbox"
)
EXPUNGE_ALL: Final = Prepared(
    sa.select(_m.uid, _m.content_id, _m.flags, _m.octets).where(_in_mailbox).order_by(_m.uid), "mailbox"
)
_deleted = _m.flags.op("&")(sa.literal_column("8")) != sa.literal_column("0")
EXPUNGE_DELETED: Final = Prepared(
    sa.select(_m.uid, _m.content_id, _m.flags, _m.octets).where(_in_mailbox, _deleted).order_by(_m.uid), "mailbox"
)
DELETED_OCTETS: Final = Prepared(
    sa.select(sa.func.coalesce(sa.func.sum(_m.octets), sa.literal_column("0"))).where(_in_mailbox, _deleted), "mailbox"
)
COUNT_FROM: Final = Prepared(
    sa.select(sa.func.count()).select_from(message).where(_in_mailbox, _m.uid >= b("first")), "mailbox", "first"
)
UIDS: Final = Prepared(sa.select(_m.uid).where(_in_mailbox).order_by(_m.uid), "mailbox")
CONTENTS_AFTER: Final = Prepared(
    sa.select(_m.uid, _m.content_id).where(_in_mailbox, _m.uid > b("after")).order_by(_m.uid), "mailbox", "after"
)
_changed_flags = _m.flags.op("&")(b("keep")).op("|")(b("add"))
_changing = (
    sa.update(message)
    .where(_in_mailbox, _m.modseq + sa.literal_column("0") <= b("limit"), _m.flags != _changed_flags)
    .values(flags=_changed_flags, modseq=b("new_modseq"))
)
CHANGE_FLAGS_BETWEEN: Final = Prepared(
    _changing.where(_m.uid >= b("low"), _m.uid <= b("high")),
    "keep", "add", "new_modseq", "mailbox", "limit", "low", "high",
)  # fmt: skip
CHANGE_FLAGS_OF: Final = PreparedIn(
    lambda uids: _changing.where(_m.uid.in_(uids)), "keep", "add", "new_modseq", "mailbox", "limit"
)
DELETE_OF: Final = PreparedIn(lambda uids: sa.delete(message).where(_in_mailbox, _m.uid.in_(uids)), "mailbox")
REFERENCES: Final = Prepared(
    sa.select(_m.content_id, sa.func.count()).where(_in_mailbox).group_by(_m.content_id), "mailbox"
)

IDENTITIES: Final = Prepared(
    sa.select(_m.uid, content.c.digest, _m.uidl)
    .join_from(message, content, content.c.id == _m.content_id)
    .where(_in_mailbox, _m.uid > b("after"))
    .order_by(_m.uid)
    .limit(b("limit")),
    "mailbox",
    "after",
    "limit",
)

MAILDROP: Final = Prepared(
    sa.select(_m.uid, _m.octets, _m.header_octets, _m.uidl)
    .where(_in_mailbox, _m.uid > b("after"))
    .order_by(_m.uid)
    .limit(b("limit")),
    "mailbox",
    "after",
    "limit",
)

_location = (content.c.id, content.c.pack, content.c.offset, content.c.length, content.c.octets)
LOCATIONS: Final = PreparedIn(
    lambda uids: (
        sa.select(_m.uid, *_location)
        .join_from(message, content, content.c.id == _m.content_id)
        .where(_in_mailbox, _m.uid.in_(uids))
    ),
    "mailbox",
)
LOCATIONS_BETWEEN: Final = Prepared(
    sa.select(*(sa.func.json_group_array(column) for column in (_m.uid, *_location[1:])))
    .join_from(message, content, content.c.id == _m.content_id)
    .where(_in_mailbox, _m.uid >= b("low"), _m.uid <= b("high")),
    "mailbox",
    "low",
    "high",
)
"""Uid, pack, offset, length, octets: five columns, each as JSON. SQLite gives the interpreter up at every row: here there is one."""
GONE_LOCATIONS: Final = PreparedIn(
    lambda uids: (
        sa.select(tombstone.c.uid, *_location)
        .join_from(tombstone, content, content.c.id == tombstone.c.content_id)
        .where(tombstone.c.mailbox_id == b("mailbox"), tombstone.c.uid.in_(uids))
    ),
    "mailbox",
)

_INDEX: Final = {
    IndexField.ENVELOPE: content_index.c.envelope,
    IndexField.BODYSTRUCTURE: content_index.c.bodystructure,
    IndexField.BODY: content_index.c.body,
    IndexField.PARTS: content_index.c.parts,
    IndexField.SUMMARY: content_index.c.summary,
}


def _index_columns(fields: int) -> list[sa.ColumnElement[Any]]:
    empty: sa.ColumnElement[bytes] = sa.literal_column("X''")
    columns: list[sa.ColumnElement[Any]] = [
        column if fields & field else empty.label(f"no_{column.name}") for field, column in _INDEX.items()
    ]
    return [_m.uid, *columns, _m.header_octets, _m.email_id, _m.thread_id, _m.saved_date]


def _index_where(fields: int, which: sa.ColumnElement[bool]) -> ClauseElement:
    return (
        sa.select(*_index_columns(fields))
        .join_from(message, content_index, content_index.c.content_id == _m.content_id)
        .where(_in_mailbox, which)
    )


class IndexStatements:
    """Statements for every combination of columns, made when first asked for."""

    def __init__(self) -> None:
        self._listed: dict[int, PreparedIn] = {}
        self._ranged: dict[int, Prepared] = {}

    def listed(self, fields: int) -> PreparedIn:
        """By a list of UIDs."""
        found = self._listed.get(fields)
        if found is None:
            found = PreparedIn(lambda uids: _index_where(fields, _m.uid.in_(uids)), "mailbox")
            self._listed[fields] = found
        return found

    def ranged(self, fields: int) -> Prepared:
        """By a range of UIDs, both ends included."""
        found = self._ranged.get(fields)
        if found is None:
            statement = _index_where(fields, sa.and_(_m.uid >= b("low"), _m.uid <= b("high")))
            found = self._ranged[fields] = Prepared(statement, "mailbox", "low", "high")
        return found


def _held(special_use: sa.ColumnElement[bool]) -> Prepared:
    """Contents of an account's messages in some of its mailboxes, in the order of their ids."""
    return Prepared(
        sa.select(content.c.id, content.c.digest)
        .select_from(message)
        .join(mailbox, mailbox.c.id == _m.mailbox_id)
        .join(content, content.c.id == _m.content_id)
        .where(mailbox.c.account_id == b("account"), content.c.id > b("after"), special_use)
        .distinct()
        .order_by(content.c.id)
        .limit(b("limit")),
        "account",
        "after",
        "limit",
    )


_trash: sa.ColumnElement[str] = sa.literal_column("'\\Trash'")
HELD_IN_TRASH: Final = _held(mailbox.c.special_use == _trash)
HELD_ELSEWHERE: Final = _held(mailbox.c.special_use != _trash)

INDEX: Final = IndexStatements()
ALL_INDEX_FIELDS: Final = int(sum(_INDEX))
