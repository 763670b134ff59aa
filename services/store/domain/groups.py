"""Who may post to a group: everybody, its members, or its owners alone. Pure rules.

A group is an alias; its members are the accounts and the addresses elsewhere that it leads to. What counts is the address that was
named at RCPT: who may post to a group that has another one among its members reaches those, too, as their administrator has chosen.
"""

from collections.abc import Callable, Iterable

import attrs

from services.store.domain.addresses import InvalidAddressError, normalize_address
from services.store.domain.directory import Lookups, resolve
from shared.contract.group_types import Posting
from shared.contract.types import AliasInfo, Resolution


@attrs.frozen
class Rule:
    """Of one group."""

    posting: Posting = Posting.EVERYBODY
    owners: tuple[str, ...] = ()

    @staticmethod
    def of(posting: str, owners: str) -> "Rule":
        """As the columns have it."""
        return Rule(Posting(posting), tuple(owners.splitlines()))


def may_post(key: str, rule: Rule, account: int | None, sender: str, lookups: Lookups) -> bool:
    """Whether an account, or without one whoever the reverse-path names, may post to the group that is kept as ``key``.

    For an account the reverse-path says nothing more: it is the account's own. From elsewhere an address of ours may post where all
    whose mail it is may; what only a catch-all takes is nobody's.
    """
    if rule.posting is Posting.EVERYBODY:
        return True
    names = rule.owners if rule.posting is Posting.OWNERS else (key, *rule.owners)
    allowed = [resolve(name, lookups) for name in names]
    accounts = {each for found in allowed for each in found.accounts}
    if account is not None:
        return account in accounts
    try:
        normal = normalize_address(sender)
    except InvalidAddressError:
        return False
    # an owner may be somebody elsewhere: then he is no address of ours, and not followed
    remotes = {_compared(address) for address in (*rule.owners, *(r for found in allowed for r in found.remotes))}
    if normal in remotes:
        return True
    poster = resolve(normal, lookups)
    return _is_somebody(poster) and accounts.issuperset(poster.accounts)


def _is_somebody(found: Resolution) -> bool:
    return bool(found.accounts) and not found.remotes and not found.catch_all


def _compared(address: str) -> str:
    try:
        return normalize_address(address)
    except InvalidAddressError:
        return address


def with_rules(infos: Iterable[AliasInfo], rule_of: Callable[[str], Rule | None]) -> tuple[AliasInfo, ...]:
    """Aliases with who may post to them."""
    found = []
    for info in infos:
        rule = rule_of(info.address)
        found.append(info if rule is None else attrs.evolve(info, posting=rule.posting, owners=rule.owners))
    return tuple(found)
