"""Aliases, catch-alls and domain aliases: ways from one address to others. A way that would lead in a circle is refused by name."""

from collections.abc import Sequence

import attrs

from services.store.domain.addresses import domain_of
from services.store.domain.directory import Lookups, find_loop
from services.store.domain.dkim import NewKey
from services.store.reads.directory import Rules, lookups
from services.store.reads.groups import aliases_with_rules
from services.store.sql.statements import directory
from services.store.transaction import Transaction
from services.store.writes.directory import (
    insert_domain,
    new_domain,
    normal_address,
    normal_domain,
    owning_domain_id,
)
from services.store.writes.groups import forget
from shared.contract.types import AliasInfo, DomainInfo
from shared.errors import AlreadyExists, BadRequest, LimitExceeded, NotFound


@attrs.frozen
class AliasLimits:
    """How addresses are followed, and how many targets one may have."""

    rules: Rules
    targets: int


def _refuse_loop(start: str, found: Lookups) -> None:
    loop = find_loop(start, found)
    if loop:
        shown = loop if len(loop) <= 10 else [*loop[:8], "...", loop[-1]]
        raise BadRequest("a loop: " + " -> ".join(shown))


def _normal_alias(address: str) -> str:
    """An address, or ``@domain`` for everybody else in it."""
    return f"@{normal_domain(address[1:])}" if address.startswith("@") else normal_address(address)


def _targets_of(transaction: Transaction, address: str) -> list[str]:
    return [target for (target,) in directory.TARGETS.all(transaction.cursor, address)]


def alias_add(transaction: Transaction, address: str, targets: Sequence[str], limits: AliasLimits) -> AliasInfo:
    """Raises NotFound, AlreadyExists, BadRequest, LimitExceeded."""
    normal = _normal_alias(address)
    domain_id = owning_domain_id(transaction, domain_of(normal))
    cursor = transaction.cursor
    if directory.ACCOUNT_ID.one(cursor, normal) is not None:
        raise AlreadyExists(f"{normal} is an account")
    wanted = list(dict.fromkeys(normal_address(target) for target in targets))
    if not wanted:
        raise BadRequest("no target")
    known = _targets_of(transaction, normal)
    new = [target for target in wanted if target not in known]
    _check(transaction, normal, [*known, *new], limits)
    directory.INSERT_ALIAS.run_many(cursor, [(normal, target, domain_id) for target in new])
    transaction.changes.directory = True
    (info,) = aliases_with_rules(cursor, [AliasInfo(normal, tuple(sorted(known + new)))])
    return info


def catch_all(transaction: Transaction, name: str, targets: Sequence[str], limits: AliasLimits) -> AliasInfo:
    """Raises NotFound, BadRequest, LimitExceeded."""
    normal = f"@{normal_domain(name)}"
    domain_id = owning_domain_id(transaction, normal[1:])
    wanted = sorted({normal_address(target) for target in targets})
    _check(transaction, normal, wanted, limits)
    directory.DELETE_ALIAS.run(transaction.cursor, normal)
    directory.INSERT_ALIAS.run_many(transaction.cursor, [(normal, target, domain_id) for target in wanted])
    transaction.changes.directory = True
    return AliasInfo(normal, tuple(wanted))


def _check(transaction: Transaction, normal: str, targets: Sequence[str], limits: AliasLimits) -> None:
    """What an alias is about to lead to. Raises BadRequest, LimitExceeded."""
    if len(targets) > limits.targets:
        raise LimitExceeded(f"{limits.targets} targets")
    now = lookups(transaction.cursor, limits.rules)
    then = attrs.evolve(now, alias=lambda key: targets if key == normal else now.alias(key))
    for target in targets:
        # from its targets: of a catch-all nobody asks for the key itself
        _refuse_loop(target, then)


def alias_remove(transaction: Transaction, address: str, targets: Sequence[str]) -> None:
    """Raises NotFound, BadRequest."""
    normal = _normal_alias(address)
    cursor = transaction.cursor
    known = _targets_of(transaction, normal)
    if not known:
        raise NotFound(normal)
    named = [normal_address(target) for target in targets]
    missing = [target for target in named if target not in known]
    if missing:
        raise NotFound(missing[0])
    if named:
        directory.DELETE_TARGET.run_many(cursor, [(normal, target) for target in named])
    else:
        directory.DELETE_ALIAS.run(cursor, normal)
    if not named or len(set(named)) == len(known):
        forget(transaction, normal)
    transaction.changes.directory = True


def domain_alias(
    transaction: Transaction, name: str, target: str, rules: Rules, keys: Sequence[NewKey] = ()
) -> DomainInfo:
    """Raises AlreadyExists, NotFound, BadRequest."""
    normal, normal_target = new_domain(transaction, name), normal_domain(target)
    target_id = owning_domain_id(transaction, normal_target)
    now = lookups(transaction.cursor, rules)
    then = attrs.evolve(now, domain=lambda domain: normal_target if domain == normal else now.domain(domain))
    # what was sent on to that domain elsewhere comes back here
    for (address,) in directory.LEADING_TO.all(transaction.cursor, f"%@{normal}"):
        for goal in now.alias(address):
            _refuse_loop(goal, then)
    insert_domain(transaction, normal, target_id, keys)
    return DomainInfo(normal, 0, 0, normal_target)
