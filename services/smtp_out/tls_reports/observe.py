"""What a session, or the trouble with one, says of TLS. Pure.

  the session                                     under no policy          under a policy
  encrypted, as the policy has it                 success                  success
  encrypted, certificate does not verify          success                  what was wrong with it (MTA-STS testing)
  encrypted, no TLSA record of use                -                        tlsa-invalid
  plain: STARTTLS not offered / did not work      starttls-not-supported / validation-failure
  none: refused for its TLS                       -                        what was wrong with it
  none: no connection, greeting, EHLO             not counted: no TLS was tried
"""

from __future__ import annotations

from services.smtp_out.mta_sts.policy import Mode
from services.smtp_out.protocol.flow import Step
from services.smtp_out.route import Route, Target
from services.smtp_out.session import CertificateDoubt, Session, SessionBroken
from services.smtp_out.tls_reports.seen import Failure, Seen, applied, failure_by_words


def seen_session(route: Route, target: Target, session: Session) -> Seen:
    """A session that came about."""
    return _seen(route, target, _shortfall(route, target, session))


def seen_trouble(route: Route, target: Target, broken: SessionBroken) -> Seen | None:
    """One that did not; None where TLS has nothing to do with it."""
    if isinstance(broken, CertificateDoubt):
        return _seen(route, target, failure_by_words(broken.why))
    if broken.step is Step.STARTTLS:
        return _seen(route, target, Failure.STARTTLS_NOT_SUPPORTED)
    return _seen(route, target, Failure.VALIDATION_FAILURE) if broken.step is Step.TLS else None


def _shortfall(route: Route, target: Target, session: Session) -> Failure | None:
    if not session.encrypted:
        return Failure.VALIDATION_FAILURE if session.capabilities.starttls else Failure.STARTTLS_NOT_SUPPORTED
    if target.dane is not None:
        return None if target.dane.records else Failure.TLSA_INVALID
    if route.policy is None or route.policy.mode is Mode.NONE:
        return None
    if session.doubt:
        return failure_by_words(session.doubt)
    return None if route.policy.matches(target.host) else Failure.VALIDATION_FAILURE


def _seen(route: Route, target: Target, failure: Failure | None) -> Seen:
    policy = applied(route.policy, target.host, target.dane)
    if failure is None:
        return Seen(route.domain, policy)
    return Seen(route.domain, policy, failure, target.host, target.address)
