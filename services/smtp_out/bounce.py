"""The report to a sender (RFC 3464) of what failed, waits or was passed on, with plain words first: what happened, what to do.

Laws
- Only for a sender: the null reverse-path gets none (RFC 5321 §4.5.5), which the caller has checked. The report itself goes
  out under the null reverse-path, so no bounce ever answers a bounce.
- One report per message and attempt, whatever the number of its recipients.
- Who asked for it or would have expected it, and nobody else, is told (RFC 3461 §5.2): `told_action` is that rule.
- What strangers said is quoted, bounded and cleaned (`protocol.reply`, `shared.mail.dsn`); of the original only the
  header, or all of it where something failed, RET=FULL was given and it is not too large (RFC 3461 §4.3).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from services.smtp_out.wishes import tells_relayed
from shared.contract.queue_types import FILED
from shared.contract.types import Bounce, Outcome, OutcomeKind, QueueEntry
from shared.contract.wishes_types import TlsWish
from shared.mail.dsn import DsnAction, DsnRecipient
from shared.mail.dsn_reasons import explain, explain_delay
from shared.mail.language import language_of
from shared.mail.report import Reported, report_to_sender
from shared.mail.xtext import decode_orcpt
from shared.model.language import Language
from shared.model.notify import wants_failure, wants_success


@attrs.frozen
class Failure:
    """A recipient and the outcome that is told."""

    entry: QueueEntry
    outcome: Outcome
    action: DsnAction = DsnAction.FAILED


def told_action(entry: QueueEntry, kind: OutcomeKind, *, now: float, dsn: bool, deliver_by: bool = False) -> DsnAction | None:
    """What the sender is to be told of an outcome, None: nothing.

    The next hop took over what was asked for: `dsn` (RFC 3461), `deliver_by` (RFC 2852).
    """
    if not entry.sender:
        # RFC 3461 §5.2: never about what has the null reverse-path
        return None
    if kind is OutcomeKind.FAILED and wants_failure(entry.notify):
        # RFC 3461 §5.2.6
        return DsnAction.FAILED
    if kind is OutcomeKind.DEFERRED and 0 < entry.warn_at <= now:
        # RFC 3461 §5.2.5: the store knows who wants it, and forgets it once it was done
        return DsnAction.DELAYED
    if kind is OutcomeKind.DELIVERED and entry.destination == FILED:
        # RFC 3461 §5.2.3
        return DsnAction.DELIVERED
    if kind is OutcomeKind.DELIVERED and tells_relayed(entry, deliver_by=deliver_by):
        return DsnAction.RELAYED
    if kind is OutcomeKind.DELIVERED and not dsn and wants_success(entry.notify):
        # RFC 3461 §5.2.2 (b)
        return DsnAction.RELAYED
    return None


def build_bounce(
    hostname: str, failures: Sequence[Failure], header: bytes, now: float, unique: str, default: Language = Language.ENGLISH
) -> Bounce:
    """The report to the sender of `failures`, all of one message, in the sender's language. `header`: the original's first octets.

    Where `header` is the whole message and RET=FULL asked for it, all of it is returned.
    `unique` makes Message-ID and boundary: letters and digits, at most 40. `default`: the language where the header tells none.
    """
    first = failures[0].entry
    language = language_of(header, default)
    reported = Reported(
        sender=first.sender,
        trace=first.trace,
        arrival=int(first.queued_at),
        envelope_id=first.envelope_id,
        original=header,
        whole=returns_all(failures) and len(header) == first.octets,
        require_tls=first.wishes.tls is TlsWish.REQUIRED,
        deliver_by=int(first.wishes.deliver_by) if first.wishes.by_mode else None,
    )
    recipients = tuple(_recipient(failure, now, language) for failure in failures)
    return report_to_sender(hostname, reported, recipients, kind="bounce", unique=unique, now=int(now), language=language)


def returns_all(failures: Sequence[Failure]) -> bool:
    """Whether the whole message was asked for; without a failure the header is enough (RFC 3461 §4.3)."""
    failed = any(failure.action is DsnAction.FAILED for failure in failures)
    first = failures[0].entry
    # RFC 8689 §5: as if RET=HDRS had been asked for
    return failed and first.ret == "FULL" and first.wishes.tls is not TlsWish.REQUIRED


def _recipient(failure: Failure, now: float, language: Language) -> DsnRecipient:
    entry, outcome = failure.entry, failure.outcome
    reply = outcome.code and outcome.remote
    said = f"{outcome.code} {outcome.enhanced} {outcome.text}" if reply else outcome.text
    return DsnRecipient(
        address=entry.recipient,
        action=failure.action,
        status=outcome.enhanced,
        diagnostic=said,
        remote_mta=outcome.remote.partition("[")[0] if reply else "",
        original_address=decode_orcpt(entry.orcpt) if entry.orcpt else entry.original,
        last_attempt=int(now),
        will_retry_until=int(entry.expires_at) if failure.action is DsnAction.DELAYED else None,
        explanation=_explanation(failure, language),
    )


def _explanation(failure: Failure, language: Language) -> str:
    outcome = failure.outcome
    if failure.action is DsnAction.FAILED:
        return " ".join(explain(outcome.enhanced, outcome.text, language))
    return explain_delay(outcome.enhanced, outcome.text, language) if failure.action is DsnAction.DELAYED else ""
