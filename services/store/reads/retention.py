"""What the rules of retention let go."""

from typing import Final

from services.store.domain.retention import Clock, Rule, Rules
from services.store.readers import Snapshot
from services.store.reads.pop3 import downloaded_ranges, living
from services.store.sql.prepared import Cursor
from services.store.sql.statements import bookkeeping, mailboxes, retention
from shared.contract.retention_types import Due, DuePage, Retention, RetentionRule
from shared.errors import NoSuchMailbox
from shared.model.ids import MailboxId

PAGE: Final = 200
PAGE_MESSAGES: Final = 200_000
"""Messages that one page looks at: some 50 ms of a reader."""
SEEN_AT: Final = "retention_seen_at"
HELD_SINCE: Final = "retention_held_since"


def load_rules(cursor: Cursor) -> Rules:
    return Rules(Rule(*row[:5]) for row in retention.RULES.all(cursor))


def load_clock(cursor: Cursor) -> Clock:
    seen, held = (bookkeeping.META.one(cursor, name) for name in (SEEN_AT, HELD_SINCE))
    return Clock(seen[0] if seen else 0, held[0] if held else 0)


def load_uses(cursor: Cursor, account_id: int) -> dict[str, str]:
    """Special uses by the names of an account's mailboxes."""
    return dict(retention.USES.all(cursor, account_id))


def show(snapshot: Snapshot, now: float) -> Retention:
    """All rules, and what is thought of the clock."""
    rows = retention.RULES.all(snapshot.cursor)
    rules = tuple(RetentionRule(address, *rule) for _, *rule, address in rows)
    clock = load_clock(snapshot.cursor)
    return Retention(rules, clock.seen_at, clock.look(now).held_until)


def clock(snapshot: Snapshot) -> Clock:
    return load_clock(snapshot.cursor)


def due(snapshot: Snapshot, after: int, now: float) -> DuePage:
    """What may go, by mailbox, of PAGE mailboxes or PAGE_MESSAGES messages."""
    cursor = snapshot.cursor
    rules = load_rules(cursor)
    if not rules.let_go:
        return DuePage((), MailboxId(0))
    uses: dict[int, dict[str, str]] = {}
    found: list[Due] = []
    looked_at = 0
    rows = retention.MAILBOXES.all(cursor, after, PAGE)
    for mailbox_id, account_id, name, held, uidvalidity, address in rows:
        if looked_at >= PAGE_MESSAGES:
            return DuePage(tuple(found), MailboxId(after))
        after = mailbox_id
        if account_id not in uses:
            uses[account_id] = load_uses(cursor, account_id)
        rule = rules.rule_for(account_id, name, uses[account_id])
        if rule is None or rule.keeps_all or not held:
            continue
        looked_at += held
        count, octets, oldest, newest = _sums(cursor, uidvalidity, rule, _limits(cursor, mailbox_id, rule, held, now), now)
        if count:
            told = RetentionRule(
                address if rule.account_id else "", rule.mailbox, rule.days, rule.messages, rule.downloaded_days
            )
            found.append(Due(address, MailboxId(mailbox_id), name, told, count, octets, oldest, newest))
    return DuePage(tuple(found), MailboxId(after if len(rows) == PAGE else 0))


def _sums(cursor: Cursor, uidvalidity: int, rule: Rule, limits: tuple[int, int, int], now: float) -> tuple[int, int, int, int]:
    """How many may go, their octets, when the first and the last of them came in."""
    mailbox_id, before, cut = limits
    sums = [retention.DUE.one(cursor, *limits)]
    sums += [
        retention.ONLY_BETWEEN.one(cursor, mailbox_id, first, last, before, cut)
        for first, last in downloaded(cursor, mailbox_id, uidvalidity, rule, now)
    ]
    found = [each for each in sums if each is not None and each[0]]
    if not found:
        return 0, 0, 0, 0
    counts, octets, oldest, newest = zip(*found, strict=True)
    return sum(counts), sum(octets), min(oldest), max(newest)


def downloaded(cursor: Cursor, mailbox_id: int, uidvalidity: int, rule: Rule, now: float) -> list[tuple[int, int]]:
    """Ranges of UIDs that may go since they were downloaded."""
    day = rule.downloaded_before(now)
    return downloaded_ranges(cursor, mailbox_id, uidvalidity, day) if day else []


def _limits(cursor: Cursor, mailbox_id: int, rule: Rule, held: int, now: float) -> tuple[int, int, int]:
    """Mailbox, saved date before which, and UID up to which messages may go."""
    surplus = rule.surplus(held)
    cut = retention.CUT.one(cursor, mailbox_id, 1, surplus - 1) if surplus else None
    return mailbox_id, rule.before(now), cut[0] if cut else 0


def due_uids(snapshot: Snapshot, mailbox_id: int, now: float, limit: int) -> list[int]:
    """The oldest messages of a mailbox that may go. ``now`` 0: none by their age. Raises NoSuchMailbox."""
    cursor = snapshot.cursor
    row = mailboxes.BY_ID.one(cursor, mailbox_id)
    if row is None:
        raise NoSuchMailbox
    _, account_id, name = row[:3]
    rule = load_rules(cursor).rule_for(account_id, name, load_uses(cursor, account_id))
    if rule is None or rule.keeps_all:
        return []
    held, uidvalidity = (row[mailboxes.MAILBOX_COLUMNS.index(name)] for name in ("messages", "uidvalidity"))
    due = retention.DUE_UIDS.all(cursor, *_limits(cursor, mailbox_id, rule, held, now), limit)
    more = living(cursor, mailbox_id, downloaded(cursor, mailbox_id, uidvalidity, rule, now), limit)
    return sorted({*more, *(uid for (uid,) in due)})[:limit]
