"""Counters and identities of mailboxes."""

from collections.abc import Sequence
from typing import Final

import attrs

from services.store import access
from services.store.readers import Snapshot
from services.store.sql.prepared import Cursor
from services.store.sql.statements import bookkeeping, directory, mailboxes, messages
from services.store.transaction import MailboxRow
from services.store.writer import recorded_result
from shared.contract.mailbox_types import MailboxAccess
from shared.contract.types import MailboxState
from shared.errors import BadRequest, NoPermission, NoSuchMailbox
from shared.model.ids import MailboxId, ModSeq, Uid
from shared.model.rights import ANY_RIGHTS, READ_WRITE_RIGHTS, Rights

STATUSES_MAX: Final = 1000


def state_of_row(cursor: Cursor, row: MailboxRow, rights: Rights, name: str, *, own: bool) -> MailboxState:
    """The state that SELECT and STATUS tell; nothing is claimed. ``name`` and ``rights`` as the asking account has them."""
    keywords = tuple(keyword for (keyword,) in mailboxes.KEYWORDS.all(cursor, row.id))
    return _state(cursor, row, keywords, rights, name, own=own)


def _state(
    cursor: Cursor, row: MailboxRow, keywords: tuple[str, ...], rights: Rights, name: str, *, own: bool
) -> MailboxState:
    return MailboxState(
        mailbox_id=MailboxId(row.id),
        name=name,
        uidvalidity=row.uidvalidity,
        uid_next=Uid(row.uid_next),
        highest_modseq=ModSeq(row.highest_modseq),
        messages=row.messages,
        unseen=row.unseen,
        recent=recent_of(cursor, row),
        deleted=row.deleted,
        octets=row.octets,
        first_recent_uid=Uid(row.first_recent_uid),
        keywords=keywords,
        rights=int(rights),
        own=own,
        acl_version=row.acl_version,
    )


def recent_of(cursor: Cursor, row: MailboxRow) -> int:
    """Messages that no session has claimed as \\Recent."""
    if row.first_recent_uid >= row.uid_next:
        return 0
    return int(messages.COUNT_FROM.scalar(cursor, row.id, row.first_recent_uid))


def readable_row(cursor: Cursor, account_id: int, mailbox_id: int) -> MailboxRow:
    """Raises NoSuchMailbox, NoPermission."""
    return MailboxRow(*access.find_by_id(cursor, account_id, mailbox_id, Rights.READ))


def rights(snapshot: Snapshot, account_id: int, mailbox_id: int) -> int:
    """Raises NoSuchMailbox, NoPermission."""
    row = readable_row(snapshot.cursor, account_id, mailbox_id)
    return int(access.rights_on(snapshot.cursor, account_id, row.account_id, mailbox_id))


def status(snapshot: Snapshot, account_id: int, name: str) -> MailboxState:
    """Raises NoSuchMailbox, NoPermission."""
    found = access.find(snapshot.cursor, account_id, name, Rights.READ)
    row = MailboxRow(*found.row)
    return state_of_row(snapshot.cursor, row, found.rights, found.name, own=row.account_id == account_id)


def statuses(
    snapshot: Snapshot, account_id: int, names: Sequence[str], deleted_octets: bool
) -> tuple[MailboxState | None, ...]:
    """Raises BadRequest."""
    if len(names) > STATUSES_MAX:
        raise BadRequest(f"{STATUSES_MAX} mailboxes at once")
    states = [_status_or_none(snapshot.cursor, account_id, name) for name in names]
    if deleted_octets:
        states = [_with_deleted_octets(snapshot.cursor, state) for state in states]
    return tuple(states)


def _with_deleted_octets(cursor: Cursor, state: MailboxState | None) -> MailboxState | None:
    """RFC 9208 §4.1.4: the messages are looked at only where there are some."""
    if state is None or not state.deleted:
        return state
    return attrs.evolve(state, deleted_octets=messages.DELETED_OCTETS.scalar(cursor, state.mailbox_id))


def _status_or_none(cursor: Cursor, account_id: int, name: str) -> MailboxState | None:
    try:
        found = access.find(cursor, account_id, name, Rights.READ)
    except (NoSuchMailbox, NoPermission):
        return None
    row = MailboxRow(*found.row)
    return _state(cursor, row, (), found.rights, found.name, own=row.account_id == account_id)


def locate(snapshot: Snapshot, account_id: int, name: str) -> MailboxAccess:
    """Raises NoSuchMailbox."""
    cursor = snapshot.cursor
    found = access.find(cursor, account_id, name)
    if not found.rights & ANY_RIGHTS:
        raise NoSuchMailbox
    row = MailboxRow(*found.row)
    owner = directory.ACCOUNT_ADDRESS.scalar(cursor, row.account_id)
    return MailboxAccess(MailboxId(row.id), found.name, int(found.rights), row.account_id == account_id, owner)


def select_unclaimed(
    snapshot: Snapshot, account_id: int, name: str, claim_recent: bool, op_id: bytes | None
) -> MailboxState | None:
    """The state when there is nothing to claim, or what this operation answered before; None: the writer has to claim."""
    if op_id is not None:
        for _, method, result in bookkeeping.OPERATIONS.all(snapshot.cursor, [op_id]):
            before: MailboxState = recorded_result("mailboxes.select", method, result)
            return before
    state = status(snapshot, account_id, name)
    claims = claim_recent and state.rights & READ_WRITE_RIGHTS
    return None if claims and state.first_recent_uid != state.uid_next else state


def highest_modseq(snapshot: Snapshot, account_id: int, mailbox_id: int) -> int:
    """Raises NoSuchMailbox, NoPermission."""
    return readable_row(snapshot.cursor, account_id, mailbox_id).highest_modseq
