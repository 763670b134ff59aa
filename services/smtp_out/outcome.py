"""What a reply or an error means for a recipient. Pure; the rule is the table below.

  where it happened            2xx        4xx       5xx       anything else
  greeting EHLO STARTTLS AUTH  -          next host next host next host       (then: deferred)
  MAIL RCPT DATA               -          deferred  failed    deferred
  RCPT 552 ("too many")        -          -         deferred  -               RFC 5321 §4.5.3.1.10
  end of data                  delivered  deferred  failed    deferred
  connection lost, timeout     deferred (after the final dot: it may arrive twice, never be lost)
  DNS: no name, null MX        failed;  DNS: no answer  deferred
  content the hop cannot take  failed 5.6.x / 5.3.4

A refusal of the session says something about the host, not about the recipient: 554 in a greeting is often a block of
our address that is lifted, so mail waits until it expires rather than bounce at once.
"""

from __future__ import annotations

import attrs

from services.smtp_out.plan import Refusal
from services.smtp_out.protocol.flow import Step
from services.smtp_out.protocol.reply import Reply
from services.smtp_out.protocol.transaction import Verdict
from shared.contract.types import OutcomeKind

MAX_TEXT = 1000  # characters of `Outcome.text`


@attrs.frozen
class Result:
    """The outcome of one attempt for one recipient, before the schedule had its say."""

    kind: OutcomeKind
    enhanced: str
    text: str
    code: int = 0  # 0: no reply of a server
    step: str = ""
    soon: bool = False  # DEFERRED: tried again at once, since the next attempt goes another way


def from_verdict(verdict: Verdict) -> Result:
    """The meaning of the reply that decided over a recipient."""
    reply = verdict.reply
    if verdict.delivered:
        kind = OutcomeKind.DELIVERED
    elif reply.severity == 5 and not (verdict.step is Step.RCPT and reply.code == 552):
        kind = OutcomeKind.FAILED
    else:
        kind = OutcomeKind.DEFERRED
    enhanced = reply.enhanced if kind is not OutcomeKind.DEFERRED or reply.severity == 4 else "4.5.3"
    return Result(kind, enhanced or _default_enhanced(kind, verdict.step), reply.text, reply.code, verdict.step.value)


def from_refused_session(step: Step, reply: Reply) -> Result:
    """A host that would not talk to us."""
    enhanced = reply.enhanced if reply.severity == 4 else ""
    default = "4.7.8" if step is Step.AUTH else "4.7.4" if step is Step.STARTTLS else "4.3.2"
    return Result(OutcomeKind.DEFERRED, enhanced or default, reply.text, reply.code, step.value)


def from_refusal(refusal: Refusal) -> Result:
    """A destination that can never work."""
    return Result(OutcomeKind.FAILED, refusal.enhanced, refusal.text, refusal.code)


def deferred(enhanced: str, text: str, step: str = "") -> Result:
    """Trouble without a reply: connection, timeout, DNS, TLS."""
    return Result(OutcomeKind.DEFERRED, enhanced, text[:MAX_TEXT], 0, step)


def failed(enhanced: str, text: str, code: int = 0) -> Result:
    """A decision of our own that no retry changes."""
    return Result(OutcomeKind.FAILED, enhanced, text[:MAX_TEXT], code)


def expired(last: Result, days: float) -> Result:
    """The last failure of an entry whose time is over. RFC 3463 §3.5 X.4.7."""
    text = f"could not be delivered for {days:.0f} days; the last reason: {last.text}"
    return Result(OutcomeKind.FAILED, "5.4.7", text[:MAX_TEXT], last.code, last.step)


def _default_enhanced(kind: OutcomeKind, step: Step) -> str:
    """RFC 3463 §2: class, and the subject as far as the step tells it."""
    digit = {OutcomeKind.DELIVERED: "2", OutcomeKind.FAILED: "5"}.get(kind, "4")
    return f"{digit}.{'1' if step in (Step.MAIL, Step.RCPT) else '0'}.0"
