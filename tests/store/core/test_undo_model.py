"""Whatever happened: after an undo to any minute the account is as it was then, but for what came later."""

import atexit
import math
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.store.domain.names import DEFAULT_LIMITS
from services.store.domain.queue import QueueTimes
from services.store.forwarding import Forwarding
from services.store.packs.append import PackAppender
from services.store.packs.encode import Compressor, encode_content
from services.store.packs.read import PackReader
from services.store.readers import Snapshot
from services.store.reads import undo as reads
from services.store.reads.directory import Rules
from services.store.sql.database import connect
from services.store.sql.migrate import migrate
from services.store.transaction import Ids, Transaction
from services.store.writes import directory, filing, flags, forgetting, housekeeping, mailboxes, transfer, undo
from services.store.writes.filing import Incoming
from shared.cli.undo import pieces
from shared.contract.types import ContentSource, Delivery, FlagOperation, LocalRecipient
from shared.contract.undo_types import UndoCounts
from shared.errors import StoreError
from shared.model.flags import flag_names
from shared.model.ids import AccountId
from shared.model.message_index import MessageIndex

INDEX = MessageIndex(1, b"", b"", b"", b"", b"")
CONDITIONS = filing.Conditions(Rules("+", 10, Forwarding(b"k" * 32)), QueueTimes(10.0, 5.0))
NAMES = ("INBOX", "Archive", "Trash", "Own", "Own/below")
FLAGS = ("\\Seen", "\\Deleted", "$One", "$Two")
COMPRESSOR = Compressor(1)
ADDRESS = "a@example.test"
KEPT_SECONDS = 12

boxes = st.sampled_from(NAMES)
picks = st.lists(st.integers(0, 30), min_size=1, max_size=6)
"""Which of the messages that are there."""
ages = st.integers(0, 25)


@cache
def empty_database() -> Path:
    path = Path(tempfile.mkdtemp()) / "db"
    atexit.register(shutil.rmtree, path.parent)
    migrate(path)
    return path


@attrs.frozen
class Message:
    """As it is seen: by its UIDL, which moves and undo keep."""

    mailbox: str
    flags: frozenset[str]
    email_id: int
    internal_date: int
    content: int


@attrs.frozen
class State:
    messages: dict[str, Message]
    mailboxes: frozenset[str]


class Machine(RuleBasedStateMachine):
    """Each step has a time of its own, which names the state after it."""

    @initialize()
    def open(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        shutil.copy(empty_database(), self.directory / "db")
        self.connection = connect(self.directory / "db", read_only=False, cache_kib=1024)
        self.connection.execute("PRAGMA synchronous=OFF")
        self.cursor = self.connection.cursor()
        self.appender = PackAppender(self.directory, number=1, end=0, seal_octets=1 << 20)
        self.packs = PackReader(self.directory, cache_octets=0)
        self.ids = Ids(self.cursor)
        self.now = 1000.0
        self.account = 1
        self.began = self.now
        self.states: dict[float, State] = {}
        self.run(forgetting.begin, True)
        self.run(directory.domain_add, "example.test")
        self.run(directory.account_add, ADDRESS, "hash")
        self.began = self.now
        for name in ("Own", "Own/below"):
            self.run(mailboxes.create, 1, name, "", DEFAULT_LIMITS)
        for name in NAMES:
            self.deliver(name=name, content=b"first", copies=3)

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()
            self.appender.close()
            shutil.rmtree(self.directory)

    def enter(self, function: Any, *arguments: Any) -> Any:
        """What is new has the second in which it came, so it comes at its beginning."""
        self.now = math.ceil(self.now + 0.125) - 0.125
        return self.run(function, *arguments)

    def run(self, function: Any, *arguments: Any) -> Any:
        """At a time of its own; afterwards the state is remembered."""
        self.now += 0.125
        self.cursor.execute("BEGIN")
        transaction = Transaction(self.cursor, self.appender, self.ids, self.now, keeps_history=True)
        transaction.begin_savepoint()
        try:
            result = function(transaction, *arguments)
            transaction.release_savepoint()
        except StoreError:
            transaction.rollback_savepoint()
            result = None
        transaction.flush()
        self.cursor.execute("COMMIT")
        self.states[self.now] = self.state()
        return result

    def numbers(self) -> dict[str, int]:
        return dict(self.cursor.execute("SELECT name, id FROM mailbox WHERE account_id = ?", (self.account,)).fetchall())

    def picked(self, name: str, pick: list[int]) -> list[int]:
        there = self.cursor.execute(
            "SELECT uid FROM message WHERE mailbox_id = ? ORDER BY uid", (self.numbers().get(name, 0),)
        ).fetchall()
        return [there[number % len(there)][0] for number in pick] if there else [1]

    def state(self) -> State:
        keywords: dict[int, list[str]] = {}
        for number, name in self.cursor.execute("SELECT mailbox_id, name FROM keyword ORDER BY slot"):
            keywords.setdefault(number, []).append(name)
        found = {}
        for name, number in self.numbers().items():
            for uidl, bits, email_id, date, content in self.cursor.execute(
                "SELECT uidl, flags, email_id, internal_date, content_id FROM message WHERE mailbox_id = ?", (number,)
            ):
                assert uidl not in found, "a message is there twice"
                names = frozenset(flag_names(bits, keywords.get(number, [])))
                found[uidl] = Message(name, names, email_id, date, content)
        return State(found, frozenset(self.numbers()))

    @rule(name=boxes, content=st.sampled_from([b"one", b"two", b"three"]), copies=st.integers(1, 3))
    def deliver(self, name: str, content: bytes, copies: int) -> None:
        recipients = tuple(LocalRecipient(AccountId(self.account), ADDRESS, name) for _ in range(copies))
        delivery = Delivery("t", "", recipients, (), ContentSource(0, inline=b""), INDEX)
        self.enter(filing.deliver, (Incoming(encode_content(content, COMPRESSOR)),), delivery, CONDITIONS)

    @rule(name=boxes, pick=picks, operation=st.sampled_from(FlagOperation), names=st.sets(st.sampled_from(FLAGS), max_size=3))
    def store(self, name: str, pick: list[int], operation: FlagOperation, names: set[str]) -> None:
        number = self.numbers().get(name, 0)
        self.run(flags.store_flags, self.account, number, self.picked(name, pick), operation, tuple(sorted(names)), None)

    @rule(name=boxes, pick=picks, only_deleted=st.booleans())
    def expunge(self, name: str, pick: list[int], only_deleted: bool) -> None:
        self.run(transfer.expunge, "imap", self.account, self.numbers().get(name, 0), self.picked(name, pick), only_deleted)

    @rule(source=boxes, to=boxes, pick=picks)
    def move(self, source: str, to: str, pick: list[int]) -> None:
        numbers = self.numbers()
        self.run(transfer.move, self.account, numbers.get(source, 0), self.picked(source, pick), numbers.get(to, 0))

    @rule(source=boxes, to=boxes, pick=picks)
    def copy(self, source: str, to: str, pick: list[int]) -> None:
        numbers = self.numbers()
        self.enter(transfer.copy, self.account, numbers.get(source, 0), self.picked(source, pick), numbers.get(to, 0))

    @rule(name=st.sampled_from(("Own", "Own/below", "Archive")))
    def delete_mailbox(self, name: str) -> None:
        self.run(mailboxes.delete, self.account, name)

    @rule(name=st.sampled_from(("Own", "Own/below", "Archive")))
    def make_mailbox(self, name: str) -> None:
        self.run(mailboxes.create, self.account, name, "", DEFAULT_LIMITS)

    @rule(old=st.sampled_from(("Own", "Own/below", "Other", "INBOX")), new=st.sampled_from(("Own", "Other", "Own/below", "Third/level")))
    def rename(self, old: str, new: str) -> None:
        self.run(mailboxes.rename, self.account, old, new, DEFAULT_LIMITS)

    @rule()
    def remove_and_add_the_account(self) -> None:
        self.run(directory.account_remove, ADDRESS)
        self.run(directory.account_add, ADDRESS, "hash")
        self.account = self.cursor.execute("SELECT id FROM account").fetchone()[0]

    @rule()
    def forget(self) -> None:
        cut = float(math.floor(self.now - KEPT_SECONDS))
        if cut <= self.began:
            return
        while self.run(forgetting.forget, cut, 3) == 3:
            pass
        self.run(housekeeping.drop_contents, 0.0)
        self.began = cut

    @rule(age=ages)
    def undo(self, age: int) -> None:
        at = [second for second in self.states if second >= self.began][-1 - age :][0]
        then, before = self.states[at], self.state()
        known = {uidl for second, state in self.states.items() if second <= at for uidl in state.messages}
        counts, left_out = self.undo_to(at)
        after = self.state()
        if left_out:
            return  # names that are taken: what is in them is there all the same
        for uidl, message in then.messages.items():
            assert after.messages.get(uidl) == message, (at, uidl)
        assert then.mailboxes <= after.mailboxes
        for uidl, message in before.messages.items():
            if uidl in known:
                assert (uidl in then.messages) == (uidl in after.messages), (at, uidl)
            else:
                # what came later is there, with its flags, wherever its mailbox is now
                assert attrs.evolve(after.messages[uidl], mailbox=message.mailbox) == message
        assert set(after.messages) <= set(before.messages) | set(then.messages)
        if before == after:
            assert counts == UndoCounts()

    def undo_to(self, at: float) -> tuple[UndoCounts, bool]:
        counts, left_out = UndoCounts(), False
        for _ in range(5):
            plan = self.plan(at)
            # a plan changes nothing, and says the same again
            assert plan == self.plan(at)
            if not plan.counts.total:
                return counts, False
            done = UndoCounts()
            left_out = False
            for step in plan.steps:
                for piece in pieces(step):
                    result = self.run(undo.apply, ADDRESS, piece, DEFAULT_LIMITS)
                    done += result.counts
                    left_out = left_out or bool(result.left_out)
                    # a step that is done twice does nothing more
                    again = self.run(undo.apply, ADDRESS, piece, DEFAULT_LIMITS)
                    assert again.counts == UndoCounts()
            if not left_out and not plan.counts.renamed:
                # a renamed mailbox makes its parents, and frees a name: the next plan sees it
                assert done == plan.counts
            counts += done
            if not done.total:
                break
        return counts, left_out

    def plan(self, at: float) -> Any:
        return reads.plan(Snapshot(self.cursor, self.packs), ADDRESS, at, "", (), self.now)

    @invariant()
    def references_are_right(self) -> None:
        if not hasattr(self, "connection"):
            return
        wrong = self.cursor.execute(
            "SELECT id FROM content WHERE refs != (SELECT count(*) FROM message WHERE content_id = content.id)"
        ).fetchall()
        assert not wrong
        # whatever can come back has its content
        lost = self.cursor.execute(
            "SELECT content_id FROM message WHERE content_id NOT IN (SELECT id FROM content) "
            "UNION SELECT content_id FROM buried WHERE content_id NOT IN (SELECT id FROM content)"
        ).fetchall()
        assert not lost
        counted = self.cursor.execute(
            "SELECT id FROM mailbox AS b WHERE messages != (SELECT count(*) FROM message WHERE mailbox_id = b.id)"
        ).fetchall()
        assert not counted


TestUndo = Machine.TestCase
TestUndo.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
