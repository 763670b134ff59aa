"""The mailboxes of an account with their counters, and those that others share with it, for those who watch the account.

RFC 5465 §5: of a mailbox that an account may see and not read it is told that it is there, and nothing of what is in it.
"""

from collections.abc import Sequence
from typing import Final

import attrs

from services.store import access
from services.store.readers import Snapshot
from services.store.sql.prepared import Cursor, Row
from services.store.sql.statements import mailboxes, sharing
from shared.contract.types import AccountChanges, AnnotationsChanged, MailboxCounters
from shared.errors import NoPermission, NoSuchMailbox
from shared.model.ids import MailboxId, ModSeq, Uid
from shared.model.namespace import is_reserved, shared_name, split_shared
from shared.model.rights import Rights

PAGE: Final = 400
"""Two lists of names of at most 1,000 octets with their counters stay below MAX_REPLY_OCTETS."""


def _counters(row: Row) -> MailboxCounters:
    mailbox_id, name, special_use, subscribed, uidvalidity, uid_next, highest_modseq, messages, unseen = row
    return MailboxCounters(
        mailbox_id=MailboxId(mailbox_id),
        name=name,
        special_use=special_use,
        subscribed=bool(subscribed),
        uidvalidity=uidvalidity,
        uid_next=Uid(uid_next),
        highest_modseq=ModSeq(highest_modseq),
        messages=messages,
        unseen=unseen,
    )


def _shared_counters(cursor: Cursor, account_id: int, row: Row) -> MailboxCounters:
    """A row of ``sharing.COUNTERS``."""
    mailbox_id, owner, name, subscribed, uidvalidity, uid_next, highest_modseq, messages, unseen, owner_id = row
    rights = access.rights_on(cursor, account_id, owner_id, mailbox_id)
    if not rights & Rights.READ:
        uidvalidity = uid_next = highest_modseq = messages = unseen = 0
    # RFC 6154 §2: what it is for is its owner's
    counters = (mailbox_id, shared_name(owner, name), "", subscribed, uidvalidity, uid_next, highest_modseq, messages, unseen)
    return attrs.evolve(_counters(counters), rights=int(rights))


def of_mailboxes(snapshot: Snapshot, account_id: int, number: int, mailbox_ids: Sequence[int]) -> AccountChanges:
    """Those of these mailboxes that are there and the account's, or that it may see."""
    cursor = snapshot.cursor
    own = {row[0]: _counters(row) for row in mailboxes.COUNTERS_OF.all(cursor, mailbox_ids, account_id)}
    others = [mailbox_id for mailbox_id in mailbox_ids if mailbox_id not in own]
    rows = dict.fromkeys(sharing.COUNTERS_OF.all(cursor, others, account_id))
    found = [*filter(_reachable, own.values()), *(_shared_counters(cursor, account_id, row) for row in rows)]
    return AccountChanges(number, complete=False, mailboxes=tuple(found))


def _reachable(row: MailboxCounters) -> bool:
    """Not made before names of other accounts began so."""
    return not is_reserved(row.name)


def everything(snapshot: Snapshot, account_id: int, number: int, after_name: str) -> AccountChanges:
    """A page of all mailboxes by name, and of names that are subscribed without a mailbox."""
    cursor = snapshot.cursor
    rows = mailboxes.COUNTERS.all(cursor, account_id, after_name, PAGE + 1)
    only = [name for (name,) in mailboxes.SUBSCRIBED_ONLY.all(cursor, account_id, after_name, PAGE + 1)]
    last = ""
    if len(rows) > PAGE or len(only) > PAGE:
        # both lists end at the same name, so that the next page begins after it
        ends = [rows[PAGE - 1][1]] if len(rows) > PAGE else []
        ends += [only[PAGE - 1]] if len(only) > PAGE else []
        last = min(ends)
        rows = [row for row in rows if row[1] <= last]
        only = [name for name in only if name <= last]
    return AccountChanges(number, True, tuple(filter(_reachable, map(_counters, rows))), tuple(only), last)


def shared(snapshot: Snapshot, account_id: int, number: int, after_name: str) -> AccountChanges:
    """A page of other accounts' mailboxes that an account may see, by owner and name."""
    cursor = snapshot.cursor
    rows = sharing.COUNTERS.all(cursor, account_id, *(split_shared(after_name) or ("", "")), PAGE + 1)
    found = [_shared_counters(cursor, account_id, row) for row in rows[:PAGE]]
    return AccountChanges(number, True, tuple(found), next_name=found[-1].name if len(rows) > PAGE else "")


def seen(
    snapshot: Snapshot, account_id: int, annotated: Sequence[tuple[int, tuple[str, ...]]]
) -> tuple[AnnotationsChanged, ...]:
    """Changes of annotations, as far as they are of the server or of mailboxes that an account may read."""
    return tuple(
        AnnotationsChanged(MailboxId(mailbox_id), names)
        for mailbox_id, names in annotated
        if not mailbox_id or _may_read(snapshot.cursor, account_id, mailbox_id)
    )


def _may_read(cursor: Cursor, account_id: int, mailbox_id: int) -> bool:
    try:
        access.check_readable(cursor, account_id, mailbox_id)
    except (NoSuchMailbox, NoPermission):
        return False
    return True
