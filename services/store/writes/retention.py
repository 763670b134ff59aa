"""Rules of retention are set; what they let go is expunged, as by its owner: tombstones, counters, watchers, journal."""

from collections.abc import Sequence
from typing import Final

from services.store.domain.addresses import InvalidAddressError, normalize_address
from services.store.domain.names import SPECIAL_USES, NameLimits, below, check_name
from services.store.domain.pop3_view import covered
from services.store.domain.retention import EVERYBODY, Clock
from services.store.reads.retention import HELD_SINCE, SEEN_AT, downloaded, load_clock, load_rules, load_uses
from services.store.sql.prepared import Cursor
from services.store.sql.statements import bookkeeping, directory, retention
from services.store.transaction import Transaction
from services.store.writes.transfer import let_go
from shared.contract.retention_types import MAX_DAYS, MAX_MESSAGES, RetentionRule
from shared.errors import BadRequest, InvalidMailboxName, LimitExceeded, NotFound

PIECE: Final = 500
"""Messages that go in one write: some 10 ms of the writer's time."""


def set_rule(transaction: Transaction, rule: RetentionRule, limits: NameLimits, most: int) -> RetentionRule:
    """Raises NotFound, BadRequest, LimitExceeded."""
    for value, highest in ((rule.days, MAX_DAYS), (rule.messages, MAX_MESSAGES), (rule.downloaded_days, MAX_DAYS)):
        if value is not None and not 1 <= value <= highest:
            raise BadRequest(f"a number from 1 to {highest}")
    account_id, address = _account(transaction, rule.address)
    mailbox = _mailbox(rule.mailbox, limits)
    cursor = transaction.cursor
    known = any(row[:2] == (account_id, mailbox) for row in retention.RULES.all(cursor))
    if not known and retention.COUNT.scalar(cursor) >= most:
        raise LimitExceeded(f"{most} rules")
    retention.DELETE.run(cursor, account_id, mailbox)
    retention.INSERT.run(cursor, account_id, mailbox, rule.days, rule.messages, rule.downloaded_days)
    transaction.journal("admin", "retention set", 0, (), account_id, mailbox, rule.days, rule.messages, rule.downloaded_days)
    return RetentionRule(address, mailbox, rule.days, rule.messages, rule.downloaded_days)


def remove_rule(transaction: Transaction, address: str, mailbox: str, limits: NameLimits) -> None:
    """Raises NotFound, BadRequest."""
    account_id, _ = _account(transaction, address)
    mailbox = _mailbox(mailbox, limits)
    if not retention.DELETE.run(transaction.cursor, account_id, mailbox).rowcount:
        raise NotFound("there is no such rule")
    transaction.journal("admin", "retention removed", 0, (), account_id, mailbox)


def _account(transaction: Transaction, address: str) -> tuple[int, str]:
    if not address:
        return EVERYBODY, ""
    try:
        normal = normalize_address(address)
    except InvalidAddressError as error:
        raise BadRequest(str(error)) from None
    row = directory.ACCOUNT_ID.one(transaction.cursor, normal)
    if row is None:
        raise NotFound(normal)
    return int(row[0]), normal


def _mailbox(name: str, limits: NameLimits) -> str:
    r"""The form that rules are kept in. What begins with ``\`` is a special use."""
    if name.startswith("\\"):
        for use in SPECIAL_USES:
            if use.lower() == name.lower():
                return use
        raise BadRequest(f"{name} is no special use")
    try:
        return check_name(name, limits) if name else ""
    except InvalidMailboxName as error:
        raise BadRequest(f"mailbox name: {error}") from None


def follow_rename(cursor: Cursor, account_id: int, old: str, new: str) -> None:
    """An account's rules go along when its mailboxes get other names: what is to be kept for ever stays kept."""
    span = below(old)
    for (name,) in retention.AT_AND_BELOW.all(cursor, account_id, old, span.low, span.high):
        renamed = new + name[len(old) :]
        # what was said of a mailbox that had this name before gives way
        retention.DELETE.run(cursor, account_id, renamed)
        retention.RENAME.run(cursor, renamed, account_id, name)


def note_clock(transaction: Transaction) -> Clock:
    """Look at the clock and remember what it says."""
    cursor = transaction.cursor
    looked = load_clock(cursor).look(transaction.now)
    for name, value in ((SEEN_AT, looked.seen_at), (HELD_SINCE, looked.held_since)):
        if not bookkeeping.UPDATE_META.run(cursor, value, name).rowcount:
            bookkeeping.INSERT_META.run(cursor, name, value)
    return looked


def expire(transaction: Transaction, mailbox_id: int, uids: Sequence[int], by_age: bool) -> int:
    """Expunge those of these messages that their mailbox's rule lets go now; how many. Raises NoSuchMailbox."""
    row = transaction.mailbox(mailbox_id)
    transaction.flush()
    cursor = transaction.cursor
    # read again: rules and messages may be others since somebody looked
    rule = load_rules(cursor).rule_for(row.account_id, row.name, load_uses(cursor, row.account_id))
    if rule is None or rule.keeps_all:
        return 0
    before = rule.before(transaction.now) if by_age else 0
    surplus = rule.surplus(row.messages)
    found = sorted(set(retention.EXPIRING.all(cursor, uids, mailbox_id)))
    ranges = downloaded(cursor, row.id, row.uidvalidity, rule, transaction.now) if by_age else []
    fetched = set(covered(tuple((*bounds, 0) for bounds in ranges), [message[0] for message in found]))
    gone = [
        message[:4]
        for place, message in enumerate(found)
        if place < surplus or message[4] < before or message[0] in fetched
    ]
    if not gone:
        return 0
    return len(let_go(transaction, "retention", row, gone))
