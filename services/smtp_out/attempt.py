"""One attempt: a message, its recipients at one hop, an open session; a `Result` for each recipient.

Laws
- Every recipient gets exactly one result, whatever happens on the way.
- What the hop cannot take is decided before anything is sent: size (RFC 1870 §6.1), content and headers that could not be converted
  (`adapt`), internationalized addresses (RFC 6531 §3.2), addresses that cannot be written in SMTP.
- "Too many recipients" (452, 552 to RCPT; RFC 5321 §4.5.3.1.10) while others were taken: the rest goes out in a further
  transaction of the same session, as long as each takes at least one.
- `Stale`: a reused session was dead before it answered anything. Nothing was tried; the caller opens a new one.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from services.smtp_out import outcome, require_tls, wishes
from services.smtp_out.adapt import Form
from services.smtp_out.content import ContentReader
from services.smtp_out.outcome import Result
from services.smtp_out.protocol.capabilities import Capabilities
from services.smtp_out.protocol.flow import Step
from services.smtp_out.protocol.transaction import (
    MAX_RECIPIENTS,
    Envelope,
    Transaction,
    UnusableAddress,
    Verdict,
    check_address,
    notify_parameters,
)
from services.smtp_out.session import Session, SessionBroken
from shared.contract.types import QueueEntry
from shared.mail.mailbox_name import domain_to_a_labels
from shared.model.ids import EntryId

Results = dict[EntryId, Result]


class Stale(Exception):
    """A reused session had been closed by the server meanwhile."""


async def deliver(
    session: Session, entries: Sequence[QueueEntry], content: ContentReader, form: Form, now: float
) -> Results:
    """Deliver one message to its recipients; `now` is in seconds since 1970.

    Raises Stale, ContentLost (recipients without a result: nothing is known).
    """
    results: Results = {}
    ready: list[tuple[QueueEntry, str]] = []
    for entry in entries:
        fit = wishes.too_slow(entry, session.capabilities, now) or fit_recipient(
            entry, session.capabilities, content.octets
        )
        if isinstance(fit, Result):
            results[entry.entry_id] = fit
        elif form.refusal is not None:
            results[entry.entry_id] = form.refusal
        else:
            ready.append((entry, fit))
    reused = session.transactions > 0
    while ready:
        batch, ready = ready[:MAX_RECIPIENTS], ready[MAX_RECIPIENTS:]
        content.rewind()
        verdicts = await _transact(session, batch, content, form, now, reused=reused)
        reused = False  # from here on a dead session is trouble: what was delivered must not be tried again
        results.update((entry.entry_id, result) for (entry, _), result in zip(batch, verdicts, strict=True))
        again = [pair for pair, result in zip(batch, verdicts, strict=True) if _too_many(result)]
        if again and len(again) < len(batch) and session.usable:
            ready = again + ready
        if ready and not session.usable:
            rest = outcome.deferred("4.4.2", "the server closed the connection", Step.MAIL.value)
            results.update((entry.entry_id, rest) for entry, _ in ready if entry.entry_id not in results)
            break
    return results


async def _transact(
    session: Session,
    batch: Sequence[tuple[QueueEntry, str]],
    content: ContentReader,
    form: Form,
    now: float,
    *,
    reused: bool,
) -> list[Result]:
    first = batch[0][0]
    utf8 = session.capabilities.smtputf8
    envelope = Envelope(
        sender=first.sender if utf8 else ascii_domain(first.sender),
        recipients=tuple(recipient for _, recipient in batch),
        octets=content.octets,
        eight_bit=form.eight_bit,
        smtputf8=first.smtputf8 or not first.sender.isascii() or not all(recipient.isascii() for _, recipient in batch),
        mail_parameters=wishes.mail_parameters(
            first, session.capabilities, now, require_tls=require_tls.objection(session.hop) is None
        ),
    )
    if session.capabilities.dsn:
        asked = tuple(notify_parameters(entry.notify, entry.orcpt, smtputf8=envelope.smtputf8) for entry, _ in batch)
        envelope = evolve(envelope, ret=first.ret, envelope_id=first.envelope_id, rcpt_parameters=asked)
    transaction = Transaction(envelope, session.capabilities)
    try:
        await session.send(transaction, content.read)
    except SessionBroken as broken:
        if reused and not transaction.replied:
            raise Stale from None
        doubt = "; it may have been taken all the same" if transaction.in_doubt else ""
        rest = outcome.deferred(broken.enhanced, broken.reason + doubt, broken.step.value)
    else:
        rest = outcome.deferred("4.5.0", "the server gave no answer for this recipient")
    if reused and _closing(transaction.verdicts):
        raise Stale
    return [rest if verdict is None else outcome.from_verdict(verdict) for verdict in transaction.verdicts]


def _closing(verdicts: Sequence[Verdict | None]) -> bool:
    """421 to the MAIL of a reused session: it had been idle for too long (RFC 5321 §3.8)."""
    return all(v is not None and v.step is Step.MAIL and v.reply.code == 421 for v in verdicts)


def _too_many(result: Result) -> bool:
    return result.step == Step.RCPT.value and result.code in (452, 552)


def fit_recipient(entry: QueueEntry, capabilities: Capabilities, octets: int) -> str | Result:
    """The recipient's address as this hop takes it, or why it cannot take a message of so many octets."""
    limit = capabilities.max_size
    if limit and octets > limit:
        text = f"the message has {octets} octets; {capabilities.host or 'the server'} takes at most {limit}"
        return outcome.failed("5.3.4", text, 552)
    recipient = entry.recipient
    if not capabilities.smtputf8:
        recipient = ascii_domain(recipient)
        for address in (recipient, ascii_domain(entry.sender)):
            if not address.isascii():
                # RFC 6531 §3.2; RFC 3463 X.6.7
                text = f"the next server takes no internationalized addresses (SMTPUTF8), and {address} cannot be written in ASCII"
                return outcome.failed("5.6.7", text, 553)
    try:
        check_address(recipient)
        check_address(entry.sender)
    except UnusableAddress as error:
        # RFC 3463 §3.2 X.1.3: bad destination mailbox address syntax
        return outcome.failed("5.1.3", str(error), 553)
    return recipient


def ascii_domain(address: str) -> str:
    """The address with its domain in A-labels (RFC 5890), where that can be had; the local part is never touched."""
    local, at, domain = address.rpartition("@")
    if domain.isascii() or not at:
        return address
    try:
        return f"{local}@{domain_to_a_labels(domain)}"
    except ValueError:
        return address
