"""From a route to an open session: the targets in order, TLS by policy, login, loops noticed.

Laws
- A target that fails in any way is passed over; when all have failed, `NoHost` carries what to tell (deferred), with the
  last reply and the names of those that were tried.
- A host that would not talk to us or could not be reached is tried after the others for a time (`rests`).
- OPPORTUNISTIC: any certificate will do. It is verified all the same, to tell what was used; where that fails, a
  connection without it follows, and for a day (`doubts`) comes at once. A failed handshake is followed by one plain
  connection to the same address.
- REQUIRED and IMPLICIT: chain and name are verified, and no mail nor password goes out otherwise.
- A server that greets with our own name is ourselves: `Loop`, permanent (RFC 5321 §6.3).
"""

from __future__ import annotations

import ssl

import attrs
import trio

from services.smtp_out import outcome
from services.smtp_out.doubts import Doubts
from services.smtp_out.options import Options, TlsPolicy
from services.smtp_out.outcome import Result
from services.smtp_out.protocol.flow import Refused, Step
from services.smtp_out.rests import Rests
from services.smtp_out.route import Route, Target
from services.smtp_out.session import CertificateDoubt, Session, SessionBroken
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
    rests: Rests = attrs.field(factory=Rests)

    async def open(self, route: Route) -> Session:
        """A session that is ready for MAIL, with the first target that works. Raises NoHost, Loop."""
        tried: list[str] = []
        last = outcome.deferred("4.4.1", "no host to connect to")
        remote = ""
        for target in self.rests.in_order(route.targets, trio.current_time()):
            remote = f"{target.host}[{target.address}]:{target.port}"
            try:
                session = await self._open_target(target)
            except Refused as refusal:
                if refusal.step in _OF_THE_HOST:
                    self.rests.begin(target.host, trio.current_time())
                last = outcome.from_refused_session(refusal.step, refusal.reply)
            except SessionBroken as broken:
                if broken.step is Step.CONNECT:
                    self.rests.begin(target.address, trio.current_time())
                demanded = f" ({target.promise})" if target.promise and broken.step in (Step.TLS, Step.STARTTLS) else ""
                last = outcome.deferred(broken.enhanced, broken.reason + demanded, broken.step.value)
            else:
                session.target = target
                return session
            tried.append(f"{remote}: {last.text}")
        if len(tried) > 1:
            text = "no host could take the mail: " + "; ".join(reversed(tried))
            last = attrs.evolve(last, text=text[: outcome.MAX_TEXT])
        raise NoHost(last, remote)

    async def _open_target(self, target: Target) -> Session:
        if target.tls is not TlsPolicy.OPPORTUNISTIC:
            return await self._open_session(target, target.tls)
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

    async def _open_session(self, target: Target, policy: TlsPolicy, doubt: str = "") -> Session:
        """`doubt`: why the certificate does not verify, as known already; it is then not looked at."""
        options = self.options
        session = await Session.connect(target.host, target.address, target.port, options)
        session.promise = target.promise
        try:
            if policy is TlsPolicy.IMPLICIT:
                await session.secure(self._verifying_context(), target.host, implicit=True)
            await session.open()
            if session.peer_name in options.own_names:
                text = f"the next hop {session.remote} is this server: the mail would loop for ever"
                raise Loop(outcome.failed("5.4.6", text, 554), session.remote)
            await self._secure(session, target, policy, doubt)
            verdict = f"not verified: {doubt}" if doubt else "verified"
            session.certificate = f"certificate of {target.host} {verdict}"
            session.transcript.note(session.tls or "no TLS")
            await self._login(session)
        except BaseException:
            session.abort()
            raise
        return session

    async def _secure(self, session: Session, target: Target, policy: TlsPolicy, doubt: str) -> None:
        if policy is TlsPolicy.OPPORTUNISTIC and session.capabilities.starttls:
            context = opportunistic_client_context() if doubt else self._verifying_context()
            # False: the server offers STARTTLS and then refuses it; it goes on in plain text, the session is in order
            await session.secure(context, target.host)
        elif policy is TlsPolicy.REQUIRED:
            if not session.capabilities.starttls:
                raise SessionBroken(Step.STARTTLS, "the server offers no STARTTLS, and TLS is required", "4.7.4")
            if not await session.secure(self._verifying_context(), target.host):
                raise SessionBroken(Step.STARTTLS, "the server refused STARTTLS, and TLS is required", "4.7.4")

    async def _login(self, session: Session) -> None:
        smart = self.options.smart_host
        if smart is not None and smart.username:
            await session.login(smart.username, smart.password)

    def _verifying_context(self) -> ssl.SSLContext:
        smart = self.options.smart_host
        if smart is not None:
            return verifying_client_context(smart.ca_file)
        # RFC 8461 §4.2: the name must be among the alternative names
        return verifying_client_context(self.options.ca_file, common_name=False)
