"""What a transaction has to tell once it is committed: which mailboxes, accounts, passwords, counters are not what they were.

Collected by the savepoint; one that is rolled back has nothing to tell.
"""

import attrs

from services.store.domain.wild import Deleted
from shared.contract.sharing_types import Quota


@attrs.define
class Changes:
    """What the watchers are told after the commit."""

    mailboxes: dict[int, int] = attrs.field(factory=dict)
    """Highest modseq by mailbox."""
    accounts: set[int] = attrs.field(factory=set)
    queue: bool = False
    directory: bool = False
    usage: dict[int, tuple[int, int]] = attrs.field(factory=dict)
    """Messages and octets that accounts hold more (or less) than before."""
    quotas: dict[int, Quota] = attrs.field(factory=dict)
    """Accounts whose limits or counters were set anew."""
    domain_usage: dict[int, tuple[int, int]] = attrs.field(factory=dict)
    domain_quotas: dict[int, Quota] = attrs.field(factory=dict)
    """The same of domains."""
    passwords: set[str] = attrs.field(factory=set)
    """Addresses whose remembered passwords are void."""
    added_accounts: dict[int, int] = attrs.field(factory=dict)
    """With the domain of each."""
    removed_accounts: set[int] = attrs.field(factory=set)
    removed_domains: set[int] = attrs.field(factory=set)
    added_devices: set[int] = attrs.field(factory=set)
    removed_devices: set[int] = attrs.field(factory=set)
    owners: dict[int, int] = attrs.field(factory=dict)
    """The account of each mailbox in ``mailboxes``."""
    guests: dict[int, set[int]] = attrs.field(factory=dict)
    """Of each mailbox in ``mailboxes`` that is shared: accounts that were given rights (0: everybody); known at the commit."""
    named: set[int] = attrs.field(factory=set)
    """Mailboxes that were made or renamed."""
    names: set[int] = attrs.field(factory=set)
    """Accounts that see other mailboxes, other names or other rights than before, or subscribed a name. 0: everybody."""
    annotations: list[tuple[int, int, tuple[str, ...]]] = attrs.field(factory=list)
    """Who may see it (0: everybody), mailbox (0: the server), names of entries that were set or taken away."""

    deleted: list[Deleted] = attrs.field(factory=list)
    """What clients took out of mailboxes."""

    def add(self, other: "Changes") -> None:
        self.deleted += other.deleted
        self.mailboxes.update(other.mailboxes)
        self.owners.update(other.owners)
        self.accounts |= other.accounts
        self.names |= other.names
        self.named |= other.named
        self.annotations += other.annotations
        self.queue |= other.queue
        self.directory |= other.directory
        for account_id, quota in other.quotas.items():
            # it holds what was counted before it
            self.usage.pop(account_id, None)
            self.quotas[account_id] = quota
        for account_id, counts in other.usage.items():
            self.add_usage(account_id, *counts)
        for domain_id, quota in other.domain_quotas.items():
            self.domain_usage.pop(domain_id, None)
            self.domain_quotas[domain_id] = quota
        for domain_id, counts in other.domain_usage.items():
            self.add_domain_usage(domain_id, *counts)
        self.passwords |= other.passwords
        self.added_accounts.update(other.added_accounts)
        self.removed_accounts |= other.removed_accounts
        self.removed_domains |= other.removed_domains
        self.added_devices |= other.added_devices
        self.removed_devices |= other.removed_devices

    def add_usage(self, account_id: int, more_messages: int, more_octets: int) -> None:
        known = self.usage.get(account_id, (0, 0))
        self.usage[account_id] = (known[0] + more_messages, known[1] + more_octets)

    def add_domain_usage(self, domain_id: int, more_messages: int, more_octets: int) -> None:
        known = self.domain_usage.get(domain_id, (0, 0))
        self.domain_usage[domain_id] = (known[0] + more_messages, known[1] + more_octets)
