"""The mailboxes of an account with their counters, for those who watch the account."""

from collections.abc import Sequence
from typing import Final

from services.store.readers import Snapshot
from services.store.sql.prepared import Row
from services.store.sql.statements import mailboxes
from shared.contract.types import AccountChanges, MailboxCounters
from shared.model.ids import MailboxId, ModSeq, Uid

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


def of_mailboxes(snapshot: Snapshot, account_id: int, number: int, mailbox_ids: Sequence[int]) -> AccountChanges:
    """Those of these mailboxes that are there and the account's."""
    rows = mailboxes.COUNTERS_OF.all(snapshot.cursor, mailbox_ids, account_id)
    return AccountChanges(number, complete=False, mailboxes=tuple(map(_counters, dict.fromkeys(rows))))


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
    return AccountChanges(number, True, tuple(map(_counters, rows)), tuple(only), last)
