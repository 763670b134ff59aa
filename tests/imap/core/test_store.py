"""STORE .SILENT when the view hears of the change before the session does."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from services.imap.commands import store as store_command
from services.imap.commands.store import _keep_quiet, handle_store
from services.imap.context import Context, Login
from services.imap.protocol.arguments import Command, StoreArguments, StoreMode
from services.imap.protocol.sequence_set import SequenceSet
from services.imap.updates import Selected
from services.imap.view import Columns
from shared.contract.types import ChangesPage, StoreFlagsResult
from shared.model.flags import SystemFlag
from shared.model.ids import AccountId, Grant, MailboxId, ModSeq, Uid
from shared.model.packed import pack_i64, pack_u32, pack_u64, unpack_u32
from shared.testing import trio_test

SEEN, FLAGGED = SystemFlag.SEEN.value, SystemFlag.FLAGGED.value


def page(rows, highest):
    uids, flags, modseqs = zip(*rows, strict=True)
    return ChangesPage(
        pack_u32(uids), pack_u64(modseqs), pack_u64(flags), pack_u32([1] * len(uids)), pack_i64([0] * len(uids)), b"", (),
        Uid(100), ModSeq(highest), False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("now", "known", "told"),
    [
        (SEEN, {1: 0}, False),  # what the client computes itself
        (SEEN | FLAGGED, {1: 0}, True),  # somebody else changed it meanwhile
        (SEEN, {}, True),  # somebody else's change is still to be told
    ],
)
def test_own_changes_that_came_first_by_the_watch(now, known, told):
    columns = Columns(MailboxId(1), 1)
    columns.apply_page(page([(1, 0, 1), (2, 0, 1)], 1))
    selected = Selected(columns, read_only=False, first_recent_uid=1000)
    columns.apply_page(page([(1, now, 5)], 5))
    result = StoreFlagsResult(ModSeq(5), pack_u32([1]), pack_u64([now]), pack_u64([5]), b"", ())
    arguments = StoreArguments(SequenceSet(((1, 1),)), StoreMode.ADD, silent=True, flags=("\\Seen",))
    _keep_quiet(SimpleNamespace(view=columns, mailbox=selected), arguments, result, known)
    assert bool(selected.render(expunge=True)) is told


# --- through handle_store, while the store's answer is on its way ---

SILENT = StoreArguments(SequenceSet(((1, 1),)), StoreMode.ADD, silent=True, flags=("\\Seen",))
SEEN_TOLD = b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n"
BOTH_TOLD = b"* 1 FETCH (UID 1 FLAGS (\\Seen \\Flagged))\r\n"
TWO_TOLD = b"* 2 FETCH (UID 2 FLAGS (\\Flagged))\r\n"


class Watched(Columns):
    """A view that nobody else looks at."""

    def wake_all(self):
        return

    def own_call(self):
        return nullcontext()


class Session(Context):
    """As far as STORE needs one; the store answers when ``answer`` is there."""

    def __init__(self):
        view = Watched(MailboxId(1), 1)
        view.apply_page(page([(1, 0, 1), (2, 0, 1)], 1))
        self._view = view
        self.selected = Selected(view, read_only=False, first_recent_uid=1000)
        self.enabled = set()
        self.limits = SimpleNamespace(messages_per_command=1000)
        self._login = Login(AccountId(1), "a@example.test", Grant(b""))
        self.asked, self.answer = trio.Event(), trio.Event()
        self.store = SimpleNamespace(messages=self)
        self.client = self
        self.written = []

    def write(self, data):
        self.written.append(data)

    async def drain(self):
        return

    async def store_flags(self, *_):
        self.asked.set()
        await self.answer.wait()
        return self.result


@pytest.mark.parametrize(
    ("heard", "flags", "modseq", "told"),
    [
        ((), SEEN, 5, b""),
        # our own change came by the watch first
        ([[(1, SEEN, 5)]], SEEN, 5, b""),
        # another session's change was before ours: heard alone, with ours, or not heard yet
        ([[(1, FLAGGED, 5)]], SEEN | FLAGGED, 6, BOTH_TOLD),
        ([[(1, FLAGGED, 5)], [(1, SEEN | FLAGGED, 6)]], SEEN | FLAGGED, 6, BOTH_TOLD),
        ([[(1, SEEN | FLAGGED, 6)]], SEEN | FLAGGED, 6, BOTH_TOLD),
        ((), SEEN | FLAGGED, 6, BOTH_TOLD),
        # it was after ours
        ([[(1, SEEN | FLAGGED, 6)]], SEEN, 5, BOTH_TOLD),
        ([[(1, SEEN, 5)], [(1, SEEN | FLAGGED, 6)]], SEEN, 5, BOTH_TOLD),
        # it was of another message, in between
        ([[(1, SEEN, 5), (2, FLAGGED, 6)]], SEEN, 5, TWO_TOLD),
        ([[(2, FLAGGED, 5)]], SEEN, 6, TWO_TOLD),
        # the other session did the same before us: it is told, though the client could know
        ([[(1, SEEN, 5)]], SEEN, 0, SEEN_TOLD),
    ],
)  # fmt: skip
@trio_test
async def test_another_sessions_change_is_not_taken_for_ours(heard, flags, modseq, told):
    session = Session()
    session.result = StoreFlagsResult(
        ModSeq(modseq), pack_u32([1]), pack_u64([flags]), pack_u64([modseq or 5]), b"", ()
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(handle_store, session, Command(b"a", "STORE", SILENT))
        await session.asked.wait()
        for rows in heard:
            session.view.apply_page(page(rows, max(row[2] for row in rows)))
        session.answer.set()
    assert b"".join(session.written) == b""
    assert session.selected.render(expunge=True) == told
    # and once only; the next page of the watch brings what is known already
    session.view.apply_page(page([(1, session.view.flags[0], session.view.modseqs[0])], 7))
    assert session.selected.render(expunge=True) == b""


@trio_test
async def test_what_was_to_be_told_before_the_command_is_told():
    session = Session()
    session.view.apply_page(page([(1, FLAGGED, 4)], 4))
    session.result = StoreFlagsResult(ModSeq(5), pack_u32([1]), pack_u64([SEEN | FLAGGED]), pack_u64([5]), b"", ())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(handle_store, session, Command(b"a", "STORE", SILENT))
        await session.asked.wait()
        session.view.apply_page(page([(1, SEEN | FLAGGED, 5)], 5))
        session.answer.set()
    assert session.selected.render(expunge=True) == BOTH_TOLD


@trio_test
async def test_parts_are_taken_in_in_any_order(monkeypatch):
    """The store is asked for the next part before the last one has been told."""
    monkeypatch.setattr(store_command, "UIDS_AT_ONCE", 1)
    session = Session()
    session.view.highest_modseq = ModSeq(1)
    answers = {1: trio.Event(), 2: trio.Event()}
    asked = trio.Event()

    async def store_flags(grant, mailbox_id, uids, *_):
        (uid,) = unpack_u32(uids)
        if uid == 2:
            asked.set()
        await answers[uid].wait()
        return StoreFlagsResult(ModSeq(uid + 1), uids, pack_u64([SEEN]), pack_u64([uid + 1]), b"", ())

    session.store_flags = store_flags
    both = StoreArguments(SequenceSet(((1, 2),)), StoreMode.ADD, silent=True, flags=("\\Seen",))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(handle_store, session, Command(b"a", "STORE", both))
        await asked.wait()
        answers[2].set()
        await trio.testing.wait_all_tasks_blocked()
        assert session.view.highest_modseq == 1
        answers[1].set()
    assert session.view.highest_modseq == 3
    assert list(session.view.flags) == [SEEN, SEEN]
    assert b"".join(session.written) == b""
    assert session.selected.render(expunge=True) == b""
