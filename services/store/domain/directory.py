"""Who is behind an address: domain aliases, aliases and subaddresses followed to accounts and remote targets, loops cut, all bounded.

The lookups come in as functions of normal addresses, so that the same rule runs on a transaction, a snapshot or a dict.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import attrs

from services.store.domain.addresses import (
    InvalidAddressError,
    candidates,
    domain_of,
    normalize_address,
    normalize_domain,
)
from shared.contract.types import Resolution, ResolutionKind
from shared.mail.srs import is_srs
from shared.model.ids import AccountId

MAX_TARGETS: Final = 1000


def _nobody(_: str) -> None:
    return None


def _is_not(_: str) -> bool:
    return False


@attrs.frozen
class Lookups:
    """What the rule asks."""

    domain: Callable[[str], str | None]
    """The domain that a domain stands for: itself, or the one it is an alias of; None: not ours."""
    account: Callable[[str], int | None]
    alias: Callable[[str], Iterable[str]]
    """Its targets."""
    separator: str = "+"
    depth: int = 10
    """Alias to alias to alias: what is deeper is taken for a mistake."""
    returned: Callable[[str], str | None] = _nobody
    """The sender for whom an address was made by SRS; None where we did not make it."""
    restricted: Callable[[str], bool] = _is_not
    """Whether not everybody may post to an alias."""


@attrs.frozen
class Hit:
    """What an address leads to in one step."""

    key: str
    """The address that the directory has: without detail, or ``@domain`` for the catch-all."""
    account: int | None
    targets: tuple[str, ...]


def resolve(address: str, lookups: Lookups) -> Resolution:
    """Follow an address. An address that cannot be one is UNKNOWN."""
    try:
        if is_srs(address):
            return _resolve_returned(address, lookups)
        normal = normalize_address(address)
    except InvalidAddressError:
        return Resolution(ResolutionKind.UNKNOWN)
    ours = _ours(normal, lookups)
    if ours is None:
        return Resolution(ResolutionKind.NOT_LOCAL)
    walk = _Walk(lookups)
    walk.follow(normal, 0)
    hit = look_up(ours, lookups)
    found = walk.resolution(catch_all=hit is not None and hit.key.startswith("@"))
    if hit is not None and hit.account is None and lookups.restricted(hit.key):
        return attrs.evolve(found, restricted=True)
    return found


def key_of(normal: str, lookups: Lookups) -> str | None:
    """Under which address the directory has a normal one; None: it is nobody's here."""
    ours = _ours(normal, lookups)
    hit = None if ours is None else look_up(ours, lookups)
    return None if hit is None else hit.key


def _resolve_returned(address: str, lookups: Lookups) -> Resolution:
    """A bounce on its way back to the sender of what an alias sent on. The catch-all never takes what we did not make."""
    if lookups.domain(normalize_domain(domain_of(address))) is None:
        return Resolution(ResolutionKind.NOT_LOCAL)
    sender = lookups.returned(address)
    if sender is None:
        return Resolution(ResolutionKind.UNKNOWN)
    normal = normalize_address(sender) if not is_srs(sender) else ""
    if not normal or lookups.domain(domain_of(normal)) is None:
        # as it was given: elsewhere case may matter
        return Resolution(ResolutionKind.DELIVERABLE, (), (sender,))
    walk = _Walk(lookups)
    walk.follow(normal, 0)
    return walk.resolution(catch_all=False)


def _ours(address: str, lookups: Lookups) -> str | None:
    """The address in the domain that its own stands for; None: not ours."""
    local, _, domain = address.rpartition("@")
    stands_for = lookups.domain(domain)
    return None if stands_for is None else f"{local}@{stands_for}"


def look_up(address: str, lookups: Lookups) -> Hit | None:
    """One step from an address of ours. The exact address wins over the one without detail, that over the catch-all."""
    for key in candidates(address, lookups.separator):
        account = lookups.account(key)
        if account is not None:
            return Hit(key, account, ())
        targets = tuple(lookups.alias(key))
        if targets:
            return Hit(key, None, targets)
    return None


class _Walk:
    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups
        self._accounts: dict[int, None] = {}
        self._remotes: dict[str, None] = {}
        self._seen: set[str] = set()

    def follow(self, address: str, depth: int) -> None:
        full = len(self._accounts) + len(self._remotes) >= MAX_TARGETS
        if address in self._seen or depth > self._lookups.depth or full:
            return
        self._seen.add(address)
        ours = _ours(address, self._lookups)
        if ours is None:
            self._remotes[address] = None
            return
        hit = look_up(ours, self._lookups)
        if hit is None:
            return
        if hit.account is not None:
            self._accounts[hit.account] = None
        for target in hit.targets:
            self.follow(target, depth + 1)

    def resolution(self, *, catch_all: bool) -> Resolution:
        if not self._accounts and not self._remotes:
            return Resolution(ResolutionKind.UNKNOWN)
        accounts = tuple(map(AccountId, self._accounts))
        return Resolution(ResolutionKind.DELIVERABLE, accounts, tuple(self._remotes), catch_all=catch_all)


def may_send(account: int, found: Resolution) -> bool:
    """Whether an account may send as the address that was followed: it gets that mail.

    The catch-all gives the right only to an account that alone gets all of it: an address that nobody made is nobody's in particular.
    """
    if found.catch_all:
        return found.accounts == (account,) and not found.remotes
    return account in found.accounts


def find_loop(start: str, lookups: Lookups) -> list[str]:
    """The keys of a loop that following ``start`` runs into, the first one again at the end; empty: there is none."""
    path: list[str] = []
    done: set[str] = set()
    todo: list[Iterator[str]] = [iter((start,))]
    while todo:
        address = next(todo[-1], None)
        if address is None:
            todo.pop()
            if path:
                done.add(path.pop())
            continue
        ours = _ours(address, lookups)
        hit = None if ours is None else look_up(ours, lookups)
        if hit is None or hit.account is not None or hit.key in done:
            continue
        if hit.key in path:
            return [*path[path.index(hit.key) :], hit.key]
        path.append(hit.key)
        todo.append(iter(hit.targets))
    return []
