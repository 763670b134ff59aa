"""From a route to an open session: the targets in order, TLS by policy, login, loops noticed.

Laws
- A target that fails in any way is passed over; when all have failed, `NoHost` carries what to tell (deferred), with the
  last reply and the names of those that were tried.
- A host that would not talk to us or could not be reached is tried after the others for a time (`rests`).
- OPPORTUNISTIC: any certificate will do. It is verified all the same, to tell what was used; where that fails, a
  connection without it follows, and for a day (`doubts`) comes at once. A failed handshake is followed by one plain
  connection to the same address.
- DANE: what the TLSA records ask for (`dane.judge`), and no mail goes out otherwise.
- REQUIRED and IMPLICIT: chain and name are verified, and no mail nor password goes out otherwise.
- A route for REQUIRETLS takes only a session that `require_tls` has nothing against; where none of the hosts has one, that is permanent.
- A server that greets with our own name is ourselves: `Loop`, permanent (RFC 5321 §6.3).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable

import attrs
import trio

from services.smtp_out import outcome, require_tls
from services.smtp_out.dane.judge import Dane, judge
from services.smtp_out.doubts import Doubts
from services.smtp_out.options import Options, SmartHost, TlsPolicy
from services.smtp_out.outcome import Result
from services.smtp_out.protocol.flow import Refused, Step
from services.smtp_out.require_tls import Hop
from services.smtp_out.rests import Rests
from services.smtp_out.route import Route, Target
from services.smtp_out.session import CertificateDoubt, Session, SessionBroken
from services.smtp_out.tls_reports.observe import seen_session, seen_trouble
from services.smtp_out.tls_reports.seen import Note, Seen, note_nothing
from shared.contract.types import OutcomeKind
from shared.net.tls import opportunistic_client_context, verifying_client_context

_OF_THE_HOST = (Step.GREETING, Step.EHLO, Step.HELO)  # a refusal there says that the host wants no mail now


class NoHost(Exception):
    """No session came about. `result` is what it means for every recipient; `remote` the last one tried."""

    def __init__(self, result: Result, remote: str = "") -> None:
        super().__init__(result.text)
        self.result = result
        self.remote = remote


class Loop(NoHost):
    """The next hop is this server itself."""


@attrs.frozen
class Connector:
    """Opens sessions."""

    options: Options
    doubts: Doubts = attrs.field(factory=Doubts)
    now: Callable[[], float] = time.time
    note: Note = note_nothing
    rests: Rests = attrs.field(factory=Rests)

    async def open(self, route: Route) -> Session:
        """A session that is ready for MAIL, with the first target that works. Raises NoHost, Loop."""
        tried: list[str] = []
        last = outcome.deferred("4.4.1", "no host to connect to")
        remote = ""
        unfit: list[Result] = []  # why hosts do not do for REQUIRETLS
        for target in self.rests.in_order(route.targets, trio.current_time()):
            remote = f"{target.host}[{target.address}]:{target.port}"
            try:
                session = await self._open_target(target, route.relay)
            except Refused as refusal:
                if refusal.step in _OF_THE_HOST:
                    self.rests.begin(target.host, trio.current_time())
                last = outcome.from_refused_session(refusal.step, refusal.reply)
            except SessionBroken as broken:
                if broken.step is Step.CONNECT:
                    self.rests.begin(target.address, trio.current_time())
                demanded = f" ({target.promise})" if target.promise and broken.step in (Step.TLS, Step.STARTTLS) else ""
                last = outcome.deferred(broken.enhanced, broken.reason + demanded, broken.step.value)
                self._count(route, seen_trouble(route, target, broken))
                if route.require_tls and broken.step in (Step.TLS, Step.STARTTLS):
                    unfit.append(require_tls.unprotected(broken.reason))
            else:
                self._count(route, seen_session(route, target, session))
                refused = require_tls.objection(session.hop) if route.require_tls else None
                if refused is None:
                    session.target = target
                    return session
                # RFC 8689 §4.2.1: QUIT, and the next host
                await session.close()
                unfit.append(last := refused)
            tried.append(f"{remote}: {last.text}")
        if len(unfit) == len(tried) > 0:
            # RFC 8689 §4.2.1: where another attempt could find a way, the mail waits for it
            last = require_tls.of_all(unfit)
        elif last.kind is OutcomeKind.FAILED:
            last = attrs.evolve(last, kind=OutcomeKind.DEFERRED, enhanced="4" + last.enhanced[1:])
        if len(tried) > 1:
            text = "no host could take the mail: " + "; ".join(reversed(tried))
            last = attrs.evolve(last, text=text[: outcome.MAX_TEXT])
        raise NoHost(last, remote)

    def _count(self, route: Route, seen: Seen | None) -> None:
        if seen is not None and route.domain:
            self.note(seen)

    async def _open_target(self, target: Target, relay: SmartHost | None) -> Session:
        if target.tls is not TlsPolicy.OPPORTUNISTIC:
            return await self._open_session(target, target.tls, relay=relay)
        try:
            return await self._open_opportunistic(target)
        except SessionBroken as broken:
            if broken.step is not Step.TLS:
                raise
        # RFC 7435 §3: unauthenticated TLS failed, plain text is what would have been without it
        return await self._open_session(target, TlsPolicy.NONE)

    async def _open_opportunistic(self, target: Target) -> Session:
        place = (target.host, target.address)
        why = self.doubts.why(place, trio.current_time())
        if not why:
            try:
                return await self._open_session(target, TlsPolicy.OPPORTUNISTIC)
            except CertificateDoubt as doubt:
                # ssl has no way to go on and say what was wrong: the next connection does not ask
                why = self.doubts.note(place, doubt.why, trio.current_time())
        return await self._open_session(target, TlsPolicy.OPPORTUNISTIC, why)

    async def _open_session(
        self, target: Target, policy: TlsPolicy, doubt: str = "", relay: SmartHost | None = None
    ) -> Session:
        """`doubt`: why the certificate does not verify, as known already; it is then not looked at."""
        options = self.options
        session = await Session.connect(target.host, target.address, target.port, options)
        session.promise = target.promise
        try:
            if policy is TlsPolicy.IMPLICIT:
                await session.secure(self._verifying_context(relay), target.host, implicit=True)
            await session.open()
            if session.peer_name in options.own_names:
                text = f"the next hop {session.remote} is this server: the mail would loop for ever"
                raise Loop(outcome.failed("5.4.6", text, 554), session.remote)
            await self._secure(session, target, policy, doubt, relay)
            session.doubt = doubt
            verified = session.encrypted and not doubt
            if target.dane is None:
                verdict = f"not verified: {doubt}" if doubt else "verified"
                session.certificate = f"certificate of {target.host} {verdict}"
            else:
                verified = verified and bool(target.dane.records)
            offered = session.capabilities.require_tls
            session.hop = Hop(target.host, target.vouched, session.encrypted, verified, offered)
            session.transcript.note(session.tls or "no TLS")
            if relay is not None and relay.username:
                await session.login(relay.username, relay.password)
        except BaseException:
            session.abort()
            raise
        return session

    async def _secure(
        self, session: Session, target: Target, policy: TlsPolicy, doubt: str, relay: SmartHost | None
    ) -> None:
        if policy is TlsPolicy.OPPORTUNISTIC and session.capabilities.starttls:
            context = opportunistic_client_context() if doubt else self._verifying_context(relay)
            # False: the server offers STARTTLS and then refuses it; it goes on in plain text, the session is in order
            await session.secure(context, target.host)
        elif policy in (TlsPolicy.REQUIRED, TlsPolicy.DANE):
            if not session.capabilities.starttls:
                raise SessionBroken(Step.STARTTLS, "the server offers no STARTTLS, and TLS is required", "4.7.4")
            if target.dane is None:
                begun = await session.secure(self._verifying_context(relay), target.host)
            else:
                begun = await self._secure_by_dane(session, target.dane)
            if not begun:
                raise SessionBroken(Step.STARTTLS, "the server refused STARTTLS, and TLS is required", "4.7.4")

    async def _secure_by_dane(self, session: Session, dane: Dane) -> bool:
        """What holds is said in the session's words for the log. Raises CertificateDoubt."""

        def look(chain: tuple[bytes, ...]) -> str:
            judgement = judge(dane, chain, self.now())
            session.promise, session.certificate = "", judgement.verdict
            return judgement.fault

        # RFC 7672 §8.1: the name that the records stand under is what the server is asked for
        return await session.secure(opportunistic_client_context(), dane.base, judge=look)

    def _verifying_context(self, relay: SmartHost | None) -> ssl.SSLContext:
        if relay is not None:
            return verifying_client_context(relay.ca_file)
        # RFC 8461 §4.2: the name must be among the alternative names
        return verifying_client_context(self.options.ca_file, common_name=False)
