"""Flags, modseqs, UIDs, tombstones, counters and references against a model that is too simple to be wrong."""

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.store import changed as changed_messages
from services.store.domain.names import DEFAULT_LIMITS
from services.store.domain.queue import QueueTimes
from services.store.forwarding import Forwarding
from services.store.packs.append import PackAppender
from services.store.packs.encode import Compressor, encode_content
from services.store.packs.read import PackReader
from services.store.readers import Snapshot
from services.store.reads import messages as reads
from services.store.reads.directory import Rules
from services.store.sql.database import connect
from services.store.sql.migrate import migrate
from services.store.transaction import Ids, Transaction
from services.store.writes import directory, filing, flags, housekeeping, mailboxes, transfer
from services.store.writes.filing import Incoming
from shared.contract.types import ContentSource, Delivery, FlagOperation, LocalRecipient
from shared.model.flags import flag_names
from shared.model.ids import AccountId
from shared.model.message_index import MessageIndex
from shared.model.packed import unpack_u32, unpack_u64

INDEX = MessageIndex(1, b"", b"", b"", b"", b"")
RULES = Rules("+", 10, Forwarding(b"k" * 32))
CONDITIONS = filing.Conditions(RULES, QueueTimes(10.0, 5.0))
NAMES = ("INBOX", "Archive", "Trash")
FLAGS = ("\\Seen", "\\Deleted", "\\Flagged", "$One", "$Two", "three")
COMPRESSOR = Compressor(1)


@attrs.define
class ModelMessage:
    content: bytes
    flags: set[str]
    modseq: int


@attrs.define
class ModelMailbox:
    messages: dict[int, ModelMessage] = attrs.field(factory=dict)
    gone: dict[int, int] = attrs.field(factory=dict)
    uid_next: int = 1
    modseq: int = 1
    floor: int = 0

    def add(self, content: bytes, names: set[str]) -> int:
        uid = self.uid_next
        self.uid_next += 1
        self.messages[uid] = ModelMessage(content, set(names), self.modseq)
        return uid


subsets = st.sets(st.sampled_from(FLAGS), max_size=3)
boxes = st.sampled_from(NAMES)
uid_sets = st.lists(st.integers(1, 8), max_size=8)


class Machine(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        # sets of changes are merged all the time
        self.block, changed_messages.BLOCK = changed_messages.BLOCK, 2
        self.directory = Path(tempfile.mkdtemp())
        database = self.directory / "db"
        migrate(database)
        self.connection = connect(database, read_only=False, cache_kib=1024)
        self.connection.execute("PRAGMA synchronous=OFF")
        self.cursor = self.connection.cursor()
        self.appender = PackAppender(self.directory, number=1, end=0, seal_octets=1 << 20)
        self.ids = Ids(self.cursor)
        self.run(directory.domain_add, "example.test")
        self.run(directory.account_add, "a@example.test", "hash")
        self.numbers = dict(self.cursor.execute("SELECT name, id FROM mailbox").fetchall())
        self.model = {name: ModelMailbox() for name in NAMES}

    transaction: Transaction | None = None
    """Of a group that is not committed yet."""

    def run(self, function: Any, *arguments: Any) -> Any:
        if self.transaction is None:
            self.cursor.execute("BEGIN")
            self.transaction = Transaction(self.cursor, self.appender, self.ids, 1000.0)
        self.transaction.begin_savepoint()
        result = function(self.transaction, *arguments)
        self.transaction.release_savepoint()
        if not self.grouping:
            self.commit()
        return result

    grouping = False

    @rule(grouping=st.booleans())
    def group(self, grouping: bool) -> None:
        self.grouping = grouping
        if not grouping:
            self.commit()

    def commit(self) -> None:
        if self.transaction is not None:
            self.transaction.flush()
            self.cursor.execute("COMMIT")
            self.transaction = None

    @rule(name=boxes)
    def fail(self, name: str) -> None:
        """Changes that are rolled back; what is beside them in the group is not."""
        if self.transaction is None:
            return
        transaction, number = self.transaction, self.numbers[name]
        transaction.begin_savepoint()
        recipients = (LocalRecipient(AccountId(1), "a@example.test", name),)
        delivery = Delivery("t", "", recipients, (), ContentSource(0, inline=b""), INDEX)
        filing.deliver(transaction, (Incoming(encode_content(b"never", COMPRESSOR)),), delivery, CONDITIONS)
        transfer.expunge(transaction, "imap", 1, number, None, False)
        transaction.rollback_savepoint()

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            changed_messages.BLOCK = self.block
            self.connection.close()
            self.appender.close()
            shutil.rmtree(self.directory)

    @rule(name=boxes, content=st.sampled_from([b"one", b"two", b"three"]), copies=st.integers(1, 2))
    def deliver(self, name: str, content: bytes, copies: int) -> None:
        recipients = tuple(LocalRecipient(AccountId(1), "a@example.test", name) for _ in range(copies))
        delivery = Delivery("t", "", recipients, (), ContentSource(0, inline=b""), INDEX)
        result = self.run(filing.deliver, (Incoming(encode_content(content, COMPRESSOR)),), delivery, CONDITIONS)
        box = self.model[name]
        expected = []
        for _ in range(copies):
            box.modseq += 1
            expected.append(box.add(content, set()))
        assert [copy.uid for copy in result.copies] == expected

    @rule(name=boxes, names=subsets)
    def append(self, name: str, names: set[str]) -> None:
        incoming = (Incoming(encode_content(b"appended", COMPRESSOR)),)
        result = self.run(filing.append, incoming, 1, self.numbers[name], tuple(sorted(names)), None, INDEX)
        box = self.model[name]
        box.modseq += 1
        assert (result.uid, result.modseq) == (box.add(b"appended", names), box.modseq)

    @rule(
        name=boxes, uids=uid_sets, operation=st.sampled_from(FlagOperation), names=subsets,
        since=st.none() | st.integers(1, 15),
    )  # fmt: skip
    def store(self, name: str, uids: list[int], operation: FlagOperation, names: set[str], since: int | None) -> None:
        arguments = (1, self.numbers[name], uids, operation, tuple(sorted(names)), since)
        result = self.run(flags.store_flags, *arguments)
        box = self.model[name]
        failed, passed, changed = [], [], False
        for uid in sorted(set(uids) & set(box.messages)):
            message = box.messages[uid]
            if since is not None and message.modseq > since:
                failed.append(uid)
                continue
            passed.append(uid)
            new = {
                FlagOperation.ADD: message.flags | names,
                FlagOperation.REMOVE: message.flags - names,
                FlagOperation.REPLACE: set(names),
            }[operation]
            if new != message.flags:
                changed = True
                message.flags, message.modseq = new, box.modseq + 1
        box.modseq += changed
        assert unpack_u32(result.failed).tolist() == failed
        assert unpack_u32(result.uids).tolist() == passed
        assert result.modseq == (box.modseq if changed else 0)
        assert unpack_u64(result.modseqs).tolist() == [box.messages[uid].modseq for uid in passed]

    @rule(source=boxes, goal=boxes, uids=uid_sets)
    def copy(self, source: str, goal: str, uids: list[int]) -> None:
        result = self.run(transfer.copy, 1, self.numbers[source], uids, self.numbers[goal])
        self._entered(source, goal, uids, result)

    def _entered(self, source: str, into: str, uids: list[int], result: Any) -> list[int]:
        origin, goal = self.model[source], self.model[into]
        present = sorted(set(uids) & set(origin.messages))
        if present:
            goal.modseq += 1
        messages = [origin.messages[uid] for uid in present]
        assert unpack_u32(result.sources).tolist() == present
        assert unpack_u32(result.targets).tolist() == [goal.add(m.content, m.flags) for m in messages]
        return present

    @rule(source=boxes, goal=boxes, uids=uid_sets)
    def move(self, source: str, goal: str, uids: list[int]) -> None:
        if source == goal:
            return
        result = self.run(transfer.move, 1, self.numbers[source], uids, self.numbers[goal])
        self._vanish(source, self._entered(source, goal, uids, result))

    def _vanish(self, name: str, uids: list[int]) -> None:
        box = self.model[name]
        box.modseq += bool(uids)
        for uid in uids:
            del box.messages[uid]
            box.gone[uid] = box.modseq

    @rule(name=boxes, uids=st.none() | uid_sets, only_deleted=st.booleans())
    def expunge(self, name: str, uids: list[int] | None, only_deleted: bool) -> None:
        result = self.run(transfer.expunge, "imap", 1, self.numbers[name], uids, only_deleted)
        box = self.model[name]
        gone = sorted(
            uid
            for uid, message in box.messages.items()
            if (uids is None or uid in uids) and (not only_deleted or "\\Deleted" in message.flags)
        )
        self._vanish(name, gone)
        assert unpack_u32(result.uids).tolist() == gone
        assert result.modseq == box.modseq

    @rule(name=boxes)
    def delete_and_make_again(self, name: str) -> None:
        if name == "INBOX":
            return
        self.run(mailboxes.delete, 1, name)
        made = self.run(mailboxes.create, 1, name, "", DEFAULT_LIMITS)
        self.numbers[name] = made.mailbox_id
        self.model[name] = ModelMailbox()

    @rule(name=boxes, back=st.integers(0, 3))
    def forget_tombstones(self, name: str, back: int) -> None:
        box = self.model[name]
        floor = box.modseq - back
        gone = [uid for uid, modseq in box.gone.items() if modseq <= max(floor, box.floor)]
        assert self.run(housekeeping.drop_tombstones, self.numbers[name], floor) == len(gone)
        box.floor = max(floor, box.floor)
        for uid in gone:
            del box.gone[uid]

    @rule(name=boxes, since=st.integers(0, 20), back=st.integers(0, 4), limit=st.integers(1, 4))
    def changes_in_pages(self, name: str, since: int, back: int, limit: int) -> None:
        box = self.model[name]
        since = since or max(1, box.modseq - back)
        if since < box.floor:
            return
        snapshot = Snapshot(self.cursor, PackReader(self.directory, cache_octets=0))
        found: list[int] = []
        more = True
        while more:
            after = found[-1] if found else 0
            page = reads.changes(snapshot, 1, self.numbers[name], since, after, limit)
            found += unpack_u32(page.uids)
            more = page.more
        assert found == sorted(uid for uid, message in box.messages.items() if message.modseq > since)

    @invariant()
    def changes_are_found(self) -> None:
        if not hasattr(self, "model"):
            return
        for name, box in self.model.items():
            for since in {0, *range(max(1, box.floor), box.modseq + 2)}:
                self._changes(name, since)

    def _changes(self, name: str, since: int) -> None:
        box = self.model[name]
        page = reads.changes(Snapshot(self.cursor, PackReader(self.directory, cache_octets=0)), 1, self.numbers[name], since, 0, 100)
        expected = sorted(uid for uid, message in box.messages.items() if message.modseq > since)
        assert unpack_u32(page.uids).tolist() == expected
        assert unpack_u64(page.modseqs).tolist() == [box.messages[uid].modseq for uid in expected]
        assert [set(flag_names(bits, page.keywords)) for bits in unpack_u64(page.flags)] == [
            box.messages[uid].flags for uid in expected
        ]
        gone = sorted(uid for uid, modseq in box.gone.items() if modseq > since) if since else []
        assert unpack_u32(page.vanished).tolist() == gone
        assert (page.uid_next, page.highest_modseq) == (box.uid_next, box.modseq)

    @invariant()
    def counters_are_right(self) -> None:
        if not hasattr(self, "model"):
            return
        columns = "uid_next, highest_modseq, messages, unseen, deleted, octets"
        for name, box in self.model.items():
            row = self.cursor.execute(f"SELECT {columns} FROM mailbox WHERE id = ?", (self.numbers[name],)).fetchone()
            kept = box.messages.values()
            assert row == (
                box.uid_next,
                box.modseq,
                len(kept),
                sum("\\Seen" not in message.flags for message in kept),
                sum("\\Deleted" in message.flags for message in kept),
                sum(len(message.content) for message in kept),
            )

    @invariant()
    def references_are_right(self) -> None:
        if not hasattr(self, "model"):
            return
        counted = Counter(message.content for box in self.model.values() for message in box.messages.values())
        rows = self.cursor.execute("SELECT digest, refs, unreferenced_at FROM content").fetchall()
        for content, refs in counted.items():
            digest = encode_content(content, COMPRESSOR).digest
            assert (digest, refs, None) in rows
        assert sum(refs for _, refs, _ in rows) == sum(counted.values())
        assert all((at is not None) == (refs == 0) for _, refs, at in rows)

    @invariant()
    def uidls_are_unique(self) -> None:
        if hasattr(self, "model"):
            doubled = "SELECT uidl FROM message GROUP BY mailbox_id, uidl HAVING count(*) > 1"
            assert self.cursor.execute(doubled).fetchall() == []


Machine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestModel = Machine.TestCase
