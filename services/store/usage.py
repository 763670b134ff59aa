"""Counters of accounts and domains in a transaction: brought up by what its mailboxes gained and lost, and asked before more comes in.

Law: the counters are written by the flush that writes the mailboxes' own, as differences. Nothing is ever counted anew here.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from services.store.domain.quota import check, is_limited, with_more
from services.store.news import Changes
from services.store.sql.prepared import Cursor
from services.store.sql.statements import quota
from shared.contract.sharing_types import Quota

if TYPE_CHECKING:
    from services.store.transaction import MailboxRow


@attrs.frozen
class Leaving:
    """What goes away in the same write: it makes room for what comes."""

    account_id: int
    messages: int
    octets: int


class DomainsOfAccounts:
    """The domain of each account, looked up once: it never changes, and no account's number is used again."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}

    def of(self, cursor: Cursor, account_id: int) -> int:
        known = self._known.get(account_id)
        if known is None:
            known = self._known[account_id] = int(quota.DOMAIN_OF.scalar(cursor, account_id))
        return known


def count(cursor: Cursor, rows: "Iterable[MailboxRow]", domains: DomainsOfAccounts, changes: Changes) -> None:
    """Bring the counters of accounts and domains up to those of the mailboxes."""
    accounts: dict[int, tuple[int, int]] = {}
    for row in rows:
        if row.messages != row.told_messages or row.octets != row.told_octets:
            _add(accounts, row.account_id, row.messages - row.told_messages, row.octets - row.told_octets)
            row.told_messages, row.told_octets = row.messages, row.octets
    if not accounts:
        return
    together: dict[int, tuple[int, int]] = {}
    for account_id, counts in accounts.items():
        changes.add_usage(account_id, *counts)
        _add(together, domains.of(cursor, account_id), *counts)
    quota.ADD_USAGE.run_many(cursor, [(*counts, account_id) for account_id, counts in accounts.items()])
    for domain_id, counts in together.items():
        if counts != (0, 0):
            quota.ADD_DOMAIN_USAGE.run(cursor, *counts, domain_id)
            changes.add_domain_usage(domain_id, *counts)


def _add(sums: dict[int, tuple[int, int]], key: int, messages: int, octets: int) -> None:
    known = sums.get(key, (0, 0))
    sums[key] = (known[0] + messages, known[1] + octets)


def check_room(
    cursor: Cursor,
    pending: "Iterable[MailboxRow]",
    domains: DomainsOfAccounts,
    account_id: int,
    more_messages: int,
    more_octets: int,
    leaving: Leaving | None,
) -> None:
    """Whether an account and its domain have room. ``pending``: rows that were changed and not written yet. Raises OverQuota."""
    found = quota.USAGE_OF_BOTH.all(cursor, account_id)[0]
    own, together, domain_id = Quota(*found[:5]), Quota(*found[5:10]), found[10]
    if not is_limited(own) and not is_limited(together):
        return
    if leaving is not None and domains.of(cursor, leaving.account_id) == domain_id:
        # RFC 8508 §3.4: only the net quota consumption is considered
        in_domain = (more_messages - leaving.messages, more_octets - leaving.octets)
    else:
        in_domain = (more_messages, more_octets)
    if leaving is not None and leaving.account_id == account_id:
        more_messages, more_octets = in_domain
    for row in pending:
        if domains.of(cursor, row.account_id) == domain_id:
            change = (row.messages - row.told_messages, row.octets - row.told_octets)
            together = with_more(together, *change)
            if row.account_id == account_id:
                own = with_more(own, *change)
    check(own, more_messages, more_octets)
    check(together, *in_domain)
