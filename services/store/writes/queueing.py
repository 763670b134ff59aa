"""Into the outbound queue, and reports to their senders: what deliveries and results have in common."""

from collections.abc import Sequence
from typing import Final

from services.store.domain.addresses import InvalidAddressError, split_address
from services.store.domain.directory import resolve
from services.store.domain.names import INBOX
from services.store.domain.queue import QueueTimes
from services.store.domain.turns import HERE_SHARE, share_of
from services.store.domain.wishes import expiry, first_due, first_warning
from services.store.packs.encode import EncodedContent
from services.store.packs.record import Placement
from services.store.reads.directory import Rules, lookups
from services.store.transaction import Transaction, new_email_id
from services.store.writes import history
from shared.contract.history_types import FiledAs, Passage, PassageKind
from shared.contract.queue_types import HERE
from shared.contract.types import Bounce, ContentSource, Delivery, LocalRecipient, RemoteRecipient, ResolutionKind
from shared.contract.wishes_types import TlsWish, Wishes
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
    copies: Sequence[LocalRecipient] = (),
) -> tuple[EntryId, ...]:
    """Queue a message for recipients, each with its destination; the content's reference is the caller's.

    ``copies``: for accounts here, of a message that is held.
    """
    now, wishes = transaction.now, delivery.wishes
    due_at = first_due(wishes, now)
    message_id = transaction.ids.next("queue_message")
    transaction.add_queue_message(
        (
            message_id, content_id, delivery.trace, delivery.sender, octets - delivery.skip_octets,
            delivery.skip_octets, delivery.smtputf8, delivery.eight_bit, now, expiry(wishes, now, times),
            delivery.account_id, delivery.received_from[:500], len(recipients) + len(copies), delivery.envelope_id,
            delivery.ret, delivery.index.header_octets,
            str(wishes.tls), wishes.held_until, wishes.deliver_by, str(wishes.by_mode), wishes.by_trace,
        )
    )  # fmt: skip
    entries = []
    submitted = delivery.account_id is not None
    for remote, destination in recipients:
        entry_id = transaction.ids.next("queue_entry")
        warn_at = first_warning(wishes, now, times, notify=remote.notify, sender=delivery.sender, submitted=submitted)
        transaction.add_queue_entry(
            (
                entry_id, message_id, remote.address, remote.original, destination, due_at, "", 0.0, 0, "",
                remote.notify, remote.orcpt, warn_at, None, "", share_of(delivery.account_id, destination),
            )
        )  # fmt: skip
        entries.append(EntryId(entry_id))
    for copy in copies:
        entry_id = transaction.ids.next("queue_entry")
        transaction.add_queue_entry(
            (
                entry_id, message_id, copy.address, "", HERE, due_at, "", 0.0, 0, "",
                copy.notify, copy.orcpt, 0.0, copy.account_id, copy.mailbox, HERE_SHARE,
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
        # RFC 8689 §5: protected as what it tells of
        wishes = Wishes(TlsWish.REQUIRED if bounce.require_tls else TlsWish.ANY)
        delivery = Delivery(
            bounce.trace, "", (), (), _NO_CONTENT, bounce.index, eight_bit=bounce.eight_bit, wishes=wishes
        )
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
