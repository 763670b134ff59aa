"""Copy, move and expunge: messages leave one mailbox and enter another, in one transaction.

A copy shares the content and keeps EMAILID, THREADID, flags and dates; it gets a UIDL of its own, because a UIDL never
stands for two messages of a maildrop (RFC 1939 §7). A move takes the UIDL along. What leaves a mailbox leaves a tombstone.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_

from services.store.domain.flags import DELETED, keyword_slots, permitted_mask, translate
from services.store.domain.runs import encode_uids
from services.store.domain.wild import NOT_WATCHED, TRASH, Deleted
from services.store.sql.prepared import Row
from services.store.sql.statements import mailboxes, messages
from services.store.transaction import MailboxRow, Transaction
from services.store.usage import Leaving
from services.store.writes.burying import bury
from services.store.writes.filing import check_room
from shared.contract.types import CopyResult, ExpungeResult
from shared.errors import BadRequest, LimitExceeded
from shared.model.flags import FIRST_KEYWORD_BIT, MAX_KEYWORDS
from shared.model.ids import ModSeq
from shared.model.packed import pack_u32
from shared.model.rights import Rights


def copy(transaction: Transaction, account_id: int, mailbox_id: int, uids: Sequence[int], target_id: int) -> CopyResult:
    """Raises NoSuchMailbox, NoPermission, OverQuota, LimitExceeded."""
    source = transaction.mailbox_of(account_id, mailbox_id, Rights.READ)
    target = transaction.mailbox_of(account_id, target_id, Rights.INSERT)
    rows = whole_rows(transaction, mailbox_id, uids)
    if rows:
        transaction.check_quota(target.account_id, len(rows), sum(row[3] for row in rows))
    mask = permitted_mask(transaction.rights(account_id, target))
    targets = _enter(transaction, source, target, rows, keep_uidl=False, mask=mask)
    if rows:
        transaction.add_references(dict(Counter(row[1] for row in rows)))
        transaction.journal("imap", "copied", target.id, targets, source.id)
    return CopyResult(target.uidvalidity, pack_u32([row[0] for row in rows]), pack_u32(targets))


def move(transaction: Transaction, account_id: int, mailbox_id: int, uids: Sequence[int], target_id: int) -> CopyResult:
    """RFC 6851. Raises NoSuchMailbox, NoPermission, OverQuota, LimitExceeded, BadRequest (into itself)."""
    # RFC 6851 §4.2: what COPY, STORE \\Deleted and EXPUNGE need
    source = transaction.mailbox_of(account_id, mailbox_id, Rights.READ | Rights.DELETE_MESSAGES | Rights.EXPUNGE)
    target = transaction.mailbox_of(account_id, target_id, Rights.INSERT)
    if source.id == target.id:
        # RFC 6851 §3.3 leaves it to us whether a move onto itself is refused
        raise BadRequest("a mailbox cannot move into itself")
    rows = whole_rows(transaction, mailbox_id, uids)
    if source.account_id != target.account_id and rows:
        octets = sum(row[3] for row in rows)
        leaving = Leaving(source.account_id, len(rows), octets)
        transaction.check_quota(target.account_id, len(rows), octets, leaving)
    result = move_rows(transaction, source, target, rows, permitted_mask(transaction.rights(account_id, target)))
    if target.special_use == TRASH:
        _note_deleted(transaction, source, len(rows))
    return result


def _note_deleted(transaction: Transaction, row: MailboxRow, messages: int) -> None:
    """A client deleted: it may have run wild."""
    if messages and row.special_use not in NOT_WATCHED:
        transaction.changes.deleted.append(Deleted(row.account_id, row.id, row.name, messages, row.messages))


def move_rows(
    transaction: Transaction, source: MailboxRow, target: MailboxRow, rows: Sequence[Row], mask: int = -1, actor: str = "imap"
) -> CopyResult:
    """Move rows of ``messages.WHOLE_OF``. ``mask``: the flags that may go along."""
    sources = [row[0] for row in rows]
    if not rows:
        return CopyResult(target.uidvalidity, b"", b"")
    targets = _enter(transaction, source, target, rows, keep_uidl=True, mask=mask)
    modseq = leave(transaction, source, [(row[0], row[1], row[2], row[3]) for row in rows], (target.id, targets[0]))
    transaction.journal(actor, "moved", target.id, targets, source.id, encode_uids(sources), owner=source.account_id)
    return CopyResult(target.uidvalidity, pack_u32(sources), pack_u32(targets), ModSeq(modseq))


def whole_mailbox(transaction: Transaction, mailbox_id: int) -> list[Row]:
    """Everything of a mailbox, ready for ``move_rows``."""
    transaction.flush()
    return whole_rows(transaction, mailbox_id, [uid for (uid,) in messages.UIDS.all(transaction.cursor, mailbox_id)])


def whole_rows(transaction: Transaction, mailbox_id: int, uids: Sequence[int]) -> list[Row]:
    """Those of the messages that are there, ready for ``move_rows``."""
    transaction.flush()
    return sorted(set(messages.WHOLE_OF.all(transaction.cursor, uids, mailbox_id)))


def keywords_of(transaction: Transaction, mailbox_id: int) -> list[str]:
    """Names by slot."""
    return [name for (name,) in mailboxes.KEYWORDS.all(transaction.cursor, mailbox_id)]


def _enter(
    transaction: Transaction, source: MailboxRow, target: MailboxRow, rows: Sequence[Row], *, keep_uidl: bool, mask: int
) -> list[int]:
    if mask != -1:
        # RFC 4314 §4: flags that the account may not set are left out, without a word
        rows = [(*row[:2], row[2] & mask, *row[3:]) for row in rows]
    return enter(transaction, lambda: keywords_of(transaction, source.id), target, rows, keep_uidl=keep_uidl)


def enter(
    transaction: Transaction, keywords: Callable[[], list[str]], target: MailboxRow, rows: Sequence[Row], *, keep_uidl: bool
) -> list[int]:
    """File rows of ``messages.WHOLE_OF`` at the end of the target, in order; their new UIDs, which follow each other.

    ``keywords``: names by slot for the flags of the rows; only asked for when there are any. Raises LimitExceeded.
    """
    if not rows:
        return []
    check_room(target, len(rows))
    slots = slot_table(transaction, keywords, target, reduce(or_, (row[2] for row in rows)))
    modseq = transaction.next_modseq(target)
    targets = []
    for _, content_id, flags, octets, header_octets, internal_date, _, email_id, thread_id, uidl in rows:
        uid = transaction.add_message(
            target,
            content_id=content_id,
            modseq=modseq,
            flags=flags if slots is None else translate(flags, slots),
            octets=octets,
            header_octets=header_octets,
            internal_date=internal_date,
            email_id=email_id,
            thread_id=thread_id,
            uidl=uidl if keep_uidl else "",
        )
        targets.append(uid)
    return targets


def slot_table(
    transaction: Transaction, keywords: Callable[[], list[str]], target: MailboxRow, used: int
) -> dict[int, int] | None:
    """From the source's keyword slots to the target's, those made that are missing; None: no keyword is among the used bits.

    Raises LimitExceeded.
    """
    used >>= FIRST_KEYWORD_BIT
    if not used:
        return None
    cursor = transaction.cursor
    names = keywords()
    known = keyword_slots(keywords_of(transaction, target.id))
    wanted = [slot for slot in range(len(names)) if used >> slot & 1]
    new = [slot for slot in wanted if names[slot].lower() not in known]
    if len(known) + len(new) > MAX_KEYWORDS:
        raise LimitExceeded(f"{MAX_KEYWORDS} keywords per mailbox")
    for slot in new:
        number = len(known)
        known[names[slot].lower()] = number
        mailboxes.INSERT_KEYWORD.run(cursor, target.id, number, names[slot])
    return {slot: known[names[slot].lower()] for slot in wanted}


def leave(
    transaction: Transaction, row: MailboxRow, gone: Sequence[Row], moved_to: tuple[int, int] | None = None
) -> int:
    """Take (uid, content, flags, octets) out of a mailbox and leave tombstones; the modseq of it.

    ``moved_to``: mailbox and UID of the first, where they are now in this order (which is that of their UIDs).
    """
    transaction.flush()
    modseq = transaction.next_modseq(row)
    uids = [uid for uid, _, _, _ in gone]
    bury(transaction, row.id, uids, moved_to)
    messages.LEAVE_TOMBSTONES.execute(transaction.cursor, uids, modseq, row.id)
    messages.DELETE_OF.execute(transaction.cursor, uids, row.id)
    transaction.changed(row, uids)
    for _, _, flags, octets in gone:
        row.count(flags, octets, -1)
    return modseq


def let_go(transaction: Transaction, actor: str, row: MailboxRow, gone: Sequence[Row]) -> list[int]:
    """Expunge (uid, content, flags, octets), whoever wants it; their UIDs."""
    leave(transaction, row, gone)
    transaction.drop_references(dict(Counter(content_id for _, content_id, _, _ in gone)), buried=True)
    removed = [uid for uid, _, _, _ in gone]
    transaction.journal(actor, "expunged", row.id, removed, owner=row.account_id)
    return removed


def expunge(
    transaction: Transaction,
    actor: str,
    account_id: int,
    mailbox_id: int,
    uids: Sequence[int] | None,
    only_deleted: bool,
) -> ExpungeResult:
    """Remove messages. Raises NoSuchMailbox, NoPermission."""
    row = transaction.mailbox_of(account_id, mailbox_id, Rights.READ | Rights.EXPUNGE)
    transaction.flush()
    cursor = transaction.cursor
    if only_deleted and not row.deleted:
        return ExpungeResult(b"", ModSeq(row.highest_modseq))
    if uids is None:
        statement = messages.EXPUNGE_DELETED if only_deleted else messages.EXPUNGE_ALL
        gone = statement.all(cursor, mailbox_id)
    else:
        found = sorted(set(messages.EXPUNGE_OF.all(cursor, uids, mailbox_id)))
        gone = [message for message in found if message[2] & DELETED] if only_deleted else found
    if not gone:
        return ExpungeResult(b"", ModSeq(row.highest_modseq))
    removed = let_go(transaction, actor, row, gone)
    _note_deleted(transaction, row, len(removed))
    return ExpungeResult(pack_u32(removed), ModSeq(row.highest_modseq))
