"""Lists and counters of mailboxes."""

from typing import Final

from services.store.domain.names import lookup_name
from services.store.readers import Snapshot
from services.store.sql.prepared import Cursor
from services.store.sql.statements import bookkeeping, mailboxes, messages
from services.store.transaction import MailboxRow
from services.store.writer import recorded_result
from shared.contract.types import MailboxInfo, MailboxList, MailboxState
from shared.errors import NoSuchMailbox
from shared.model.ids import MailboxId, ModSeq, Uid


def state_of_row(cursor: Cursor, row: MailboxRow) -> MailboxState:
    """The state that SELECT and STATUS tell; nothing is claimed."""
    return MailboxState(
        mailbox_id=MailboxId(row.id),
        name=row.name,
        uidvalidity=row.uidvalidity,
        uid_next=Uid(row.uid_next),
        highest_modseq=ModSeq(row.highest_modseq),
        messages=row.messages,
        unseen=row.unseen,
        recent=recent_of(cursor, row),
        deleted=row.deleted,
        octets=row.octets,
        first_recent_uid=Uid(row.first_recent_uid),
        keywords=tuple(name for (name,) in mailboxes.KEYWORDS.all(cursor, row.id)),
    )


def recent_of(cursor: Cursor, row: MailboxRow) -> int:
    """Messages that no session has claimed as \\Recent."""
    if row.first_recent_uid >= row.uid_next:
        return 0
    return int(messages.COUNT_FROM.scalar(cursor, row.id, row.first_recent_uid))


def check_owner(cursor: Cursor, account_id: int, mailbox_id: int) -> None:
    """Raises NoSuchMailbox where the mailbox is not there or another account's."""
    row = mailboxes.OWNER.one(cursor, mailbox_id)
    if row is None or row[0] != account_id:
        raise NoSuchMailbox


def owned_row(cursor: Cursor, account_id: int, mailbox_id: int) -> MailboxRow:
    """Raises NoSuchMailbox."""
    found = mailboxes.BY_ID.one(cursor, mailbox_id)
    if found is None or found[1] != account_id:
        raise NoSuchMailbox
    return MailboxRow(*found)


def status(snapshot: Snapshot, account_id: int, name: str) -> MailboxState:
    """Raises NoSuchMailbox."""
    found = mailboxes.BY_NAME.one(snapshot.cursor, account_id, lookup_name(name))
    if found is None:
        raise NoSuchMailbox
    return state_of_row(snapshot.cursor, MailboxRow(*found))


def select_unclaimed(
    snapshot: Snapshot, account_id: int, name: str, claim_recent: bool, op_id: bytes | None
) -> MailboxState | None:
    """The state when there is nothing to claim, or what this operation answered before; None: the writer has to claim."""
    if op_id is not None:
        for _, method, result in bookkeeping.OPERATIONS.all(snapshot.cursor, [op_id]):
            before: MailboxState = recorded_result("mailboxes.select", method, result)
            return before
    state = status(snapshot, account_id, name)
    return None if claim_recent and state.first_recent_uid != state.uid_next else state


def highest_modseq(snapshot: Snapshot, account_id: int, mailbox_id: int) -> int:
    """Raises NoSuchMailbox."""
    return owned_row(snapshot.cursor, account_id, mailbox_id).highest_modseq


_PAGE: Final = 400
"""Two lists of names of at most 1,000 octets stay below MAX_REPLY_OCTETS."""


def list_mailboxes(snapshot: Snapshot, account_id: int, after: str) -> MailboxList:
    """A page of mailboxes by name, and of names that are subscribed without a mailbox."""
    cursor = snapshot.cursor
    page = _PAGE
    rows = mailboxes.LIST.all(cursor, account_id, after, page + 1)
    only = [name for (name,) in mailboxes.SUBSCRIBED_ONLY.all(cursor, account_id, after, page + 1)]
    more = len(rows) > page or len(only) > page
    if more:
        # both lists end at the same name, so that the next page begins after it
        ends = [rows[page - 1][1]] if len(rows) > page else []
        ends += [only[page - 1]] if len(only) > page else []
        last = min(ends)
        rows = [row for row in rows if row[1] <= last]
        only = [name for name in only if name <= last]
    infos = tuple(
        MailboxInfo(MailboxId(mailbox_id), name, special_use, bool(subscribed), uidvalidity)
        for mailbox_id, name, special_use, subscribed, uidvalidity in rows
    )
    return MailboxList(infos, tuple(only), more)
