"""The queue's worker: leases what is due, delivers it over a bounded number of sessions, reports, gives the rest back.

Theory. The lease loop keeps a bounded number of entries in memory, whatever the backlog is. Entries of one message and
one hop are a job. Each hop (destination domain, or a relay) has its own row of jobs and its own lanes: a lane is
a task with at most one session, which takes job after job and so reuses its connection; a lane without work keeps its
session for some seconds, then says QUIT.

Laws
- A destination never delays another: opening and delivering have separate bounds, an unproven hop opens one session at
  a time, a hop whose row is long is named busy to the store, a hop that is down has its whole row deferred at once.
- A lane reports a job before it takes the next: between a remote's 250 and the store's commit stand one call and one
  group commit, and a crash there repeats that one message of each lane, nothing else.
- Accounts take turns at a hop (`row`), and none holds more than its part of the room (`holdings`).
- Leases are extended while their jobs wait or run; a lease that is lost before its job began drops the job.
- Draining: nothing new is leased, what waits is released, what runs may finish for `grace_seconds`, then is cut off and
  released. A report that was begun is finished even then, within a few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from math import inf

import trio

from services.smtp_out.connector import Connector
from services.smtp_out.destination import Destination, group_jobs
from services.smtp_out.egress.guide import Guide
from services.smtp_out.egress.tester import RelayTester
from services.smtp_out.egress.ways import Choice
from services.smtp_out.holdings import Holdings
from services.smtp_out.lane import Lane, Tools
from services.smtp_out.options import Options
from services.smtp_out.pace import Pace
from services.smtp_out.protocol.transaction import MAX_RECIPIENTS
from services.smtp_out.report import Reporter
from services.smtp_out.row import Job
from services.smtp_out.sign import Signer
from services.smtp_out.wishes import lane_of
from shared.errors import StoreError
from shared.model.ids import EntryId
from shared.observe.log import Logger
from shared.observe.metrics import Metrics
from shared.rpc.store_client import StoreClient

_POLL_SECONDS = 60.0
_TROUBLE_SECONDS = 1.0  # pause after the store refused a lease
_LAST_REPORT_SECONDS = 2.0  # for reports and releases after the grace is over
_BUSY_NAMED = 1000  # destinations named busy in one lease, at most
_EXTENDED_AT_ONCE = 1000


class Worker:
    """One process's worker. `name` is unique among the workers of the store."""

    def __init__(
        self,
        name: str,
        options: Options,
        store: StoreClient,
        guide: Guide,
        connector: Connector,
        reporter: Reporter,
        log: Logger,
        metrics: Metrics,
    ) -> None:
        self._name = name
        self._options = options
        self._store = store
        self._guide = guide
        self._tester = RelayTester(guide, connector, store.relays, log)
        self._reporter = reporter
        self._log = log
        self._destinations: dict[str, Destination] = {}
        self._lots: dict[str, trio.lowlevel.ParkingLot] = {}
        self._held = Holdings()
        self._lost: set[EntryId] = set()
        self._poke = trio.Event()
        self._starved = False
        self._draining = False
        self._pace = Pace(options.rates)
        self._lanes: trio.Nursery
        self._helpers: trio.Nursery
        self._leasing = trio.CancelScope()
        # even without a word: entries that a crashed worker held come due without one
        self._poll_seconds = min(_POLL_SECONDS, options.lease_seconds / 2)
        self._tools = Tools(
            worker=name,
            options=options,
            queue=store.queue,
            guide=guide,
            connector=connector,
            reporter=reporter,
            signer=Signer(store.queue, log, time.time, time.monotonic),
            log=log,
            opening=trio.CapacityLimiter(options.max_opening),
            active=trio.CapacityLimiter(options.max_sessions),
            sessions=metrics.gauge("pillarbox_smtp_out_sessions", "Open SMTP sessions."),
            forget=self._forget,
            balance=self._balance,
        )
        metrics.gauge("pillarbox_smtp_out_leased", "Entries held now.").read_from(lambda: len(self._held))
        metrics.gauge("pillarbox_smtp_out_learned_ways", "Destinations whose mail goes another way than direct.").read_from(
            lambda: self._guide.ways_learned
        )
        metrics.gauge("pillarbox_smtp_out_destinations", "Hops with work now.").read_from(
            lambda: len(self._destinations)
        )

    def statistics(self) -> dict[str, int]:
        """Sizes of everything that could grow."""
        return {
            "held": len(self._held),
            "destinations": len(self._destinations),
            "lanes": sum(hop.lanes for hop in self._destinations.values()),
            "sessions": sum(hop.connected for hop in self._destinations.values()),
        }

    async def run(self, wait_draining: Callable[[], Awaitable[object]]) -> None:
        """Work until `wait_draining` returns and what was under way is done."""
        async with trio.open_nursery() as helpers:
            self._helpers = helpers
            helpers.start_soon(self._watch)
            helpers.start_soon(self._keep_leases)
            helpers.start_soon(self._tester.run)
            async with trio.open_nursery() as lanes:
                self._lanes = lanes
                async with trio.open_nursery() as leasing:
                    leasing.start_soon(self._lease_for_ever)
                    await wait_draining()
                    leasing.cancel_scope.cancel()
                    self._leasing.deadline = trio.current_time() + _TROUBLE_SECONDS
                await self._begin_drain(helpers)
            await self._release_rest()
            helpers.cancel_scope.cancel()

    # --- leasing ---

    async def _watch(self) -> None:
        while True:
            try:
                async with self._store.watch_queue() as watch:
                    while True:
                        await watch.wait()
                        self._poke.set()
            except StoreError as error:
                self._log.debug("the queue cannot be watched now", reason=str(error))
                await trio.sleep(_TROUBLE_SECONDS)

    async def _lease_for_ever(self) -> None:
        while True:
            room = self._options.max_leased - len(self._held)
            busy = self._busy(room)
            self._starved = room <= 0 or bool(busy)
            self._poke = trio.Event()
            wait_seconds = self._poll_seconds
            if room > 0 and not await self._knows_ways():
                wait_seconds = _TROUBLE_SECONDS
            elif room > 0:
                limit = min(room, self._options.batch)
                leased, wait_seconds = await self._lease(limit, busy)
                if leased >= limit:
                    continue
            with trio.move_on_after(wait_seconds):
                await self._poke.wait()

    async def _knows_ways(self) -> bool:
        """Whether the ways of mail are known; nothing is leased before."""
        return self._guide.ready or await self._guide.refresh()

    async def _lease(self, limit: int, busy: tuple[str, ...]) -> tuple[int, float]:
        """Lease once; how many entries came, and after how many seconds to ask again without a word from the store."""
        try:
            # Shielded: an answer that is thrown away leaves its entries leased to nobody until the lease ends.
            with trio.CancelScope(shield=True) as self._leasing:
                lease = await self._store.queue.lease(self._name, limit, self._options.lease_seconds, busy)
                await self._guide.refresh(lease.plan)
            if self._leasing.cancelled_caught:
                return 0, _TROUBLE_SECONDS
        except StoreError as error:
            self._log.warning("no work from the store", reason=str(error))
            return 0, _TROUBLE_SECONDS
        entries = [entry for entry in lease.entries if entry.entry_id not in self._held]
        jobs = group_jobs(entries, self._guide.choose, MAX_RECIPIENTS)
        for job in jobs:
            self._held.add(job)
            self._destination(job.key).pending.append(job)
        for key in {job.key for job in jobs}:
            self._balance(self._destinations[key])
        if lease.next_due is None:
            return len(entries), self._poll_seconds
        due_in = lease.next_due - self._reporter.now()
        # due already and not given: of a busy destination; its row will poke us
        return len(entries), min(due_in, self._poll_seconds) if due_in > 0 else _TROUBLE_SECONDS

    def _busy(self, room: int) -> tuple[str, ...]:
        """What has a row long enough, or more than its part of the room: leasing more of it would keep out the others."""
        names = [f"{account}@" for account in self._held.hogs(room)]
        for hop in self._destinations.values():
            names += hop.pending.busy_names(2 * hop.most_sessions)
        return tuple(names[:_BUSY_NAMED])

    async def _keep_leases(self) -> None:
        while True:
            await trio.sleep(self._options.lease_seconds / 3)
            ids = tuple(self._held)
            for start in range(0, len(ids), _EXTENDED_AT_ONCE):
                part = ids[start : start + _EXTENDED_AT_ONCE]
                try:
                    kept = await self._store.queue.extend(self._name, part, self._options.lease_seconds)
                except StoreError as error:
                    self._log.warning("leases could not be extended", reason=str(error))
                    break
                self._lost.update(entry for entry in set(part) - set(kept) if entry in self._held)

    # --- lanes ---

    def _destination(self, key: str) -> Destination:
        hop = self._destinations.get(key)
        if hop is None:
            most = self._options.destination_sessions.get(key, self._options.max_per_destination)
            hop = self._destinations[key] = Destination(key, most)
            self._lots[key] = trio.lowlevel.ParkingLot()
        return hop

    def _balance(self, hop: Destination) -> None:
        """Wake or start as many lanes as there are jobs, within the hop's limit and pace; forget a hop that has neither."""
        lot = self._lots[hop.key]
        now = trio.current_time()
        ready = self._ready(hop, now)
        lot.unpark(count=len(lot) if self._draining else min(len(lot), ready))
        if self._draining:
            return
        for _ in range(hop.lanes_wanted(ready)):
            hop.lanes += 1
            hop.idle += 1
            self._lanes.start_soon(self._lane, hop)
        self._wake_later(hop, now)
        if not hop.pending and hop.lanes == 0:
            del self._destinations[hop.key], self._lots[hop.key]

    def _ready(self, hop: Destination, now: float) -> int:
        """Jobs that the pace would let go now, each alone."""
        if self._pace.destination_wait(hop.key, now):
            return 0
        row = hop.pending
        return sum(row.waiting(account) for account in row.accounts if not self._pace.account_wait(account, now))

    def _wake_later(self, hop: Destination, now: float) -> None:
        """See to it that somebody looks after a hop again when its pace allows what waits now."""
        if not hop.pending:
            return
        first = min(self._pace.account_wait(account, now) for account in hop.pending.accounts)
        at = now + max(first, self._pace.destination_wait(hop.key, now))
        if now < at < hop.wake_at:
            hop.wake_at = at
            self._helpers.start_soon(self._wake, hop, at)

    async def _wake(self, hop: Destination, at: float) -> None:
        await trio.sleep_until(at)
        if hop.wake_at == at:
            hop.wake_at = inf
        if self._destinations.get(hop.key) is hop:
            self._balance(hop)

    async def _lane(self, hop: Destination) -> None:
        lane = Lane(hop, self._tools)
        try:
            while True:
                try:
                    job = await self._next_job(hop, lane)
                finally:
                    hop.idle -= 1
                if job is None:
                    break
                await lane.serve(job)
                hop.idle += 1
                if self._starved:
                    self._poke.set()
        finally:
            hop.lanes -= 1
            self._balance(hop)
            await lane.close()

    async def _next_job(self, hop: Destination, lane: Lane) -> Job | None:
        """The next job; None when the lane should end."""
        with trio.move_on_after(self._options.idle_seconds):
            while True:
                job = self._take(hop)
                if job is not None or not lane.may_wait or self._draining:
                    return job
                await self._lots[hop.key].park()
        # woken and timed out at the same moment: nobody else was woken for that job
        return self._take(hop)

    def _take(self, hop: Destination) -> Job | None:
        now = trio.current_time()
        while not self._pace.destination_wait(hop.key, now):
            job = hop.pending.take(lambda account: not self._pace.account_wait(account, now))
            if job is None:
                return None
            lost = [entry for entry in job.ids if entry in self._lost]
            if lost:
                self._log.warning("lease lost before the attempt", trace=job.first.trace, entries=len(lost))
                job.entries = tuple(entry for entry in job.entries if entry.entry_id not in self._lost)
                self._forget(lost)
            if not job.entries:
                continue
            choice = self._guide.moved(job)
            if choice is None:
                self._pace.started(hop.key, job.account, now)
                self._wake_later(hop, now)
                return job
            self._send_elsewhere(job, choice)
        return None

    def _send_elsewhere(self, job: Job, choice: Choice) -> None:
        """While it waited its destination was moved to another way."""
        job.key, job.choice = lane_of(job.first, choice.way.hop_key(job.first.destination)), choice
        hop = self._destination(job.key)
        hop.pending.append(job)
        self._balance(hop)

    def _forget(self, entries: Sequence[EntryId]) -> None:
        for entry in entries:
            self._held.remove(entry)
            self._lost.discard(entry)

    # --- draining ---

    async def _begin_drain(self, helpers: trio.Nursery) -> None:
        self._draining = True
        waiting = [job for hop in self._destinations.values() for job in hop.pending.take_all()]
        for hop in list(self._destinations.values()):
            self._balance(hop)
        helpers.start_soon(self._end_grace)
        await self._release(waiting)

    async def _end_grace(self) -> None:
        await trio.sleep(self._options.grace_seconds)
        self._lanes.cancel_scope.cancel()
        for scope in self._tools.report_scopes:
            scope.deadline = trio.current_time() + _LAST_REPORT_SECONDS

    async def _release_rest(self) -> None:
        """What was cut off: nothing final is known about it, so it is tried again."""
        await self._release(self._held.jobs())

    async def _release(self, jobs: Sequence[Job]) -> None:
        if jobs:
            self._log.info("released", entries=sum(len(job.entries) for job in jobs))
            with trio.move_on_after(_LAST_REPORT_SECONDS):
                await self._reporter.release(jobs)
            for job in jobs:
                self._forget(job.ids)
