"""Puts the store's plan (relays, rules, learned ways) and the learner to work: a way for each entry, the day's cap, what to report.

Laws
- Nothing is chosen before the plan was read: mail never goes direct only because a rule is not known yet. Each lease says which
  version of the plan holds; one that cannot be read anew is read again with the next lease, and holds on until then.
- Through a relay with a cap nothing is sent that the store has not counted before. What is over waits; an automatic way takes the
  next fallback relay with room. It never goes direct behind a rule's back.
- What was learned is with the store before the result is: a restart in between learns it again, and loses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import attrs
import trio

from services.smtp_out import outcome
from services.smtp_out.attempt import ascii_domain
from services.smtp_out.egress.learner import Attempt, Judgement, Learner
from services.smtp_out.egress.rules import RuleBook
from services.smtp_out.egress.signs import NO_IPV4
from services.smtp_out.egress.ways import BY_DEFAULT, Choice, Kind
from services.smtp_out.options import Options, SmartHost, tls_policy
from services.smtp_out.outcome import Result
from services.smtp_out.report import Attempted
from services.smtp_out.route import ERRANDS, Route, Router
from services.smtp_out.row import Job
from services.smtp_out.wishes import tls_wish
from shared.contract.relay_types import SETTINGS, RelayLogin, RelayPlan
from shared.contract.relays import RelaysApi
from shared.contract.types import OutcomeKind, QueueEntry
from shared.contract.wishes_types import TlsWish
from shared.errors import NotFound, StoreError
from shared.model.ids import EntryId
from shared.observe.log import Logger

FULL_SECONDS: Final = 60.0
"""For so long a relay that was full is not asked again by automatic ways."""


class Guide:
    """One per worker."""

    def __init__(
        self,
        options: Options,
        relays: RelaysApi,
        router: Router,
        log: Logger,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._options = options
        self._api = relays
        self._router = router
        self._log = log
        self._now = now
        self._learner = Learner()
        self._plan: RelayPlan | None = None
        self._relays: dict[str, SmartHost] = {}
        self._capped: frozenset[str] = frozenset()
        self._rules = RuleBook((), ())
        self._full: dict[str, float] = {}
        self.tests_wanted = trio.Event()

    @property
    def ready(self) -> bool:
        """Whether the plan was read."""
        return self._plan is not None

    @property
    def ways_learned(self) -> int:
        """How many destinations go another way than the direct one."""
        return len(self._learner.ways)

    def tests(self) -> tuple[RelayLogin, ...]:
        """Relays whose test is asked for."""
        return tuple(relay for relay in self._plan.relays if relay.test_asked) if self._plan is not None else ()

    # --- the plan ---

    async def refresh(self, version: int | None = None) -> bool:
        """Read the plan where it is not of this version (None: not known); whether there is one now."""
        if self._plan is None or version != self._plan.version:
            try:
                self._take_plan(await self._api.plan())
            except StoreError as error:
                self._log.warning("relays and rules cannot be read now", reason=str(error))
        return self._plan is not None

    def _take_plan(self, plan: RelayPlan) -> None:
        options = self._options
        self._plan = plan
        self._relays = {relay.name: _smart_host(relay, options) for relay in plan.relays}
        if options.smart_host is not None:
            self._relays[SETTINGS] = options.smart_host
        self._capped = frozenset(relay.name for relay in plan.relays if relay.config.daily_cap)
        self._rules = RuleBook(plan.rules, self._relays)
        fallbacks = [relay.name for relay in plan.relays if relay.config.fallback] if options.learns else []
        self._learner.load(plan.ways, fallbacks)
        if self.tests():
            self.tests_wanted.set()

    # --- which way ---

    def choose(self, entry: QueueEntry) -> Choice:
        """The way of an entry now."""
        if entry.destination in ERRANDS:
            return BY_DEFAULT
        sender_domain = ascii_domain(entry.sender).rpartition("@")[2].lower()
        said = self._rules.choose(sender_domain, entry.destination, entry.route)
        if said is not None:
            return said
        self._note_full()
        return self._learner.choose(entry.destination, self._now())

    def moved(self, job: Job) -> Choice | None:
        """The way that a job which waited should take instead of the direct one that it has: its destination has moved meanwhile."""
        choice = job.choice
        if not choice.automatic or choice.probe or not choice.way.direct:
            return None
        way = self._learner.settled(job.first.destination)
        return None if way.direct else Choice(way, automatic=True)

    def _note_full(self) -> None:
        now = trio.current_time()
        self._full = {name: until for name, until in self._full.items() if until > now}
        self._learner.full(self._full)

    async def route(self, job: Job) -> Route | Result:
        """Where a job's mail goes."""
        way = job.choice.way
        if way.kind is not Kind.RELAY:
            return await self._direct_route(job, ipv4_only=way.kind is Kind.IPV4)
        return await self.relay_route(way.relay, tls_wish(job.first))

    async def relay_route(self, name: str, tls: TlsWish = TlsWish.ANY) -> Route | Result:
        """The way to a relay."""
        relay = self._relays.get(name)
        if relay is None:
            return outcome.deferred("4.4.4", f"the relay {name} is gone", "DNS")
        return await self._router.relay_route(relay, tls)

    async def _direct_route(self, job: Job, *, ipv4_only: bool) -> Route | Result:
        route = await self._router.route(job.first.destination, tls_wish(job.first))
        if not ipv4_only or isinstance(route, Result):
            return route
        targets = tuple(target for target in route.targets if ":" not in target.address)
        if not targets:
            return outcome.deferred("4.4.4", f"no mail exchanger of {job.first.destination} has an IPv4 address", NO_IPV4)
        return attrs.evolve(route, targets=targets)

    # --- the day's cap ---

    async def reserve(self, job: Job) -> int | None:
        """How many of a job's recipients may be sent now; they are counted. None: that cannot be known now."""
        name, wanted = job.choice.way.relay, len(job.entries)
        if name not in self._capped:
            return wanted
        try:
            granted = await self._api.reserve(name, wanted)
        except NotFound:
            return wanted  # gone: the route says so
        except StoreError as error:
            self._log.warning("a relay's day cannot be counted now", relay=name, reason=str(error))
            return None
        if granted < wanted:
            self._full[name] = trio.current_time() + FULL_SECONDS
            self._note_full()
            self._log.warning("daily cap reached", relay=name, waiting=wanted - granted)
        return granted

    async def settle(self, job: Job, granted: int, results: dict[EntryId, Result]) -> dict[EntryId, Result]:
        """The results of all recipients, with those beyond the cap; what was counted and not taken is given back."""
        name = job.choice.way.relay
        if name not in self._capped:
            return results
        unused = granted - sum(result.kind is OutcomeKind.DELIVERED for result in results.values())
        if unused:
            try:
                await self._api.give_back(name, unused)
            except StoreError as error:
                self._log.warning("a relay's day is counted too high", relay=name, by=unused, reason=str(error))
        # RFC 3463 §3.5 X.4.5: mail system congestion
        waits = outcome.deferred("4.4.5", f"the relay {name} takes no more recipients today (its daily cap; days are UTC)", "cap")
        soon = job.choice.automatic and self._learner.other_relay(name)
        over = dict.fromkeys(job.ids[granted:], attrs.evolve(waits, soon=soon))
        return results | over

    # --- what results teach ---

    async def consider(self, job: Job, attempted: Attempted) -> Attempted:
        """What is to be reported: with the way in words, and moved entries tried again at once."""
        way = job.choice.way
        told = attrs.evolve(attempted, remote=", ".join(filter(None, (attempted.remote, way.words))))
        if not job.choice.automatic:
            return told
        results = dict(attempted.results)
        for entry in job.entries:
            result = results.get(entry.entry_id)
            if result is not None:
                tried = Attempt(entry.destination, way, attempted.remote, entry.attempts)
                judged = self._learner.judge(tried, result, self._now())
                await self._remember(judged)
                results[entry.entry_id] = judged.result
        return attrs.evolve(told, results=results)

    async def _remember(self, judged: Judgement) -> None:
        for way in judged.learned:
            self._log.warning(
                "mail goes another way", destination=way.destination, way=way.way, reason=way.reason,
                hours=round((way.until - way.since) / 3600),
            )  # fmt: skip
        for name in judged.forgotten:
            self._log.info("mail goes direct again", destination=name)
        try:
            for way in judged.learned:
                await self._api.learn(way)
            if judged.forgotten:
                await self._api.unlearn(judged.forgotten)
        except StoreError as error:
            # the memory of this process has it until the plan is read again; then it is learned once more
            self._log.warning("a learned way could not be stored", reason=str(error))


def _smart_host(relay: RelayLogin, options: Options) -> SmartHost:
    config = relay.config
    policy = tls_policy(config.tls.value, config.port)
    return SmartHost(config.host, config.port, policy, config.username, relay.password, options.ca_file)

