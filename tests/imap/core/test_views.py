"""Views that keep themselves up to date, against a store of a few lines whose failures come on cue; the clock is trio's own fake."""

from contextlib import asynccontextmanager

import attrs
import pytest
import trio
import trio.testing

from services.imap import views as views_module
from services.imap.seats import Seat
from services.imap.views import Views, open_views
from shared.contract.types import ChangesPage
from shared.errors import GrantExpired, LimitExceeded, NoSuchMailbox, Unavailable
from shared.model.ids import Grant, MailboxId, ModSeq, Uid
from shared.model.packed import pack_i64, pack_u32, pack_u64
from shared.model.rights import ALL_RIGHTS, Rights


class Watch:
    def __init__(self):
        self.event = trio.Event()
        self.event.set()

    async def wait(self):
        await self.event.wait()
        self.event = trio.Event()


class Store:
    """The two calls that a view makes."""

    def __init__(self):
        self.messages = self
        self.uids = [1, 2]
        self.failures = []
        self.calls = 0
        self.watches = []
        self.gate = trio.Event()
        self.gate.set()

    async def changes(self, grant, mailbox_id, since, after_uid, limit):
        self.calls += 1
        answer = [uid for uid in self.uids if uid > since and uid > after_uid]
        highest = self.uids[-1]
        await self.gate.wait()
        await trio.lowlevel.checkpoint()
        if self.failures:
            raise self.failures.pop(0)
        page, more = answer[:2], len(answer) > 2
        return ChangesPage(
            pack_u32(page), pack_u64(page), pack_u64([0] * len(page)), pack_u32([1] * len(page)),
            pack_i64([0] * len(page)), b"", (), Uid(highest + 1), ModSeq(highest), more,
        )  # fmt: skip

    @asynccontextmanager
    async def watch_mailbox(self, grant, mailbox_id):
        watch = Watch()
        self.watches.append(watch)
        try:
            yield watch
        finally:
            self.watches.remove(watch)

    def deliver(self, uid):
        self.uids.append(uid)
        for watch in self.watches:
            watch.event.set()


GRANT, BOX = Grant(b"g"), MailboxId(1)


def run(test):
    """Run a test with a store and views on a clock that jumps."""

    async def main():
        store = Store()
        async with open_views(store, linger_seconds=5) as views:
            await test(store, views)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def settle():
    """Until nothing is left to do at this moment."""
    await trio.testing.wait_all_tasks_blocked()


def test_shared_and_woken():
    async def test(store: Store, views: Views):
        first = await views.acquire(GRANT, BOX, 7)
        assert await views.acquire(GRANT, BOX, 7) is first
        assert list(first.uids) == [1, 2]
        await settle()
        woken = trio.Event()
        first.attach(woken.set)
        store.uids += [3, 4, 5]
        store.deliver(6)  # more than a page
        await woken.wait()
        assert list(first.uids) == [1, 2, 3, 4, 5, 6]
        assert first.highest_modseq == 6
        assert len(store.watches) == 1

    run(test)


def test_refreshes_share_one_call():
    async def test(store: Store, views: Views):
        view = await views.acquire(GRANT, BOX, 7)
        await settle()
        store.calls = 0
        store.gate = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(view.refresh)
            await settle()
            # These began while the first was under way: its answer may be too old for them.
            store.uids.append(3)
            for _ in range(20):
                nursery.start_soon(view.refresh)
            await settle()
            store.gate.set()
        assert store.calls == 2
        assert list(view.uids) == [1, 2, 3]

    run(test)


def test_the_watch_waits_for_our_own_calls():
    async def test(store: Store, views: Views):
        view = await views.acquire(GRANT, BOX, 7)
        await settle()
        store.calls = 0
        with view.own_call():
            store.deliver(3)
            await settle()
            assert store.calls == 0
        await settle()
        assert list(view.uids) == [1, 2, 3]
        # not for ever: a session that never rests does not keep the news of others away
        with view.own_call():
            store.deliver(4)
            await trio.sleep(views_module.OWN_CALLS_SECONDS)
            await settle()
            assert list(view.uids) == [1, 2, 3, 4]

    run(test)


def test_a_store_that_is_away_for_long():
    async def test(store: Store, views: Views):
        view = await views.acquire(GRANT, BOX, 7)
        await settle()
        store.failures = [Unavailable("gone")] * 3
        store.deliver(3)
        await trio.sleep(10)
        assert view.lost is None
        assert list(view.uids) == [1, 2, 3]
        store.deliver(4)
        await settle()
        assert list(view.uids) == [1, 2, 3, 4]

    run(test)


def test_what_vanished_is_forgotten_by_the_store():
    async def test(store: Store, views: Views):
        view = await views.acquire(GRANT, BOX, 7)
        await settle()
        store.uids = [2]
        store.failures = [LimitExceeded()]
        store.deliver(3)
        await settle()
        assert list(view.uids) == [2, 3]
        assert view.highest_modseq == 3

    run(test)


def test_a_deleted_mailbox():
    async def test(store: Store, views: Views):
        view = await views.acquire(GRANT, BOX, 7)
        await settle()
        woken = trio.Event()
        view.attach(woken.set)
        store.failures = [NoSuchMailbox()]
        store.deliver(3)
        await woken.wait()
        assert isinstance(view.lost, NoSuchMailbox)
        # somebody made it again: a fresh view
        again = await views.acquire(GRANT, BOX, 7)
        assert again is not view
        views.release(view)
        assert list(again.uids) == [1, 2, 3]

    run(test)


def test_a_newer_login_keeps_the_view():
    async def test(store: Store, views: Views):
        view = await views.acquire(GRANT, BOX, 7)
        await settle()
        await views.acquire(Grant(b"newer"), BOX, 7)
        store.failures = [GrantExpired()]
        store.deliver(3)
        await trio.sleep(3)
        assert view.lost is None
        assert list(view.uids) == [1, 2, 3]
        store.failures = [GrantExpired()]
        store.deliver(4)
        await trio.sleep(3)
        assert isinstance(view.lost, GrantExpired)

    run(test)


def test_another_uidvalidity_is_another_view():
    async def test(store: Store, views: Views):
        view = await views.acquire(GRANT, BOX, 7)
        assert await views.acquire(GRANT, BOX, 8) is not view
        views.release(view)
        assert views.statistics()["views"] == 1

    run(test)


def test_given_back_when_nobody_wants_it():
    async def test(store: Store, views: Views):
        view = await views.acquire(GRANT, BOX, 7)
        await settle()
        views.release(view)
        await trio.sleep(3)
        assert await views.acquire(GRANT, BOX, 7) is view
        await trio.sleep(10)
        assert views.statistics()["views"] == 1
        views.release(view)
        await trio.sleep(10)
        assert views.statistics() == {"views": 0, "messages": 0, "octets": 0}
        assert store.watches == []

    run(test)


def test_a_failed_acquire_holds_nothing():
    async def test(store: Store, views: Views):
        store.failures = [Unavailable()] * 2
        with pytest.raises(Unavailable):
            await views.acquire(GRANT, BOX, 7)
        await trio.sleep(10)
        assert views.statistics()["views"] == 0

    run(test)


class Guarded(Store):
    """A store that lets some grants in, and says when that changes."""

    def __init__(self):
        super().__init__()
        self.mailboxes = self
        self.allowed = {b"alice": ALL_RIGHTS, b"bob": Rights.READ, b"carol": Rights.READ}
        self.version = 0

    async def changes(self, grant, mailbox_id, since, after_uid, limit):
        if grant not in self.allowed:
            raise NoSuchMailbox
        page = await super().changes(grant, mailbox_id, since, after_uid, limit)
        return attrs.evolve(page, acl_version=self.version)

    async def rights(self, grant, mailbox_id):
        await trio.lowlevel.checkpoint()
        if grant not in self.allowed:
            raise NoSuchMailbox
        return int(self.allowed[grant])

    def set(self, grant, rights):
        if rights is None:
            del self.allowed[grant]
        else:
            self.allowed[grant] = rights
        self.version += 1
        for watch in self.watches:
            watch.event.set()


def test_a_guest_who_is_shut_out_disturbs_nobody():
    async def main():
        store = Guarded()
        async with open_views(store, linger_seconds=5) as views:
            seats = {}
            for name in (b"alice", b"carol", b"bob"):
                view = await views.acquire(Grant(name), BOX, 7)
                seats[name] = Seat(Grant(name), own=name == b"alice", rights=store.allowed[name])
                view.attach(
                    trio.Event().set if name == b"alice" else wakes.setdefault(name, trio.Event()).set, seats[name]
                )
            await settle()
            # the view asks with the newest grant, Bob's
            assert view.grant == b"bob"
            store.set(b"bob", None)
            await settle()
            assert isinstance(seats[b"bob"].lost, NoSuchMailbox)
            assert wakes[b"bob"].is_set()
            assert view.lost is None
            assert view.grant != b"bob"
            store.set(b"carol", Rights.READ | Rights.SEEN)
            await settle()
            assert seats[b"carol"].rights == Rights.READ | Rights.SEEN
            assert seats[b"alice"].rights == ALL_RIGHTS
            store.deliver(9)
            await settle()
            assert list(view.uids) == [1, 2, 9]
            # and when nobody may, the view is lost
            store.set(b"carol", None)
            store.set(b"alice", None)
            store.deliver(10)
            await settle()
            assert isinstance(view.lost, NoSuchMailbox)
            assert all(seat.lost for seat in seats.values())

    wakes = {}
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_rights_that_changed_while_a_guest_came_in_are_looked_at_again():
    async def main():
        store = Guarded()
        async with open_views(store, linger_seconds=5) as views:
            view = await views.acquire(Grant(b"alice"), BOX, 7)
            view.attach(lambda: None, Seat(Grant(b"alice")))
            store.version = 5
            await view.refresh()
            seat = Seat(Grant(b"bob"), own=False, rights=Rights.READ | Rights.WRITE, acl_version=4)
            view.attach(lambda: None, seat)
            await view.refresh()
            assert (seat.rights, seat.acl_version) == (Rights.READ, 5)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_large_view_stays_longer_while_there_is_room(monkeypatch):
    async def test(store: Store, views: Views):
        store.uids[:] = range(1, 41)
        view = await views.acquire(GRANT, BOX, 7)
        views.release(view)
        await trio.sleep(5 + 3)
        assert views.statistics()["views"] == 1
        await trio.sleep(2)
        assert views.statistics()["views"] == 0
        # too much is kept already: it goes as soon as a small one
        monkeypatch.setattr(views_module, "UNUSED_OCTETS", 40 * 32 - 1)
        views.release(await views.acquire(GRANT, BOX, 7))
        await trio.sleep(4)
        assert views.statistics()["views"] == 1
        await trio.sleep(2)
        assert views.statistics()["views"] == 0

    monkeypatch.setattr(views_module, "MESSAGES_PER_SECOND", 10)
    run(test)
