"""The report to a sender whose message could not be delivered (RFC 3464), with plain words first: what happened, what to do.

Laws
- Only for a sender: the null reverse-path gets none (RFC 5321 §4.5.5), which the caller has checked. The report itself goes
  out under the null reverse-path, so no bounce ever answers a bounce.
- One report per message and attempt, whatever the number of its failed recipients.
- What strangers said is quoted, bounded and cleaned (`protocol.reply`, `shared.mail.dsn`); of the original only the header.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from shared.contract.types import Bounce, ContentSource, Outcome, QueueEntry
from shared.mail.dsn import DsnAction, DsnRecipient, DsnReport, build_dsn
from shared.mail.index import build_index

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
    ("5.4.7", "The recipient's server could not take the mail for days.", "Try again later, or use another way."),
    ("5.6.7", "The recipient's server cannot handle international addresses.", "Use an address in plain letters a-z."),
    ("5.6.", "The recipient's server cannot handle this kind of message.", "Send it as plain text, or another way."),
    ("5.7.", "The recipient's server refused the message by its rules.", "Its words below may say why."),
    ("5.1.", "The recipient's server refused the address.", "Check it for typing mistakes; the words below may help."),
    ("5.", "The recipient's server refused the message.", "Its words below may say why."),
)


@attrs.frozen
class Failure:
    """A recipient and the outcome that ended its delivery."""

    entry: QueueEntry
    outcome: Outcome


def explain(enhanced: str) -> tuple[str, str]:
    """What happened and what the sender can do, in plain words, by the enhanced code."""
    for prefix, happened, advice in _WORDS:
        if enhanced == prefix or (prefix.endswith(".") and enhanced.startswith(prefix)):
            return happened, advice
    return _WORDS[-1][1], _WORDS[-1][2]


def build_bounce(hostname: str, failures: Sequence[Failure], header: bytes, now: float, unique: str) -> Bounce:
    """The report to the sender of `failures`, all of one message. `header`: the original's first octets.

    `unique` makes Message-ID and boundary: letters and digits, at most 40.
    """
    first = failures[0].entry
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
    )
    content = build_dsn(report)
    return Bounce(
        recipient=first.sender,
        content=ContentSource(len(content), inline=content),
        index=build_index(content),
        trace=first.trace,
    )


def _recipient(failure: Failure, now: float) -> DsnRecipient:
    entry, outcome = failure.entry, failure.outcome
    reply = outcome.code and outcome.remote
    said = f"{outcome.code} {outcome.enhanced} {outcome.text}" if reply else outcome.text
    return DsnRecipient(
        address=entry.recipient,
        action=DsnAction.FAILED,
        status=outcome.enhanced,
        diagnostic=said,
        remote_mta=outcome.remote.partition("[")[0] if reply else "",
        original_address=entry.original,
        last_attempt=int(now),
        explanation=" ".join(explain(outcome.enhanced)),
    )
