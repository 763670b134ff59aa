"""What a write works on: one group's transaction, with the rows of the mailboxes it touches and what is to be written in bulk.

The writer's thread owns it. Functions in ``writes/`` get one and use its methods; they never commit. Rows of messages,
contents, journal and operations are collected and written by ``flush`` in multi-row statements; counters of mailboxes are
kept in memory and written once per flush. ``flush`` runs before anything reads those tables.

Law: a write raises its StoreError before it has changed anything here. Then its neighbours go on as if it had not been; any
other exception rolls back to the savepoint and drops what was collected since.
"""

import os
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import attrs
import msgpack

from services.store import usage
from services.store.access import demand, rights_on
from services.store.changed import ChangedMessages
from services.store.domain.runs import encode_uids
from services.store.news import Changes
from services.store.packs.append import PackAppender
from services.store.packs.encode import EncodedContent
from services.store.packs.record import Location, Placement, encode_meta
from services.store.sql.prepared import Row
from services.store.sql.statements import bookkeeping, contents, history, mailboxes, messages, queue, sharing
from services.store.usage import DomainsOfAccounts, Leaving
from shared.errors import NoSuchMailbox
from shared.model.flags import SystemFlag
from shared.model.message_index import MessageIndex
from shared.model.rights import ALL_RIGHTS, Rights

_SEEN: Final = SystemFlag.SEEN.value
_DELETED: Final = SystemFlag.DELETED.value
UIDL_OCTETS: Final = 10


@attrs.define
class MailboxRow:
    """A mailbox as this transaction sees it; columns in the order of ``mailboxes.MAILBOX_COLUMNS``."""

    id: int
    account_id: int
    name: str
    special_use: str
    uidvalidity: int
    uid_next: int
    highest_modseq: int
    first_recent_uid: int
    messages: int
    unseen: int
    deleted: int
    octets: int
    tombstone_floor: int
    acl_version: int
    told_messages: int = attrs.field(init=False)
    told_octets: int = attrs.field(init=False)
    """What the account's counters know of already."""

    def __attrs_post_init__(self) -> None:
        self.told_messages = self.messages
        self.told_octets = self.octets

    def count(self, flags: int, octets: int, sign: int) -> None:
        """Add (1) or take away (-1) one message in the counters."""
        self.messages += sign
        self.octets += sign * octets
        if not flags & _SEEN:
            self.unseen += sign
        if flags & _DELETED:
            self.deleted += sign


    def recount(self, old: int, new: int, messages: int) -> None:
        """So many messages had these flags and have those now."""
        changed = old ^ new
        if changed & _SEEN:
            self.unseen += messages if old & _SEEN else -messages
        if changed & _DELETED:
            self.deleted += messages if new & _DELETED else -messages


@attrs.define
class _Buffers:
    contents: list[Row] = attrs.field(factory=list)
    indexes: list[Row] = attrs.field(factory=list)
    messages: list[Row] = attrs.field(factory=list)
    queue_messages: list[Row] = attrs.field(factory=list)
    queue_entries: list[Row] = attrs.field(factory=list)
    references: list[Row] = attrs.field(factory=list)
    journal: list[Row] = attrs.field(factory=list)
    operations: list[Row] = attrs.field(factory=list)
    passages: list[Row] = attrs.field(factory=list)


class Ids:
    """The ids that the writer gives out itself. They only ever go up: a rolled-back transaction leaves a gap."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self.domains = DomainsOfAccounts()
        self._last: dict[str, int] = {}
        for table in bookkeeping.NUMBERED_TABLES:
            row = bookkeeping.LAST_ID.one(cursor, table)
            self._last[table] = row[0] if row else 0

    def next(self, table: str) -> int:
        self._last[table] += 1
        return self._last[table]


class Transaction:
    """One group's transaction."""

    def __init__(
        self, cursor: sqlite3.Cursor, appender: PackAppender, ids: Ids, now: float, *, keeps_history: bool = False
    ) -> None:
        self.cursor = cursor
        self.now = now
        self.keeps_history = keeps_history
        """What goes is buried, so that it can come back."""
        self.appender = appender
        self.ids = ids
        self.changes = Changes()
        self._outer: Changes | None = None
        """Those of the transaction, while a savepoint has its own."""
        self._mailboxes: dict[int, MailboxRow] = {}
        self._names: dict[tuple[int, str], int] = {}
        self._dirty: dict[int, MailboxRow] = {}
        self._changed = ChangedMessages()
        self._buffers = _Buffers()
        self._content_ids: dict[bytes, int | None] = {}
        self._appended: dict[bytes, Location] = {}
        self.dead: dict[int, int] = {}
        """Octets by pack that a row named before and none does now."""
        self.named: dict[int, int] = {}
        """Octets by pack of records that were appended and that a row names now."""
        self._octets_before: tuple[dict[int, int], dict[int, int]] = ({}, {})

    # --- savepoints ---

    def begin_savepoint(self) -> None:
        self.flush()
        self.cursor.execute("SAVEPOINT command")
        self._outer = self.changes
        self.changes = Changes()
        self._octets_before = (dict(self.dead), dict(self.named))

    def release_savepoint(self) -> None:
        self.flush()
        self._changed.write(self.cursor)
        self.cursor.execute("RELEASE command")
        changes = self.changes
        self._end_savepoint()
        self.changes.add(changes)

    def rollback_savepoint(self) -> None:
        self.cursor.execute("ROLLBACK TO command")
        self.cursor.execute("RELEASE command")
        self._end_savepoint()
        self.dead, self.named = self._octets_before
        self._buffers = _Buffers()
        self._mailboxes.clear()
        self._names.clear()
        self._dirty.clear()
        self._changed.clear()
        self._content_ids.clear()

    def _end_savepoint(self) -> None:
        assert self._outer is not None  # noqa: S101  it was begun
        self.changes, self._outer = self._outer, None

    # --- mailboxes ---

    def mailbox(self, mailbox_id: int) -> MailboxRow:
        """Raises NoSuchMailbox."""
        row = self._mailboxes.get(mailbox_id)
        if row is None:
            found = mailboxes.BY_ID.one(self.cursor, mailbox_id)
            if found is None:
                raise NoSuchMailbox
            row = self._remember_mailbox(found)
        return row

    def mailbox_of(self, account_id: int, mailbox_id: int, needed: Rights = ALL_RIGHTS) -> MailboxRow:
        """A mailbox that an account owns or has the needed rights on. Raises NoSuchMailbox, NoPermission."""
        row = self.mailbox(mailbox_id)
        if row.account_id != account_id:
            demand(self.rights(account_id, row), needed)
        return row

    def rights(self, account_id: int, row: MailboxRow) -> Rights:
        """What an account may do with a mailbox; no query for the owner."""
        return rights_on(self.cursor, account_id, row.account_id, row.id)

    def mailbox_named(self, account_id: int, name: str) -> MailboxRow | None:
        known = self._names.get((account_id, name))
        if known is not None:
            return self._mailboxes[known]
        found = mailboxes.BY_NAME.one(self.cursor, account_id, name)
        return None if found is None else self._remember_mailbox(found)

    def _remember_mailbox(self, found: Row) -> MailboxRow:
        # what is in memory is newer than what is in the table
        known = self._mailboxes.get(found[0])
        if known is not None:
            return known
        row = MailboxRow(*found)
        self._mailboxes[row.id] = row
        self._names[row.account_id, row.name] = row.id
        return row

    def forget_mailbox(self, row: MailboxRow) -> None:
        """After it was deleted."""
        self._changed.drop(row.id)
        self._mailboxes.pop(row.id, None)
        self._names.pop((row.account_id, row.name), None)
        self._dirty.pop(row.id, None)

    def forget_mailboxes(self) -> None:
        """After names changed: all are read again when next needed. Everything was flushed before."""
        self._mailboxes.clear()
        self._names.clear()

    def next_modseq(self, row: MailboxRow) -> int:
        """A new modseq of a mailbox: its watchers will be told."""
        row.highest_modseq += 1
        self._dirty[row.id] = row
        self._changed.count(row.id, row.highest_modseq)
        self.changes.mailboxes[row.id] = row.highest_modseq
        self.changes.owners[row.id] = row.account_id
        self.changes.accounts.add(row.account_id)
        return row.highest_modseq

    def changed(self, row: MailboxRow, uids: Sequence[int]) -> None:
        """Messages got the newest modseq of their mailbox, or went away with it: whoever asks what changed has to find them."""
        self._changed.note(row.id, row.highest_modseq, uids)

    def names_changed(self, account_id: int) -> None:
        """Names of an account's mailboxes or subscriptions: its watchers will be told."""
        self.changes.accounts.add(account_id)
        self.changes.names.add(account_id)

    def guests_of(self, mailbox_ids: Sequence[int]) -> dict[int, set[int]]:
        """Accounts that were given rights on mailboxes, by mailbox; 0: everybody. What they are denied is not taken off."""
        found: dict[int, set[int]] = {}
        for mailbox_id, grantee in sharing.GUESTS.all(self.cursor, mailbox_ids):
            found.setdefault(mailbox_id, set()).add(grantee)
        return found

    def find_guests(self) -> None:
        """Before the commit: who else is to be told of what changed. One query for the whole group."""
        changes = self.changes
        found = self.guests_of([*changes.mailboxes.keys() | changes.named])
        for mailbox_id, guests in found.items():
            changes.accounts |= guests
            if mailbox_id in changes.mailboxes:
                changes.guests[mailbox_id] = guests
            if mailbox_id in changes.named:
                changes.names |= guests

    def annotated(self, account_id: int, mailbox_id: int, names: tuple[str, ...]) -> None:
        """Annotations were changed: whoever may see them and watches will be told. ``account_id`` 0: everybody."""
        if names:
            self.changes.annotations.append((account_id, mailbox_id, names))
            if account_id:
                self.changes.accounts.add(account_id)

    def touch(self, row: MailboxRow) -> None:
        """Have the counters of a mailbox written."""
        self._dirty[row.id] = row

    # --- contents ---

    def prefetch_contents(self, digests: Sequence[bytes]) -> None:
        """Look many digests up at once."""
        unknown = [digest for digest in digests if digest not in self._content_ids]
        if unknown:
            found: dict[bytes, int] = {row[0]: row[1] for row in contents.BY_DIGEST.all(self.cursor, unknown)}
            for digest in unknown:
                self._content_ids[digest] = found.get(digest)

    def add_content(
        self, encoded: EncodedContent, index: MessageIndex, placements: Sequence[Placement], refs: int
    ) -> int:
        """Its id. The same content is kept once; ``refs`` more rows are going to refer to it."""
        digest = encoded.digest
        if digest not in self._content_ids:
            self.prefetch_contents([digest])
        known = self._content_ids[digest]
        if known is not None:
            self._buffers.references.append((refs, known))
            if placements:
                self.appender.append_reference(digest, encoded.raw_octets, encode_meta(placements))
            return known
        location = self._appended.get(digest)
        if location is None:
            location = self._appended[digest] = self.appender.append(encoded, encode_meta(placements))
        self.named[location.pack] = self.named.get(location.pack, 0) + location.length
        content_id = self._content_ids[digest] = self.ids.next("content")
        buffers = self._buffers
        buffers.contents.append(
            (content_id, digest, location.pack, location.offset, location.length, encoded.raw_octets, refs)
        )
        buffers.indexes.append(
            (content_id, index.envelope, index.bodystructure, index.body, index.parts, index.summary)
        )
        return content_id

    def drop_references(self, counts: dict[int, int], *, buried: bool = False) -> None:
        """Fewer rows refer to these contents; at none they stay readable for a while. ``buried``: their messages may come back."""
        self.flush()
        rows = [(fewer, self.now, content_id) for content_id, fewer in counts.items()]
        statement = contents.BURY if buried and self.keeps_history else contents.DROP_REFS
        statement.run_many(self.cursor, rows)

    def add_references(self, counts: dict[int, int]) -> None:
        self._buffers.references += [(more, content_id) for content_id, more in counts.items()]

    # --- rows in bulk ---

    def add_message(
        self,
        row: MailboxRow,
        *,
        content_id: int,
        modseq: int,
        flags: int,
        octets: int,
        header_octets: int,
        internal_date: int,
        email_id: int | None = None,
        thread_id: int | None = None,
        uidl: str = "",
    ) -> int:
        """File a message at the end of a mailbox; its UID. Without ``email_id`` and ``uidl`` they are made."""
        uid = row.uid_next
        row.uid_next = uid + 1
        row.count(flags, octets, 1)
        self._dirty[row.id] = row
        if email_id is None:
            email_id = new_email_id()
        self._buffers.messages.append(
            (
                row.id, uid, content_id, modseq, flags, octets, header_octets, internal_date, int(self.now), email_id,
                email_id if thread_id is None else thread_id, uidl or new_uidl(),
            )
        )  # fmt: skip
        return uid

    def add_queue_message(self, row: Row) -> None:
        self._buffers.queue_messages.append(row)
        self.changes.queue = True

    def add_queue_entry(self, row: Row) -> None:
        self._buffers.queue_entries.append(row)

    def journal(
        self, actor: str, what: str, mailbox_id: int, uids: Sequence[int], *detail: Any, owner: int | None = None
    ) -> None:
        """One row of what happened; ``detail`` by ``what``. ``owner``: the account for which it can be undone."""
        account_id = owner if self.keeps_history else None
        packed = msgpack.packb(detail) if detail else b""
        self._buffers.journal.append((self.now, actor, what, mailbox_id, encode_uids(uids), packed, account_id))

    def add_passage(self, row: Row) -> None:
        """One row of the history (see ``writes.history``)."""
        self._buffers.passages.append(row)

    def remember_operation(self, op_id: bytes, method: str, result: bytes) -> None:
        self._buffers.operations.append((op_id, self.now, method, result))

    def flush(self) -> None:
        """Write what was collected."""
        cursor, buffers = self.cursor, self._buffers
        self._buffers = _Buffers()
        if buffers.contents:
            contents.INSERT.run_many(cursor, buffers.contents)
            contents.INSERT_INDEX.run_many(cursor, buffers.indexes)
        if buffers.references:
            contents.ADD_REFS.run_many(cursor, buffers.references)
        if buffers.messages:
            messages.INSERT.run_many(cursor, buffers.messages)
            self._changed.note_filed(buffers.messages)
        if buffers.queue_messages:
            queue.INSERT_MESSAGE.run_many(cursor, buffers.queue_messages)
            queue.INSERT_ENTRY.run_many(cursor, buffers.queue_entries)
        if buffers.journal:
            bookkeeping.INSERT_JOURNAL.run_many(cursor, buffers.journal)
        if buffers.passages:
            history.INSERT.run_many(cursor, buffers.passages)
        if buffers.operations:
            bookkeeping.INSERT_OPERATION.run_many(cursor, buffers.operations)
        if self._dirty:
            rows = self._dirty.values()
            mailboxes.UPDATE_STATE.run_many(cursor, [_state(row) for row in rows])
            usage.count(cursor, rows, self.ids.domains, self.changes)
            self._dirty.clear()
        if self._outer is None:
            self._changed.write(cursor)

    def check_quota(
        self, account_id: int, more_messages: int, more_octets: int, leaving: Leaving | None = None
    ) -> None:
        """Whether an account and its domain have room for so much more. Raises OverQuota (RFC 9208 §4.3.1)."""
        pending = self._dirty.values()
        usage.check_room(self.cursor, pending, self.ids.domains, account_id, more_messages, more_octets, leaving)

    def next_meta(self, name: str, least: int) -> int:
        """A counter that never repeats: the last value plus one, or ``least`` when that is higher."""
        row = bookkeeping.META.one(self.cursor, name)
        if row is None:
            bookkeeping.INSERT_META.run(self.cursor, name, least)
            return least
        value: int = max(row[0] + 1, least)
        bookkeeping.UPDATE_META.run(self.cursor, value, name)
        return value


def _state(row: MailboxRow) -> Row:
    return (
        row.uid_next,
        row.highest_modseq,
        row.first_recent_uid,
        row.messages,
        row.unseen,
        row.deleted,
        row.octets,
        row.id,
    )


def new_email_id() -> int:
    """62 random bits, never 0."""
    return int.from_bytes(os.urandom(8), "little") >> 2 | 1


def new_uidl() -> str:
    # RFC 1939 §7: 1 to 70 characters of 0x21 to 0x7E
    return os.urandom(UIDL_OCTETS).hex()
