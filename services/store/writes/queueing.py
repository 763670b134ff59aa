"""Into the outbound queue, and reports to their senders: what deliveries and results have in common."""

from collections.abc import Sequence
from typing import Final

from services.store.domain.addresses import InvalidAddressError, split_address
from services.store.domain.directory import resolve
from services.store.domain.names import INBOX
from services.store.domain.queue import QueueTimes, warning_time
from services.store.domain.turns import share_of
from services.store.packs.encode import EncodedContent
from services.store.packs.record import Placement
from services.store.reads.directory import Rules, lookups
from services.store.transaction import Transaction, new_email_id
from services.store.writes import history
from shared.contract.history_types import FiledAs, Passage, PassageKind
from shared.contract.types import Bounce, ContentSource, Delivery, RemoteRecipient, ResolutionKind
from shared.errors import BadRequest
from shared.model.ids import AccountId, EntryId, MailboxId, Uid

_NO_CONTENT: Final = ContentSource(0)


def add_to_queue(
    transaction: Transaction,
    delivery: Delivery,
    content_id: int,
    octets: int,
    recipients: Sequence[tuple[RemoteRecipient, str]],
    times: QueueTimes,
) -> tuple[EntryId, ...]:
    """Queue a message for recipients, each with its destination; the content's reference is the caller's."""
    now = transaction.now
    message_id = transaction.ids.next("queue_message")
    transaction.add_queue_message(
        (
            message_id, content_id, delivery.trace, delivery.sender, octets - delivery.skip_octets,
            delivery.skip_octets, delivery.smtputf8, delivery.eight_bit, now, now + times.expire_seconds,
            delivery.account_id, delivery.received_from[:500], len(recipients), delivery.envelope_id, delivery.ret,
        )
    )  # fmt: skip
    entries = []
    submitted = delivery.account_id is not None
    for remote, destination in recipients:
        entry_id = transaction.ids.next("queue_entry")
        warn_at = warning_time(now, times, notify=remote.notify, sender=delivery.sender, submitted=submitted)
        transaction.add_queue_entry(
            (
                entry_id, message_id, remote.address, remote.original, destination, now, "", 0.0, 0, "",
                remote.notify, remote.orcpt, warn_at, share_of(delivery.account_id, destination),
            )
        )  # fmt: skip
        entries.append(EntryId(entry_id))
    return tuple(entries)


def destination_of(address: str) -> str:
    """The domain that a remote recipient's mail goes to. Raises BadRequest."""
    try:
        return split_address(address)[1]
    except InvalidAddressError:
        raise BadRequest("not a recipient address") from None


def file_report(
    transaction: Transaction, bounce: Bounce, encoded: EncodedContent, rules: Rules, times: QueueTimes
) -> None:
    """Into the INBOX of whoever is behind the sender, else into the queue with the null sender.

    RFC 5321 §4.5.5: never a bounce for the null sender. A bounce that nobody here or elsewhere could get is dropped.
    """
    if not bounce.recipient:
        return
    found = resolve(bounce.recipient, lookups(transaction.cursor, rules))
    remotes = [bounce.recipient] if found.kind is ResolutionKind.NOT_LOCAL else list(found.remotes)
    inboxes = [row for account in found.accounts if (row := transaction.mailbox_named(account, INBOX)) is not None]
    try:
        targets = [(RemoteRecipient(address), destination_of(address)) for address in remotes]
    except BadRequest:
        targets = []
    if not inboxes and not targets:
        return
    now = int(transaction.now)
    placements = [Placement(bounce.recipient, row.name, row.uid_next, now) for row in inboxes]
    refs = len(inboxes) + (1 if targets else 0)
    content_id = transaction.add_content(encoded, bounce.index, placements, refs)
    copies: list[FiledAs] = []
    entries: tuple[EntryId, ...] = ()
    for row in inboxes:
        modseq, email_id = transaction.next_modseq(row), new_email_id()
        uid = transaction.add_message(
            row,
            content_id=content_id,
            modseq=modseq,
            flags=0,
            octets=encoded.raw_octets,
            header_octets=bounce.index.header_octets,
            internal_date=now,
            email_id=email_id,
        )
        transaction.journal("smtp_out", "bounced", row.id, (uid,), bounce.trace)
        copies.append(FiledAs(bounce.recipient, AccountId(row.account_id), MailboxId(row.id), Uid(uid), email_id))
    if targets:
        delivery = Delivery(bounce.trace, "", (), (), _NO_CONTENT, bounce.index, eight_bit=bounce.eight_bit)
        entries = add_to_queue(transaction, delivery, content_id, encoded.raw_octets, targets, times)
    history.tell(
        transaction,
        Passage(
            bounce.trace,
            PassageKind.REPORTED,
            transaction.now,
            "",
            (bounce.recipient,),
            octets=encoded.raw_octets,
            copies=tuple(copies),
            entries=entries,
        ),
    )
