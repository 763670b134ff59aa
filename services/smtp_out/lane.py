"""A lane: one task of a hop, with at most one session, that takes job after job.

Laws
- A job that `serve` took is reported or given back to its hop's row before `serve` returns; only cancellation leaves it
  with the worker, which then releases it.
- The report of a finished job is shielded: cancellation waits for it, until the worker ends the report itself.
- A defect in an attempt costs its message a delay, never the lane's neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import trio

from services.smtp_out import outcome, wishes
from services.smtp_out.adapt import adapt
from services.smtp_out.attempt import Results, Stale, deliver
from services.smtp_out.connector import Connector, NoHost
from services.smtp_out.content import ContentLost, ContentReader
from services.smtp_out.destination import Destination
from services.smtp_out.egress.guide import Guide
from services.smtp_out.options import Options
from services.smtp_out.outcome import Result
from services.smtp_out.protocol.flow import Step
from services.smtp_out.report import Attempted, Reporter
from services.smtp_out.row import Job
from services.smtp_out.session import Session
from services.smtp_out.sign import Signer
from services.smtp_out.transcript import Transcript, begin_attempt
from shared.contract.queue import QueueApi
from shared.contract.types import OutcomeKind, QueueEntry
from shared.model.ids import EntryId
from shared.observe.log import Logger
from shared.observe.metrics import Gauge
from shared.observe.trace import TRACE


@attrs.frozen
class Tools:
    """What all lanes of a worker share."""

    worker: str
    options: Options
    queue: QueueApi
    guide: Guide
    connector: Connector
    reporter: Reporter
    signer: Signer
    log: Logger
    opening: trio.CapacityLimiter  # connections being opened
    active: trio.CapacityLimiter  # messages under way
    sessions: Gauge
    balance: Callable[[Destination], None]  # the hop may have more lanes now
    forget: Callable[[Sequence[EntryId]], None]  # these entries are reported
    report_scopes: set[trio.CancelScope] = attrs.field(factory=set)


class Lane:
    """`serve` one job after the other, then `close`."""

    def __init__(self, hop: Destination, tools: Tools) -> None:
        self._hop = hop
        self._tools = tools
        self._session: Session | None = None

    @property
    def may_wait(self) -> bool:
        """Whether there is a session that can take another message, and room to keep it open without one."""
        tools = self._tools
        room = tools.sessions.value() <= tools.options.max_sessions / 2
        return room and self._session is not None and self._session.usable

    async def serve(self, job: Job) -> None:
        """Attempt one job and report it. Raises nothing but cancellation."""
        TRACE.set(job.first.trace)
        tools = self._tools
        started = trio.current_time()
        transcript = begin_attempt(trio.current_time)
        try:
            with trio.fail_after(tools.options.attempt_limit_seconds):
                attempted = await self._attempt(job)
        except NoHost as trouble:
            await self._no_host(job, trouble, transcript)
            return
        except ContentLost as error:
            tools.log.warning("content not readable now", reason=str(error))
            attempted = _for_all(job, outcome.deferred("4.3.0", "the message could not be read from the store"))
        except trio.TooSlowError:
            attempted = _for_all(job, outcome.deferred("4.4.7", "the delivery took too long and was broken off"))
        except Exception as error:
            tools.log.exception("the attempt failed in an unforeseen way", error)
            attempted = _for_all(job, outcome.deferred("4.3.0", "internal error"))
        if self._session is not None and not self._session.usable:
            self._drop_session()
        if any(result.kind is OutcomeKind.DELIVERED for result in attempted.results.values()):
            self._hop.delivered()
            tools.balance(self._hop)
        await self._report(job, attrs.evolve(attempted, seconds=trio.current_time() - started, transcript=transcript))

    async def close(self) -> None:
        """QUIT, and the connection's end."""
        session = self._session
        if session is not None:
            self._forget_session()
            await session.close()

    async def _attempt(self, job: Job) -> Attempted:
        """What the relay of the job's way takes today, and the rest. Raises NoHost, ContentLost."""
        guide = self._tools.guide
        granted = await guide.reserve(job)
        attempted = Attempted({})
        if granted is None:
            return attempted  # nothing was tried: given back
        try:
            if granted:
                attempted = await self._deliver(job, job.entries[:granted])
        finally:
            results = await guide.settle(job, granted, attempted.results)
        return attrs.evolve(attempted, results=results)

    async def _deliver(self, job: Job, entries: Sequence[QueueEntry]) -> Attempted:
        """Raises NoHost, ContentLost."""
        tools = self._tools
        if (late := wishes.late(job.first, tools.reporter.now())) is not None:
            return _for_all(job, late)
        while True:
            if self._session is None:
                route = await tools.guide.route(job)
                if isinstance(route, Result):
                    raise NoHost(route)
                async with tools.opening:
                    self._session = await tools.connector.open(route)
                    tools.sessions.inc()
                    self._hop.session_opened()
                    # inside `opening`: else any number of open sessions could wait for their turn
                    await tools.active.acquire()
                tools.balance(self._hop)
            else:
                await tools.active.acquire()
            session = self._session
            if session.transactions:
                session.transcript.note(f"session with {session.remote} goes on, {session.tls or 'no TLS'}")
            content = ContentReader(tools.queue, tools.worker, job.first.entry_id, job.first.octets)
            try:
                form = await adapt(job.first, session.capabilities, content)
                await tools.signer.sign(job.first, content)
                results = await deliver(session, entries, content, form, tools.reporter.now())
            except Stale:  # only a reused session is: the next one is new
                self._drop_session()
                continue
            except BaseException:
                self._drop_session()
                raise
            finally:
                tools.active.release()
            await self._judge_host(session, results)
            offered = session.capabilities
            return Attempted(
                results, session.remote, session.tls, dsn=offered.dsn, deliver_by=offered.deliver_by
            )

    async def _judge_host(self, session: Session, results: Results) -> None:
        """A host that will not even hear of a message now is left alone for a time; one that took something is in order."""
        target, rests = session.target, self._tools.connector.rests
        if target is None:
            return
        if any(result.kind is OutcomeKind.DELIVERED for result in results.values()):
            rests.end(target)
        elif results and all(result.step == Step.MAIL.value and result.code // 100 == 4 for result in results.values()):
            rests.begin(target.host, trio.current_time())
            await self.close()

    async def _no_host(self, job: Job, trouble: NoHost, transcript: Transcript) -> None:
        """No session: wait for those that work, or the hop is down and its whole row with it."""
        temporary = trouble.result.kind is OutcomeKind.DEFERRED
        if temporary and self._hop.trouble(job):
            self._tools.log.debug("one session less", hop=self._hop.key, reason=trouble.result.text)
            return
        down = temporary and self._hop.connected == 0
        jobs = [job, *(self._hop.pending.take_all() if down else ())]
        for each in jobs:
            await self._report(each, attrs.evolve(_for_all(each, trouble.result, trouble.remote), transcript=transcript))

    async def _report(self, job: Job, attempted: Attempted) -> None:
        scopes = self._tools.report_scopes
        with trio.CancelScope(shield=True) as scope:
            scopes.add(scope)
            try:
                attempted = await self._tools.guide.consider(job, attempted)
                await self._tools.reporter.report(job, attempted)
                self._tools.forget(job.ids)
            except Exception as error:
                # The lease ends by itself; the entries are then tried again.
                self._tools.log.exception("a report failed in an unforeseen way", error)
                self._tools.forget(job.ids)
            finally:
                scopes.discard(scope)

    def _drop_session(self) -> None:
        session = self._session
        if session is not None:
            self._forget_session()
            session.abort()

    def _forget_session(self) -> None:
        self._session = None
        self._tools.sessions.dec()
        self._hop.session_ended()


def _for_all(job: Job, result: Result, remote: str = "") -> Attempted:
    return Attempted(dict.fromkeys(job.ids, result), remote)
