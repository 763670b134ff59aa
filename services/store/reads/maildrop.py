"""A mailbox as a device sees it by POP3."""

from typing import Final

from services.store.domain.names import lookup_name
from services.store.domain.pop3_view import Meaning, end_of_span, missing
from services.store.readers import Snapshot
from services.store.reads.pop3 import meaning_for, view_of
from services.store.reads.retention import load_rules, load_uses
from services.store.sql.prepared import Cursor, Row
from services.store.sql.statements import mailboxes, messages
from shared.contract.types import Maildrop
from shared.errors import BadRequest, NoSuchMailbox
from shared.model.ids import MailboxId
from shared.model.packed import pack_u32
from shared.model.pop3 import Dele

MAX_MAILDROP: Final = 10_000
_UIDVALIDITY: Final = mailboxes.MAILBOX_COLUMNS.index("uidvalidity")
_NAME: Final = mailboxes.MAILBOX_COLUMNS.index("name")


def maildrop(
    snapshot: Snapshot, account_id: int, device_id: int, mailbox: str, after_uid: int, limit: int, defaults: Meaning
) -> Maildrop:
    """A page of what a device sees of a mailbox. Raises NoSuchMailbox, BadRequest, GrantExpired."""
    if after_uid < 0 or limit < 1:
        raise BadRequest("maildrop")
    limit = min(limit, MAX_MAILDROP)
    cursor = snapshot.cursor
    found = mailboxes.BY_NAME.one(cursor, account_id, lookup_name(mailbox))
    if found is None:
        raise NoSuchMailbox
    hidden = view_of(cursor, found[0], found[_UIDVALIDITY], device_id).hidden
    rows: list[Row] = []
    more = True
    while more and len(rows) <= limit:
        # what is hidden in one piece is stepped over, not read
        after_uid = end_of_span(hidden, after_uid + 1) or after_uid
        page = messages.MAILDROP.all(cursor, found[0], after_uid, limit + 1)
        more = len(page) > limit
        if page:
            after_uid = page[-1][0]
        if hidden:
            shown = set(missing(hidden, [row[0] for row in page]))
            page = [row for row in page if row[0] in shown]
        rows += page
    more = len(rows) > limit
    columns = list(zip(*rows[:limit], strict=True)) or [()] * 4
    return Maildrop(
        mailbox_id=MailboxId(found[0]),
        uids=pack_u32(columns[0]),
        sizes=pack_u32(columns[1]),
        header_octets=pack_u32(columns[2]),
        uidls=tuple(columns[3]),
        more=more,
        expire_days=expire_days(cursor, account_id, found[_NAME], defaults),
    )


def expire_days(cursor: Cursor, account_id: int, mailbox: str, defaults: Meaning) -> int:
    """After how many days at the soonest messages go by themselves (RFC 2449 §6.7); 0: never."""
    means = meaning_for(cursor, account_id, defaults)
    days = [means.keep_days] if means.dele is Dele.HIDE else []
    rules = load_rules(cursor)
    rule = rules.rule_for(account_id, mailbox, load_uses(cursor, account_id)) if rules.let_go else None
    if rule is not None and not rule.keeps_all:
        # what is too many may go on its first day
        days += [rule.days or 0, rule.downloaded_days or 0, 0 if rule.messages is None else 1]
    return min(filter(None, days), default=0)
