"""From results to the store: schedule, bounces, one transaction per job, one log line per recipient, metrics.

Laws
- A job's outcomes and the bounce they lead to go in one call: the store records both or neither.
- A report is repeated until the store has taken it. It holds no lock on anything but its own lane, and it can be
  repeated safely: entries that are done already are passed over.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Sequence

import attrs
import trio

from services.smtp_out import retry, wishes
from services.smtp_out.attempt import Results
from services.smtp_out.bounce import Failure, build_bounce, returns_all, told_action
from services.smtp_out.figures import Figures
from services.smtp_out.options import Options
from services.smtp_out.outcome import Result
from services.smtp_out.recorder import Recorder
from services.smtp_out.row import Job
from services.smtp_out.transcript import Transcript
from shared.config.smtp import Dialogues
from shared.contract.types import MAX_INLINE_OCTETS, Bounce, ContentSource, Outcome, OutcomeKind, QueueEntry
from shared.errors import StoreError
from shared.mail.dsn import DsnAction
from shared.observe.log import Logger
from shared.observe.metrics import Metrics
from shared.rpc.store_client import StoreClient

_PAUSE_SECONDS = 1.0  # between tries; the client itself has waited for the store before it gave up


@attrs.frozen
class Attempted:
    """What an attempt gave, with what the log wants to know of the way."""

    results: Results
    remote: str = ""
    tls: str = ""
    seconds: float = 0.0
    dsn: bool = False  # the next hop reports by itself (RFC 3461)
    deliver_by: bool = False  # it keeps to the time that the sender has set (RFC 2852)
    transcript: Transcript | None = None  # of what was said


class Reporter:
    """Tells the store and the log."""

    def __init__(
        self,
        options: Options,
        store: StoreClient,
        worker: str,
        log: Logger,
        metrics: Metrics,
        rng: random.Random,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._options = options
        self._store = store
        self._worker = worker
        self._log = log
        self._rng = rng
        self.now = now
        self._recorder = Recorder(lambda outcomes: store.queue.report(worker, outcomes, ()))
        self._attempts = metrics.counter("pillarbox_smtp_out_attempts_total", "Attempts per recipient.", ("kind",))
        self._figures = Figures(metrics)
        self._bounces = metrics.counter("pillarbox_smtp_out_bounces_total", "Bounces made.")
        self._seconds = metrics.histogram(
            "pillarbox_smtp_out_attempt_seconds", "From taking up a message to its last reply."
        )

    async def report(self, job: Job, attempted: Attempted) -> None:
        """Record a job's results. Returns when the store has them; raises nothing but cancellation."""
        outcomes: list[Outcome] = []
        failures: list[Failure] = []
        for entry in job.entries:
            result = attempted.results.get(entry.entry_id)
            done = self._outcome(entry, result, attempted)
            action = told_action(entry, done.kind, now=self.now(), dsn=attempted.dsn, deliver_by=attempted.deliver_by)
            if action is not None:
                failures.append(Failure(entry, done, action))
                done = attrs.evolve(done, warned=action is DsnAction.DELAYED)
            elif done.kind is OutcomeKind.FAILED:
                # RFC 5321 §4.5.5, §6.1 and RFC 3461 §5.2.6 (b)
                why = "null sender" if not entry.sender else "not wanted (NOTIFY)"
                self._log.warning(f"not bounced: {why}", trace=entry.trace, recipient=entry.recipient)
            outcomes.append(done)
            self._tell(entry, done)
        if any(done.kind is OutcomeKind.DELIVERED for done in outcomes):
            self._seconds.observe(attempted.seconds)
        self._figures.count(job.first.destination, (done.kind for done in outcomes), attempted.seconds)
        outcomes = self._with_dialogue(outcomes, attempted)
        bounces = await self._bounce(job, failures)
        await self._send(tuple(outcomes), bounces)

    async def release(self, jobs: Sequence[Job]) -> None:
        """Give leases back, nothing was tried. Raises nothing but cancellation."""
        outcomes = tuple(Outcome(entry, OutcomeKind.RELEASED) for job in jobs for entry in job.ids)
        for start in range(0, len(outcomes), 1000):
            await self._send(outcomes[start : start + 1000], ())

    def _outcome(self, entry: QueueEntry, result: Result | None, attempted: Attempted) -> Outcome:
        if result is None:
            return Outcome(entry.entry_id, OutcomeKind.RELEASED)
        next_at = 0.0
        if result.kind is OutcomeKind.DEFERRED:
            now = self.now()
            again = retry.next_attempt_at(
                self._options.schedule, entry.attempts + 1, now, entry.expires_at, self._rng
            )
            if again is not None and result.soon:
                again = now
            if again is None:
                result = wishes.expired(entry, result, now)
            else:
                next_at = wishes.next_look_at(entry, again, now)
        return Outcome(
            entry_id=entry.entry_id,
            kind=result.kind,
            next_attempt_at=next_at,
            code=result.code,
            enhanced=result.enhanced,
            text=result.text,
            remote=attempted.remote,
            tls=attempted.tls,
            seconds=attempted.seconds,
        )

    def _with_dialogue(self, outcomes: list[Outcome], attempted: Attempted) -> list[Outcome]:
        """The dialogue goes with the first; the others share it."""
        keep = self._options.dialogues
        trouble = any(done.kind in (OutcomeKind.DEFERRED, OutcomeKind.FAILED) for done in outcomes)
        if attempted.transcript is None or not (keep is Dialogues.ALL or (keep is Dialogues.TROUBLE and trouble)):
            return outcomes
        first = attrs.evolve(outcomes[0], dialogue=attempted.transcript.packed())
        return [first, *(attrs.evolve(done, same_dialogue=True) for done in outcomes[1:])]

    def _tell(self, entry: QueueEntry, done: Outcome) -> None:
        self._attempts.inc(1, done.kind.value)
        tell = self._log.info if done.kind in (OutcomeKind.DELIVERED, OutcomeKind.RELEASED) else self._log.warning
        tell(
            done.kind.value,
            trace=entry.trace,
            entry=int(entry.entry_id),
            sender=entry.sender,
            recipient=entry.recipient,
            remote=done.remote or None,
            code=done.code or None,
            enhanced=done.enhanced or None,
            reply=done.text or None,
            tls=done.tls or "none",
            attempt=entry.attempts + 1,
            seconds=round(done.seconds, 3),
            retry_in=round(done.next_attempt_at - self.now()) if done.next_attempt_at else None,
        )

    async def _bounce(self, job: Job, failures: Sequence[Failure]) -> tuple[Bounce, ...]:
        first = job.first
        if not failures:
            return ()
        header = await self._header(first, whole=returns_all(failures))
        bounce = build_bounce(self._options.hostname, failures, header, self.now(), secrets.token_hex(12), self._options.language)
        self._bounces.inc()
        actions = sorted({failure.action.value for failure in failures})
        self._log.info(
            "bounced", trace=first.trace, sender=first.sender, recipients=len(failures), actions=actions
        )
        return (bounce,)

    async def _header(self, entry: QueueEntry, *, whole: bool) -> bytes:
        """The original's first octets, or all, for the bounce; a bounce without them is better than none."""
        options = self._options
        whole = whole and entry.octets <= options.bounce_full_octets
        octets = entry.octets if whole else min(options.bounce_header_octets, entry.octets)
        while True:
            try:
                return await self._store.queue.read_content(self._worker, entry.entry_id, 0, octets)
            except StoreError as error:
                if not error.temporary:
                    self._log.warning("the original of a bounce cannot be read", trace=entry.trace, reason=str(error))
                    return b""
                await trio.sleep(_PAUSE_SECONDS)

    async def _send(self, outcomes: tuple[Outcome, ...], bounces: tuple[Bounce, ...]) -> None:
        while True:
            try:
                await self._call(outcomes, bounces)
            except StoreError as error:
                self._log.warning("the store did not take a report", reason=str(error), outcomes=len(outcomes))
                if error.temporary:
                    await trio.sleep(_PAUSE_SECONDS)
                elif bounces:
                    # Without its bounce a delivery is still recorded; unrecorded it would be made again and again.
                    self._log.error("a bounce was dropped", recipient=bounces[0].recipient)
                    bounces = ()
                else:
                    return  # a mistake of ours: the lease ends, and the entries are tried again
            else:
                return

    async def _call(self, outcomes: tuple[Outcome, ...], bounces: tuple[Bounce, ...]) -> None:
        data = bounces[0].content.inline if bounces else None
        if data is None and not any(done.dialogue for done in outcomes):  # those are large: not many in one call
            await self._recorder.record(outcomes)
            return
        if data is None or len(data) <= MAX_INLINE_OCTETS:
            await self._store.queue.report(self._worker, outcomes, bounces)
            return

        async def use(source: ContentSource) -> None:
            await self._store.queue.report(self._worker, outcomes, (attrs.evolve(bounces[0], content=source),))

        await self._store.with_content(data, use)
