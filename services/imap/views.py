"""The views of this process: made when the first session selects a mailbox, given back after the last one left it.

One task per view keeps the watch, survives restarts of the store, and resynchronises afterwards.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import trio

from services.imap.seats import GONE, Seat, expel
from services.imap.view import Columns, Wake
from shared.contract.types import ChangesPage
from shared.errors import LimitExceeded, StoreError
from shared.model.ids import Grant, MailboxId, ModSeq, Uid
from shared.model.packed import unpack_u32
from shared.model.rights import Rights
from shared.rpc.store_client import StoreClient

PAGE_MESSAGES: Final = 20_000
RETRY_SECONDS: Final = 1.0
OWN_CALLS_SECONDS: Final = 0.05
"""How long the news of others may wait for the results of our sessions' own calls."""
MESSAGES_PER_SECOND: Final = 2_000
"""A view that nobody uses stays a second longer for so many messages, LONGEST_SECONDS at the most."""
LONGEST_SECONDS: Final = 600.0
UNUSED_OCTETS: Final = 64 * 1024 * 1024
"""Of views that nobody uses, all together; beyond it a view goes soon, whatever its size."""


class View(Columns):
    """Columns that keep themselves up to date."""

    def __init__(self, store: StoreClient, mailbox_id: MailboxId, uidvalidity: int, grant: Grant) -> None:
        super().__init__(mailbox_id, uidvalidity)
        self._store = store
        self.grant = grant
        self.lost: StoreError | None = None
        """Why this view can no longer be kept: the mailbox or the login is gone."""
        self._seats: dict[Wake, Seat | None] = {}
        self._acl_version = -1
        self._lock = trio.Lock()
        self._started = 0
        self._finished = 0
        self._own_calls: set[trio.Event] = set()

    @contextmanager
    def own_call(self) -> Iterator[None]:
        """Around a session's call that changes this mailbox, until its result is in the columns: the watch does not ask for that again."""
        done = trio.Event()
        self._own_calls.add(done)
        try:
            yield
        finally:
            self._own_calls.discard(done)
            done.set()

    async def _own_calls_done(self) -> None:
        while self._own_calls:
            await next(iter(self._own_calls)).wait()

    def attach(self, wake: Wake, seat: Seat | None = None) -> None:
        """Call ``wake`` after each change, and when the seat's rights have changed or it is lost."""
        self._seats[wake] = seat
        if seat is not None and not seat.own and seat.acl_version != self._acl_version:
            # the rights changed while it came in: the next page looks again
            self._acl_version = -1

    def detach(self, wake: Wake) -> None:
        self._seats.pop(wake, None)

    def wake_all(self) -> None:
        """After a change that a session applied itself."""
        for wake in tuple(self._seats):
            wake()

    def _expel(self, grant: Grant, error: StoreError) -> bool:
        """A grant opens the mailbox no longer; whether there is another one to go on with."""
        if self.grant != grant:
            return True
        other = expel(filter(None, self._seats.values()), grant, error)
        if other is not None:
            self.grant = other
            self.wake_all()
        return other is not None

    async def _changes(self, since: ModSeq, after: Uid) -> ChangesPage:
        """A page, by whoever may still ask for it. Raises StoreError."""
        while True:
            grant = self.grant
            try:
                return await self._store.messages.changes(grant, self.mailbox_id, since, after, PAGE_MESSAGES)
            except GONE as error:
                if not self._expel(grant, error):
                    raise

    async def _check_guests(self, version: int) -> None:
        """The mailbox's rights have changed: look what each guest may do now. Raises StoreError for a store that is away."""
        for wake, seat in tuple(self._seats.items()):
            if seat is None or seat.own or seat.lost is not None or seat.acl_version == version:
                continue
            try:
                seat.rights = Rights(await self._store.mailboxes.rights(seat.grant, self.mailbox_id))
            except GONE as error:
                seat.lost = error
            seat.acl_version = version
            wake()
        self._acl_version = version

    async def refresh(self) -> None:
        """Return when everything that was committed before this call is in. Raises StoreError."""
        wanted = self._started + 1
        async with self._lock:
            if self._finished >= wanted:
                return
            self._started += 1
            number = self._started
            await self._pull()
            self._finished = number

    async def _pull(self) -> None:
        try:
            changed = await self._pull_since(self.highest_modseq)
        except LimitExceeded:
            if not self.highest_modseq:
                raise
            # The store no longer knows what vanished that long ago: compare with all that is there.
            changed = await self._pull_since(ModSeq(0))
        if changed:
            self.wake_all()

    async def _pull_since(self, since: ModSeq) -> bool:
        """Take in all pages of changes; whether anything was new."""
        before = self.uids
        listed: list[int] = []
        after = Uid(0)
        cursor = None
        changed = False
        while True:
            page = await self._changes(since, after)
            if cursor is None:
                cursor = page.highest_modseq
            changed |= self.apply_page(page)
            if not since and before:
                listed.extend(unpack_u32(page.uids))
            if not page.more:
                if page.acl_version != self._acl_version:
                    await self._check_guests(page.acl_version)
                break
            after = Uid(int.from_bytes(page.uids[-4:], "little"))
        if not since and before:
            changed |= self.keep_only(listed, before)
        # what a session of ours did meanwhile may have moved it further
        self.highest_modseq = max(self.highest_modseq, cursor)
        return changed

    async def run(self) -> None:
        """Watch until cancelled or lost."""
        while self.lost is None:
            grant = self.grant
            try:
                async with self._store.watch_mailbox(grant, self.mailbox_id) as watch:
                    while True:
                        await watch.wait()
                        # a session that never rests must not keep the news of others away
                        with trio.move_on_after(OWN_CALLS_SECONDS):
                            await self._own_calls_done()
                        await self.refresh()
            except StoreError as error:
                if isinstance(error, GONE):
                    if self._expel(grant, error):
                        continue
                    self.lost = error
                    self.wake_all()
                    return
                # Away or busy: the sessions live on, and the next watch begins with a refresh.
                await trio.sleep(RETRY_SECONDS)


class Views:
    """All views of the process."""

    def __init__(self, store: StoreClient, nursery: trio.Nursery, linger_seconds: float = 20.0) -> None:
        self._store = store
        self._nursery = nursery
        self._linger_seconds = linger_seconds
        self._entries: OrderedDict[MailboxId, _Entry] = OrderedDict()

    async def acquire(self, grant: Grant, mailbox_id: MailboxId, uidvalidity: int) -> View:
        """The view of a mailbox, up to date. The grant must have been checked for this mailbox just before. Raises StoreError."""
        entry = self._entries.get(mailbox_id)
        if entry is not None and (entry.view.lost is not None or entry.view.uidvalidity != uidvalidity):
            self._drop(mailbox_id, entry)
            entry = None
        if entry is None:
            entry = self._entries[mailbox_id] = _Entry(View(self._store, mailbox_id, uidvalidity, grant))
            self._nursery.start_soon(self._keep, mailbox_id, entry)
        entry.users += 1
        entry.idle_scope.cancel()
        entry.view.grant = grant
        try:
            await entry.view.refresh()
        except BaseException:
            self.release(entry.view)
            raise
        return entry.view

    @asynccontextmanager
    async def borrow(self, grant: Grant, mailbox_id: MailboxId, uidvalidity: int) -> AsyncIterator[Columns]:
        """A mailbox's columns for a look at them: those that are kept anyway, or some that are given up afterwards. Raises StoreError."""
        entry = self._entries.get(mailbox_id)
        if entry is None or entry.view.lost is not None or entry.view.uidvalidity != uidvalidity:
            passing = View(self._store, mailbox_id, uidvalidity, grant)
            await passing.refresh()
            yield passing
            return
        entry.users += 1
        entry.idle_scope.cancel()
        try:
            await entry.view.refresh()
            yield entry.view
        finally:
            self.release(entry.view)

    def release(self, view: View) -> None:
        """Give a view back; it goes when nobody wants it again soon."""
        entry = self._entries.get(view.mailbox_id)
        if entry is None or entry.view is not view:
            return
        entry.users -= 1
        if entry.users == 0:
            entry.idle_scope = trio.CancelScope()
            seconds = self._seconds_to_linger(view)
            self._nursery.start_soon(self._expire, view.mailbox_id, entry, entry.idle_scope, seconds)

    def _seconds_to_linger(self, view: View) -> float:
        """A large view takes long to load again: it stays longer, as long as those that nobody uses are small together."""
        unused = sum(entry.view.statistics()["octets"] for entry in self._entries.values() if not entry.users)
        if unused > UNUSED_OCTETS:
            return self._linger_seconds
        return min(self._linger_seconds + len(view.uids) / MESSAGES_PER_SECOND, max(self._linger_seconds, LONGEST_SECONDS))

    async def _expire(self, mailbox_id: MailboxId, entry: "_Entry", scope: trio.CancelScope, seconds: float) -> None:
        with scope:
            await trio.sleep(seconds)
            if entry.users == 0:
                self._drop(mailbox_id, entry)

    def _drop(self, mailbox_id: MailboxId, entry: "_Entry") -> None:
        entry.scope.cancel()
        if self._entries.get(mailbox_id) is entry:
            del self._entries[mailbox_id]

    async def _keep(self, mailbox_id: MailboxId, entry: "_Entry") -> None:
        with entry.scope:
            await entry.view.run()

    def statistics(self) -> dict[str, int]:
        """Views, messages in them, octets of their columns."""
        all_statistics = [entry.view.statistics() for entry in self._entries.values()]
        return {
            "views": len(all_statistics),
            "messages": sum(statistics["messages"] for statistics in all_statistics),
            "octets": sum(statistics["octets"] for statistics in all_statistics),
        }


class _Entry:
    def __init__(self, view: View) -> None:
        self.view = view
        self.users = 0
        self.scope = trio.CancelScope()
        self.idle_scope = trio.CancelScope()


@asynccontextmanager
async def open_views(store: StoreClient, linger_seconds: float = 20.0) -> AsyncIterator[Views]:
    """The process's views; all of them end with the context."""
    async with trio.open_nursery() as nursery:
        yield Views(store, nursery, linger_seconds)
        nursery.cancel_scope.cancel()
