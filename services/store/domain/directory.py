"""Who is behind an address: aliases followed to accounts and remote targets, loops cut, everything bounded.

The lookups come in as functions of normal addresses, so that the same rule runs on a transaction, a snapshot or a dict.
"""

from collections.abc import Callable, Iterable
from typing import Final

import attrs

from services.store.domain.addresses import InvalidAddressError, candidates, domain_of, normalize_address
from shared.contract.types import Resolution, ResolutionKind
from shared.model.ids import AccountId

MAX_TARGETS: Final = 1000


@attrs.frozen
class Lookups:
    """What the rule asks. ``account`` and ``domain`` answer whether there is one, ``alias`` gives its targets."""

    domain: Callable[[str], bool]
    account: Callable[[str], int | None]
    alias: Callable[[str], Iterable[str]]
    separator: str = "+"
    depth: int = 10
    """Alias to alias to alias: what is deeper is taken for a mistake."""


def resolve(address: str, lookups: Lookups) -> Resolution:
    """Follow an address. An address that cannot be one is UNKNOWN."""
    try:
        normal = normalize_address(address)
    except InvalidAddressError:
        return Resolution(ResolutionKind.UNKNOWN)
    if not lookups.domain(domain_of(normal)):
        return Resolution(ResolutionKind.NOT_LOCAL)
    accounts: dict[int, None] = {}
    remotes: dict[str, None] = {}
    _follow(normal, lookups, accounts, remotes, set(), 0)
    if not accounts and not remotes:
        return Resolution(ResolutionKind.UNKNOWN)
    return Resolution(ResolutionKind.DELIVERABLE, tuple(map(AccountId, accounts)), tuple(remotes))


def _follow(
    address: str,
    lookups: Lookups,
    accounts: dict[int, None],
    remotes: dict[str, None],
    seen: set[str],
    depth: int,
) -> None:
    if address in seen or depth > lookups.depth or len(accounts) + len(remotes) >= MAX_TARGETS:
        return
    seen.add(address)
    if not lookups.domain(domain_of(address)):
        remotes[address] = None
        return
    for candidate in candidates(address, lookups.separator):
        account = lookups.account(candidate)
        if account is not None:
            accounts[account] = None
            return
        targets = list(lookups.alias(candidate))
        if targets:
            for target in targets:
                _follow(target, lookups, accounts, remotes, seen, depth + 1)
            return


def reaches(start: str, goal: str, alias: Callable[[str], Iterable[str]]) -> bool:
    """Whether following aliases from ``start`` comes to ``goal`` (adding goal -> start would then be a loop)."""
    todo, seen = [start], {start}
    while todo:
        address = todo.pop()
        if address == goal:
            return True
        for target in alias(address):
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return False
