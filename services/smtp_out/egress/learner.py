"""Learns from results which way works for a destination. Pure: time is passed in.

Theory. The ways of a destination have an order: direct, direct without IPv6, then the relays that are marked as fallback, as they were
added. A result that says something about the way (`signs`) moves the destination to the next one, for a time: its message is tried
again at once instead of bouncing, all others follow it. When the time is over one message tries the direct way again; if it is
refused as before, what was learned holds for twice as long. What nobody answers counts from the second attempt of a message on, since
servers restart; when several destinations do not answer and nobody else does, port 25 is closed, and everything moves.

Laws
- A destination only ever moves forward until its time is over, and a message is tried again at once only when its way changes: so
  nothing goes round in a circle, and the last way's refusal stands.
- Memory is bounded: what the store gives back (MAX_WAYS), and marks for those.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import attrs

from services.smtp_out.egress.signs import Sign, over_ipv6, sign_of
from services.smtp_out.egress.ways import DIRECT, IPV4, Choice, Way, relay_way
from services.smtp_out.outcome import MAX_TEXT, Result
from shared.contract.relay_types import ANYWHERE, MAX_REASON, LearnedWay
from shared.contract.types import OutcomeKind

REFUSED_SECONDS = 3 * 86400.0  # lists forget within days; a PTR record is made once
UNREACHABLE_SECONDS = 6 * 3600.0
LONGEST_SECONDS = 30 * 86400.0
PROBE_SECONDS = 900.0  # so long a probe may be under way before another message tries
UNREACHABLE_ATTEMPTS = 2  # of one message, before its destination counts as unreachable
CLOSED_DESTINATIONS = 3  # unreachable ones, with none reached since, that mean: port 25 is closed
CLOSED_SECONDS = 86400.0  # within so long


@attrs.frozen
class Attempt:
    """What the learner has to know of one."""

    destination: str
    way: Way
    remote: str  # "host[address]:port"
    attempts: int  # of the entry before this one


@attrs.frozen
class Judgement:
    """The result as it is to be reported; what to remember; what to forget."""

    result: Result
    learned: tuple[LearnedWay, ...] = ()
    forgotten: tuple[str, ...] = ()


class Learner:
    """Without fallback relays everything goes direct, and nothing is learned."""

    def __init__(self) -> None:
        self._ways: dict[str, LearnedWay] = {}
        self._fallbacks: tuple[str, ...] = ()
        self._full: frozenset[str] = frozenset()
        self._probing: dict[str, float] = {}
        self._reached_at = 0.0  # when a server last answered us directly

    def load(self, ways: Sequence[LearnedWay], fallbacks: Sequence[str]) -> None:
        """What the store remembers, and the fallback relays in their order."""
        self._fallbacks = tuple(fallbacks)
        self._ways = {way.destination: way for way in ways} if fallbacks else {}
        self._probing = {name: at for name, at in self._probing.items() if name in self._ways}

    def full(self, relays: Collection[str]) -> None:
        """These relays take nothing more today."""
        self._full = frozenset(relays)

    @property
    def ways(self) -> Mapping[str, LearnedWay]:
        return self._ways

    # --- which way ---

    def choose(self, destination: str, now: float) -> Choice:
        """The way for one message; when the time of what was learned is over, one of them gets the direct one as a probe."""
        row = self._row(destination)
        if row is None:
            return Choice(DIRECT, automatic=True)
        if now >= row.until and self._begins_probe(row.destination, now):
            return Choice(DIRECT, automatic=True, probe=True)
        return Choice(self._way_of(row), automatic=True)

    def settled(self, destination: str) -> Way:
        """The way that was learned; no probe begins."""
        row = self._row(destination)
        return DIRECT if row is None else self._way_of(row)

    def _row(self, destination: str) -> LearnedWay | None:
        return self._ways.get(destination) or self._ways.get(ANYWHERE)

    def _begins_probe(self, name: str, now: float) -> bool:
        if now - self._probing.get(name, -PROBE_SECONDS) < PROBE_SECONDS:
            return False
        self._probing[name] = now
        return True

    def _way_of(self, row: LearnedWay) -> Way:
        if row.way == IPV4.stored:
            return IPV4
        after = self._fallbacks[self._fallbacks.index(row.way) :] if row.way in self._fallbacks else self._fallbacks
        return relay_way(next((name for name in after if name not in self._full), row.way if row.way in after else after[0]))

    def _rank(self, way: Way) -> int:
        if way.direct:
            return 0 if way == DIRECT else 1
        return 2 + self._fallbacks.index(way.relay) if way.relay in self._fallbacks else 2 + len(self._fallbacks)

    def other_relay(self, name: str) -> bool:
        """Whether a fallback relay behind this one has room today."""
        after = self._fallbacks[self._fallbacks.index(name) + 1 :] if name in self._fallbacks else ()
        return any(other not in self._full for other in after)

    # --- what was learned ---

    def judge(self, tried: Attempt, result: Result, now: float) -> Judgement:
        """A result of an automatic way."""
        sign = sign_of(result, direct=tried.way.direct)
        if tried.way.direct and sign is not Sign.UNREACHABLE and result.code:
            self._reached_at = now
        if not self._fallbacks:
            return Judgement(result)
        if sign is Sign.NONE:
            return self._worked(tried, result, now)
        forgotten = self._port_is_open(now) if sign is Sign.REFUSED and tried.way.direct else ()
        row = self._row(tried.destination)
        if row is not None and self._rank(self._way_of(row)) > self._rank(tried.way):
            # moved meanwhile, or this was the probe
            again = (self._learn_again(row, sign, result, now),) if now >= row.until else ()
            return Judgement(_again(result, self._way_of(row)), again, forgotten)
        early = sign is Sign.UNREACHABLE and tried.attempts + 1 < UNREACHABLE_ATTEMPTS
        following = None if early else self._next(tried, sign)
        if following is None:
            return Judgement(result, forgotten=forgotten)
        learned = [self._learn(tried.destination, following, sign, result, now)]
        if sign is Sign.UNREACHABLE and tried.way.direct and self._port_closed(now):
            learned.append(self._learn(ANYWHERE, following, sign, result, now))
        return Judgement(_again(result, following), tuple(learned), forgotten)

    def _worked(self, tried: Attempt, result: Result, now: float) -> Judgement:
        """A probe that got through ends what was learned. A deferral says nothing yet."""
        if tried.way != DIRECT or result.kind is OutcomeKind.DEFERRED or not result.code:
            return Judgement(result)
        over = [name for name in (tried.destination, ANYWHERE) if (row := self._ways.get(name)) and now >= row.until]
        for name in over:
            self._forget(name)
        return Judgement(result, forgotten=tuple(over))

    def _next(self, tried: Attempt, sign: Sign) -> Way | None:
        if tried.way == DIRECT and sign is Sign.REFUSED and over_ipv6(tried.remote):
            return IPV4
        rank = self._rank(tried.way)
        room = [name for name in self._fallbacks if name not in self._full] or list(self._fallbacks)
        return next((relay_way(name) for name in room if self._rank(relay_way(name)) > rank), None)

    def _learn(self, name: str, way: Way, sign: Sign, result: Result, now: float) -> LearnedWay:
        unreachable = sign is Sign.UNREACHABLE
        reason = f"{'no answer' if unreachable else 'refused'}: {result.text}"[:MAX_REASON]
        known = self._ways.get(name)
        times = known.times if known is not None else 1
        learned = LearnedWay(name, way.stored, reason, now, now + _seconds(times, unreachable), times, unreachable)
        self._ways[name] = learned
        return learned

    def _learn_again(self, row: LearnedWay, sign: Sign, result: Result, now: float) -> LearnedWay:
        self._probing.pop(row.destination, None)
        self._ways[row.destination] = attrs.evolve(row, times=row.times + 1)
        return self._learn(row.destination, self._way_of(row), sign, result, now)

    def _port_is_open(self, now: float) -> tuple[str, ...]:
        """A server refused a probe of port 25 itself: that is known of its destination alone."""
        row = self._ways.get(ANYWHERE)
        if row is None or now < row.until:
            return ()
        self._forget(ANYWHERE)
        return (ANYWHERE,)

    def _forget(self, name: str) -> None:
        del self._ways[name]
        self._probing.pop(name, None)

    def _port_closed(self, now: float) -> bool:
        since = max(self._reached_at, now - CLOSED_SECONDS)
        silent = [row for row in self._ways.values() if row.unreachable and row.since >= since and row.destination != ANYWHERE]
        return len(silent) >= CLOSED_DESTINATIONS and ANYWHERE not in self._ways


def _seconds(times: int, unreachable: bool) -> float:
    first = UNREACHABLE_SECONDS if unreachable else REFUSED_SECONDS
    return min(first * 2.0 ** min(times - 1, 20), LONGEST_SECONDS)


def _again(result: Result, way: Way) -> Result:
    """Tried again at once, another way; what would have been a bounce waits."""
    text = f"{result.text} (tried again {way.words or 'directly'})"[:MAX_TEXT]
    return attrs.evolve(result, kind=OutcomeKind.DEFERRED, text=text, soon=True)
