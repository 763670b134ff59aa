"""Limits are set, counters are proved, and a warning is filed with the mark that it is for."""

from collections.abc import Sequence
from typing import Final

from services.store.domain.directory import resolve
from services.store.domain.names import INBOX
from services.store.domain.quota import Root, RootKind, mark
from services.store.reads.directory import Rules, lookups
from services.store.reads.quota import quota_of, root_named
from services.store.sql.statements import directory, quota
from services.store.transaction import MailboxRow, Transaction
from services.store.writes.filing import Incoming, check_room, file_message, ready
from shared.contract.sharing_types import Quota, Recounted
from shared.errors import BadRequest, NoPermission, NoSuchMailbox, NotFound
from shared.model.message_index import MessageIndex

QUOTA_MAX: Final = 2**62
WARNED_MOST: Final = 10
"""Accounts that get the warning of a domain."""


def quota_set(transaction: Transaction, name: str, messages: int | None, octets: int | None) -> Quota:
    """Of an account or a domain. Raises NotFound, BadRequest."""
    if any(limit is not None and not 0 <= limit <= QUOTA_MAX for limit in (messages, octets)):
        raise BadRequest("limit")
    root = root_named(transaction.cursor, name)
    statement = quota.SET_QUOTA if root.kind is RootKind.ACCOUNT else quota.SET_DOMAIN_QUOTA
    statement.run(transaction.cursor, messages, octets, root.id)
    return _changed(transaction, root)


def set_quota(
    transaction: Transaction,
    account_id: int,
    name: str,
    messages: int | None,
    octets: int | None,
    administrators: frozenset[str],
) -> Quota:
    """SETQUOTA by an account. Raises NoPermission, NoSuchMailbox, BadRequest."""
    if directory.ACCOUNT_ADDRESS.scalar(transaction.cursor, account_id) not in administrators:
        raise NoPermission
    try:
        return quota_set(transaction, name, messages, octets)
    except NotFound:
        raise NoSuchMailbox from None


def _changed(transaction: Transaction, root: Root) -> Quota:
    transaction.flush()
    found = quota_of(transaction.cursor, root)
    if root.kind is RootKind.ACCOUNT:
        transaction.changes.quotas[root.id] = found
    else:
        transaction.changes.domain_quotas[root.id] = found
    return found


def quota_recount(transaction: Transaction, name: str) -> Recounted:
    """An account from the rows of its messages, a domain from the counters of its accounts. Raises NotFound."""
    transaction.flush()
    cursor = transaction.cursor
    root = root_named(cursor, name)
    before = quota_of(cursor, root)
    if root.kind is RootKind.DOMAIN:
        quota.SET_DOMAIN_USAGE.run(cursor, *quota.COUNTED_DOMAIN.all(cursor, root.id)[0], root.id)
        return Recounted(before, _changed(transaction, root))
    counted = {row[0]: row[1:] for row in quota.COUNTED_MAILBOXES.all(cursor, root.id)}
    kept = {row[0]: row[1:] for row in quota.KEPT_MAILBOXES.all(cursor, root.id)}
    wrong = [mailbox for mailbox, counters in kept.items() if counters != counted.get(mailbox, (0, 0, 0, 0))]
    for mailbox in wrong:
        quota.SET_MAILBOX.run(cursor, *counted.get(mailbox, (0, 0, 0, 0)), mailbox)
    # rows in memory hold the old counters
    transaction.forget_mailboxes()
    messages, octets = (sum(row[column] for row in counted.values()) for column in (0, 3))
    quota.SET_USAGE.run(cursor, len(kept), messages, octets, root.id)
    more = (messages - before.messages, octets - before.octets)
    if more != (0, 0):
        domain_id = transaction.ids.domains.of(cursor, root.id)
        quota.ADD_DOMAIN_USAGE.run(cursor, *more, domain_id)
        transaction.changes.add_domain_usage(domain_id, *more)
    return Recounted(before, _changed(transaction, root), len(wrong))


def settle_mark(
    transaction: Transaction,
    incoming: Sequence[Incoming],
    index: MessageIndex | None,
    root: Root,
    expected: int,
    marks: Sequence[int],
    rules: Rules,
    administrators: Sequence[str],
) -> tuple[int, int]:
    """Set the mark of a root to where its counters are; the mark, and how many mailboxes got the warning that is handed in.

    The warning is filed where the mark rises to ``expected``, whatever room there is. Where it would rise elsewhere, nothing
    changes: the warning has other figures. Raises NotFound where the root is gone, LimitExceeded.
    """
    transaction.flush()
    cursor = transaction.cursor
    statement = quota.WARNED if root.kind is RootKind.ACCOUNT else quota.WARNED_DOMAIN
    row = statement.one(cursor, root.id)
    if row is None:
        raise NotFound("quota root")
    warned = int(row[0])
    held = quota_of(cursor, root)
    now = mark(held, warned, marks)
    if now == warned or (now > warned and (now != expected or index is None)):
        return warned, 0
    targets = _warned_inboxes(transaction, root, held, rules, administrators) if now > warned else []
    for target in targets:
        check_room(target, 1)
    write = quota.SET_WARNED if root.kind is RootKind.ACCOUNT else quota.SET_WARNED_DOMAIN
    write.run(cursor, now, root.id)
    if index is not None:
        for target in targets:
            _file(transaction, target, incoming, index)
    return now, len(targets)


def _warned_inboxes(
    transaction: Transaction, root: Root, held: Quota, rules: Rules, administrators: Sequence[str]
) -> list[MailboxRow]:
    """The account's own INBOX; of a domain those of the accounts here that its postmaster's mail goes to, else of the administrators."""
    accounts: Sequence[int] = (root.id,)
    if root.kind is RootKind.DOMAIN:
        found = lookups(transaction.cursor, rules)
        accounts = resolve(f"postmaster{held.address}", found).accounts
        if not accounts:
            accounts = list(dict.fromkeys(each for name in administrators for each in resolve(name, found).accounts))
    rows = (transaction.mailbox_named(account, INBOX) for account in accounts[:WARNED_MOST])
    return [row for row in rows if row is not None]


def _file(transaction: Transaction, row: MailboxRow, incoming: Sequence[Incoming], index: MessageIndex) -> None:
    address = directory.ACCOUNT_ADDRESS.scalar(transaction.cursor, row.account_id)
    modseq, now = transaction.next_modseq(row), int(transaction.now)
    uid = file_message(transaction, row, address, ready(incoming), index, modseq=modseq, flags=0, date=now)
    transaction.journal("store", "delivered", row.id, (uid,), "")
