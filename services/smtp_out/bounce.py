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
from shared.contract.types import Bounce, ContentSource, Outcome, OutcomeKind, QueueEntry
from shared.contract.wishes_types import TlsWish
from shared.mail.dsn import DsnAction, DsnRecipient, DsnReport, build_dsn
from shared.mail.index import build_index
from shared.mail.xtext import decode_orcpt, decode_xtext
from shared.model.notify import wants_failure, wants_success

# RFC 3463, from the particular to the general: what happened, what the sender can do
_WORDS: tuple[tuple[str, str, str], ...] = (
    ("5.1.10", "This domain takes no mail at all.", "Ask the recipient for another address."),
    ("5.1.1", "There is no such address.", "Check it for typing mistakes, or ask the recipient for the right one."),
    ("5.1.2", "There is no such mail domain.", "Check the part of the address behind the @ for typing mistakes."),
    ("5.1.3", "The address is not written in a way that mail can use.", "Check it for typing mistakes."),
    ("5.1.6", "The recipient has moved and left no new address.", "Ask the recipient for the new one."),
    ("5.2.1", "The recipient's mailbox is switched off.", "Reach the recipient in another way."),
    ("5.2.2", "The recipient's mailbox is full.", "Try again later, or reach the recipient in another way."),
    ("5.2.3", "The message is too large for the recipient.", "Send it without large attachments."),
    ("5.3.4", "The message is too large for the recipient's server.", "Send it without large attachments."),
    ("5.4.4", "The recipient's domain has no mail server that can be reached.", "Check the part behind the @."),
    ("5.4.6", "The mail would go round in a circle.", "Tell the administrator of this mail system."),
    ("5.4.7", "The recipient's server could not take the mail in time.", "Try again later, or use another way."),
    ("5.6.7", "The recipient's server cannot handle international addresses.", "Use an address in plain letters a-z."),
    ("5.6.", "The recipient's server cannot handle this kind of message.", "Send it as plain text, or another way."),
    ("5.7.10", "The way to the recipient's server is not safe, and you asked for one that is (REQUIRETLS).", "Use another way."),
    ("5.7.30", "The recipient's server does not promise a safe way, which you asked for (REQUIRETLS).", "Use another way."),
    ("5.7.", "The recipient's server refused the message by its rules.", "Its words below may say why."),
    ("5.1.", "The recipient's server refused the address.", "Check it for typing mistakes; the words below may help."),
    ("5.", "The recipient's server refused the message.", "Its words below may say why."),
)


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


def explain(enhanced: str) -> tuple[str, str]:
    """What happened and what the sender can do, in plain words, by the enhanced code."""
    for prefix, happened, advice in _WORDS:
        if enhanced == prefix or (prefix.endswith(".") and enhanced.startswith(prefix)):
            return happened, advice
    return _WORDS[-1][1], _WORDS[-1][2]


def build_bounce(hostname: str, failures: Sequence[Failure], header: bytes, now: float, unique: str) -> Bounce:
    """The report to the sender of `failures`, all of one message. `header`: the original's first octets.

    Where `header` is the whole message and RET=FULL asked for it, all of it is returned.
    `unique` makes Message-ID and boundary: letters and digits, at most 40.
    """
    first = failures[0].entry
    whole = returns_all(failures) and len(header) == first.octets
    report = DsnReport(
        reporting_mta=hostname,
        from_address=f"MAILER-DAEMON@{hostname}",
        to_address=first.sender,
        recipients=tuple(_recipient(failure, now) for failure in failures),
        date=int(now),
        message_id=f"{unique}.bounce@{hostname}",
        boundary=f"=_{unique}",
        original=header,
        arrival=int(first.queued_at),
        envelope_id=decode_xtext(first.envelope_id),
        return_full=whole,
        deliver_by=int(first.wishes.deliver_by) if first.wishes.by_mode else None,
    )
    content = build_dsn(report, len(header)) if whole else build_dsn(report)
    return Bounce(
        recipient=first.sender,
        content=ContentSource(len(content), inline=content),
        index=build_index(content),
        trace=first.trace,
        eight_bit=not content.isascii(),
        require_tls=first.wishes.tls is TlsWish.REQUIRED,
    )


def returns_all(failures: Sequence[Failure]) -> bool:
    """Whether the whole message was asked for; without a failure the header is enough (RFC 3461 §4.3)."""
    failed = any(failure.action is DsnAction.FAILED for failure in failures)
    first = failures[0].entry
    # RFC 8689 §5: as if RET=HDRS had been asked for
    return failed and first.ret == "FULL" and first.wishes.tls is not TlsWish.REQUIRED


def _recipient(failure: Failure, now: float) -> DsnRecipient:
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
        explanation=" ".join(explain(outcome.enhanced)) if failure.action is DsnAction.FAILED else "",
    )
