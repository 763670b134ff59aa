"""Messages come in: deliver (local copies and queue entries in one transaction), append, and bounces.

Deliveries are batched: ``deliver`` checks everything before it changes anything, as the writer's law for batches asks.
"""

from collections.abc import Sequence
from typing import Final

import attrs

from services.store.domain.devices import may_send_to
from services.store.domain.flags import bits_of, keyword_slots
from services.store.domain.names import INBOX, lookup_name
from services.store.domain.queue import QueueTimes
from services.store.domain.sending import DailyLimits
from services.store.domain.wishes import is_held
from services.store.forwarding import Forwarding
from services.store.packs.encode import Compressor, EncodedContent, encode_content
from services.store.packs.record import Placement
from services.store.reads.devices import recipients_of
from services.store.reads.directory import Rules
from services.store.sql.statements import directory, mailboxes
from services.store.transaction import MailboxRow, Transaction, new_email_id
from services.store.writer import Command
from services.store.writes import history, sending
from services.store.writes.queueing import add_to_queue, destination_of, file_report
from shared.contract.append_types import AppendNamedResult
from shared.contract.history_types import MAX_LISTED_RECIPIENTS, FiledAs, Passage, PassageKind
from shared.contract.types import AppendResult, Delivery, DeliveryResult, FiledCopy, LocalRecipient, RemoteRecipient
from shared.errors import (
    BadRequest,
    LimitExceeded,
    NoSuchMailbox,
    NoSuchUpload,
    NotFound,
    OverQuota,
    RecipientForbidden,
)
from shared.model.ids import UID_MAX, AccountId, EntryId, MailboxId, ModSeq, Uid
from shared.model.message_index import MessageIndex
from shared.model.rights import Rights, permitted_names

_MAX_RECIPIENTS: Final = 100_000


@attrs.define
class Incoming:
    """A content on its way in; ``prepare`` replaces raw bytes by the encoded form, once."""

    encoded: EncodedContent | None
    raw: bytes = attrs.field(default=b"", repr=False)
    missing: bool = False
    """An upload that is not there (any more)."""
    index: MessageIndex | None = attrs.field(default=None, repr=False)
    """What came with the upload."""

    def encode(self, compressor: Compressor) -> None:
        if self.encoded is None and not self.missing:
            self.encoded = encode_content(self.raw, compressor)
            self.raw = b""


def prepare_contents(transaction: Transaction, compressor: Compressor, commands: Sequence[Command]) -> None:
    """Encode the contents of a batch (each command's first argument is its ``Incoming``s) and look their digests up."""
    incoming = [content for command in commands for content in command.arguments[0]]
    for content in incoming:
        content.encode(compressor)
    transaction.prefetch_contents([content.encoded.digest for content in incoming if content.encoded is not None])


def ready(incoming: Sequence[Incoming], position: int = 0) -> EncodedContent:
    """The encoded content; ``prepare_contents`` ran before. Raises NoSuchUpload."""
    encoded = incoming[position].encoded
    if encoded is None:
        if incoming[position].missing:
            raise NoSuchUpload
        raise RuntimeError("content was not prepared")
    return encoded


def target_of(transaction: Transaction, recipient: LocalRecipient) -> MailboxRow:
    """The mailbox of a recipient; INBOX where the named one is gone. Raises NotFound for an account that is gone."""
    name = lookup_name(recipient.mailbox)
    row = transaction.mailbox_named(recipient.account_id, name)
    if row is None and name != INBOX:
        row = transaction.mailbox_named(recipient.account_id, INBOX)
    if row is None:
        raise NotFound("account")
    check_room(row, 1)
    return row


def check_room(row: MailboxRow, messages: int) -> None:
    """RFC 3501 §2.3.1.1: UIDs end at 2**32 - 1. Raises LimitExceeded."""
    if row.uid_next + messages - 1 > UID_MAX:
        raise LimitExceeded("the mailbox has no UIDs left")


@attrs.frozen
class Conditions:
    """Of a delivery: from the settings, and what the cache knows."""

    rules: Rules
    times: QueueTimes
    all_limited: bool = False
    """Every copy is for an account that has a limit, and nothing goes elsewhere."""
    daily: DailyLimits = attrs.field(factory=DailyLimits)
    """Of a submitting account that has none of its own."""


def deliver(
    transaction: Transaction, incoming: Sequence[Incoming], delivery: Delivery, conditions: Conditions
) -> DeliveryResult:
    """File local copies, queue remote recipients, file the report (contents in this order).

    Raises NotFound, BadRequest, LimitExceeded, OverQuota; of a submission GrantExpired, RecipientForbidden, MessagesReached,
    NewRecipientsReached.
    """
    content = ready(incoming)
    if not 0 < len(delivery.local) + len(delivery.remote) <= _MAX_RECIPIENTS:
        raise BadRequest("number of recipients")
    if not 0 <= delivery.skip_octets <= content.raw_octets:
        raise BadRequest("skip_octets")
    if len(delivery.reports) > 1:
        raise BadRequest("number of reports")
    reports = [ready(incoming, position) for position in range(1, 1 + len(delivery.reports))]
    targets = [target_of(transaction, recipient) for recipient in delivery.local]
    held = is_held(delivery.wishes, transaction.now)
    if held and any(recipient.flags for recipient in delivery.local):
        raise BadRequest("the queue keeps no flags")
    outgoing = _outgoing(transaction, delivery, conditions.rules.forwarding)
    if conditions.all_limited:
        _refuse_without_room(transaction, delivery, content.raw_octets)
    flags = [
        bits_of(r.flags, _slots(transaction, row) if r.flags else {}, create=False).bits
        for r, row in zip(delivery.local, targets, strict=True)
    ]
    copies_later = delivery.local if held else ()
    if copies_later:
        targets, flags = [], []
        outgoing.setdefault(delivery.sender, [])
    _check_device(transaction, delivery)
    charge = sending.decide(transaction, delivery, conditions.daily)
    # everything is checked: from here on nothing is refused
    if charge is not None:
        sending.record(transaction, charge)
    now = int(transaction.now)
    placements: list[Placement] = []
    planned: dict[int, int] = {}
    for recipient, row, bits in zip(() if held else delivery.local, targets, flags, strict=True):
        uid = row.uid_next + planned.get(row.id, 0)
        planned[row.id] = planned.get(row.id, 0) + 1
        placements.append(Placement(recipient.address, row.name, uid, now, bits))
    refs = len(targets) + len(outgoing)
    content_id = transaction.add_content(content, delivery.index, placements, refs)
    copies: list[FiledCopy] = []
    email_ids: list[int] = []
    for row, bits in zip(targets, flags, strict=True):
        modseq = transaction.next_modseq(row)
        email_id = new_email_id()
        uid = transaction.add_message(
            row,
            content_id=content_id,
            modseq=modseq,
            flags=bits,
            octets=content.raw_octets,
            header_octets=delivery.index.header_octets,
            internal_date=now,
            email_id=email_id,
        )
        transaction.journal("smtp_in", "delivered", row.id, (uid,), delivery.trace)
        copies.append(FiledCopy(AccountId(row.account_id), MailboxId(row.id), Uid(uid)))
        email_ids.append(email_id)
    rules, times = conditions.rules, conditions.times
    queued: list[EntryId] = []
    for sender, recipients in outgoing.items():
        own = sender == delivery.sender
        sent_on = delivery if own else attrs.evolve(delivery, sender=sender)
        later = copies_later if own else ()
        queued += add_to_queue(transaction, sent_on, content_id, content.raw_octets, recipients, times, later)
    for report, encoded in zip(delivery.reports, reports, strict=True):
        file_report(transaction, report, encoded, rules, times)
    entries = tuple(queued)
    _tell(transaction, delivery, content.raw_octets, copies, email_ids, entries)
    return DeliveryResult(tuple(copies), entries)


def _check_device(transaction: Transaction, delivery: Delivery) -> None:
    """Whom the submitting device may send to: what was said at RCPT counts, not where aliases lead.

    Raises RecipientForbidden, GrantExpired.
    """
    if delivery.device_id is None:
        return
    some = recipients_of(transaction.cursor, delivery.device_id)
    if some:
        named = {recipient.address for recipient in delivery.local}
        named.update(remote.original or remote.address for remote in delivery.remote)
        if not all(may_send_to(some, address) for address in named):
            raise RecipientForbidden


def _outgoing(
    transaction: Transaction, delivery: Delivery, forwarding: Forwarding
) -> dict[str, list[tuple[RemoteRecipient, str]]]:
    """Recipients elsewhere, each with its destination, by the sender under which they get it. Raises BadRequest."""
    outgoing: dict[str, list[tuple[RemoteRecipient, str]]] = {}
    for remote in delivery.remote:
        sender = forwarding.sender_for(
            delivery.sender, remote.original, lambda domain: directory.DOMAIN.one(transaction.cursor, domain) is not None
        )
        outgoing.setdefault(sender, []).append((remote, destination_of(remote.address)))
    return outgoing


def _refuse_without_room(transaction: Transaction, delivery: Delivery, octets: int) -> None:
    """Refuse what would take every account over its quota; a copy that has room is never refused for the sake of others.

    What goes over the quota then is one message for each time that RCPT has seen room. Raises OverQuota.
    """
    for recipient in delivery.local:
        try:
            transaction.check_quota(recipient.account_id, 1, octets)
            return
        except OverQuota as error:
            full = error
    raise full


def _tell(
    transaction: Transaction,
    delivery: Delivery,
    octets: int,
    copies: Sequence[FiledCopy],
    email_ids: Sequence[int],
    entries: tuple[EntryId, ...],
) -> None:
    local = [recipient.address for recipient in delivery.local[:MAX_LISTED_RECIPIENTS]]
    remote = [recipient.address for recipient in delivery.remote[:MAX_LISTED_RECIPIENTS]]
    filed = tuple(
        FiledAs(address, copy.account_id, copy.mailbox_id, copy.uid, email_id)
        for address, copy, email_id in zip(local, copies, email_ids, strict=False)
    )
    history.tell(
        transaction,
        Passage(
            delivery.trace,
            PassageKind.ACCEPTED,
            transaction.now,
            delivery.sender,
            tuple(dict.fromkeys(local + remote)),
            len(delivery.local) + len(delivery.remote),
            octets,
            delivery.received_from,
            delivery.account_id,
            text="; ".join(filter(None, (delivery.verdicts, *delivery.wishes.in_words()))),
            copies=filed,
            entries=entries,
        ),
    )


def _slots(transaction: Transaction, row: MailboxRow) -> dict[str, int]:
    return keyword_slots([name for (name,) in mailboxes.KEYWORDS.all(transaction.cursor, row.id)])


def flag_bits(transaction: Transaction, row: MailboxRow, names: Sequence[str], *, create: bool) -> int:
    """Bits of flag names; keywords that are new in the mailbox get their slots. Raises LimitExceeded, BadRequest."""
    if all(name.startswith("\\") for name in names):
        return bits_of(names, {}, create=False).bits
    slots = _slots(transaction, row)
    found = bits_of(names, slots, create=create)
    for position, name in enumerate(found.new_keywords):
        mailboxes.INSERT_KEYWORD.run(transaction.cursor, row.id, len(slots) + position, name)
    return found.bits


def append(
    transaction: Transaction,
    incoming: Sequence[Incoming],
    account_id: int,
    mailbox_id: int,
    flags: tuple[str, ...],
    internal_date: int | None,
    index: MessageIndex,
) -> AppendResult:
    """IMAP APPEND. Raises NoSuchMailbox, NoPermission, OverQuota, LimitExceeded, BadRequest."""
    ready(incoming)
    row = transaction.mailbox_of(account_id, mailbox_id, Rights.INSERT)
    return _append(transaction, incoming, account_id, row, flags, internal_date, index)


def append_named(
    transaction: Transaction,
    incoming: Sequence[Incoming],
    account_id: int,
    name: str,
    flags: tuple[str, ...],
    internal_date: int | None,
    index: MessageIndex,
) -> AppendNamedResult:
    """``append`` to the account's own mailbox of that name. Raises as that does."""
    ready(incoming)
    row = transaction.mailbox_named(account_id, lookup_name(name))
    if row is None:
        raise NoSuchMailbox
    filed = _append(transaction, incoming, account_id, row, flags, internal_date, index)
    return AppendNamedResult(MailboxId(row.id), filed.uidvalidity, filed.uid, filed.modseq)


def index_of(incoming: Sequence[Incoming], position: int, given: MessageIndex | None) -> MessageIndex:
    """What came with the message, or with its upload. Raises BadRequest."""
    index = given or incoming[position].index
    if index is None:
        raise BadRequest("an upload without an index")
    return index


def file_message(
    transaction: Transaction,
    row: MailboxRow,
    address: str,
    content: EncodedContent,
    index: MessageIndex,
    *,
    modseq: int,
    flags: int,
    date: int,
    email_id: int | None = None,
    thread_id: int | None = None,
    uidl: str = "",
) -> int:
    """One message with its content at the end of a mailbox; its UID. ``address``: whose record of it the pack keeps."""
    placement = Placement(address, row.name, row.uid_next, date, flags)
    return transaction.add_message(
        row,
        content_id=transaction.add_content(content, index, [placement], 1),
        modseq=modseq,
        flags=flags,
        octets=content.raw_octets,
        header_octets=index.header_octets,
        internal_date=date,
        email_id=email_id,
        thread_id=thread_id,
        uidl=uidl,
    )


def _append(
    transaction: Transaction,
    incoming: Sequence[Incoming],
    account_id: int,
    row: MailboxRow,
    flags: tuple[str, ...],
    internal_date: int | None,
    index: MessageIndex,
) -> AppendResult:
    content = ready(incoming)
    check_room(row, 1)
    transaction.check_quota(row.account_id, 1, content.raw_octets)
    # RFC 4314 §4: flags that the account may not set are left out, without a word
    flags = permitted_names(flags, transaction.rights(account_id, row))
    date = int(transaction.now) if internal_date is None else internal_date
    bits = flag_bits(transaction, row, flags, create=True)
    address = directory.ACCOUNT_ADDRESS.scalar(transaction.cursor, row.account_id)
    modseq = transaction.next_modseq(row)
    uid = file_message(transaction, row, address, content, index, modseq=modseq, flags=bits, date=date)
    transaction.journal("imap", "appended", row.id, (uid,))
    return AppendResult(row.uidvalidity, Uid(uid), ModSeq(modseq))
