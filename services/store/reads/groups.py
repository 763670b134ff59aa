"""Who may post to a group."""

from collections.abc import Iterable

from services.store.domain.addresses import InvalidAddressError, normalize_address
from services.store.domain.directory import key_of
from services.store.domain.groups import Rule, may_post, with_rules
from services.store.readers import Snapshot
from services.store.reads.directory import Rules, aliases, lookups
from services.store.sql.prepared import Cursor
from services.store.sql.statements import groups
from shared.contract.types import AliasInfo


def rule_of(cursor: Cursor, key: str) -> Rule:
    """Of an alias by its kept address."""
    row = groups.POSTING.one(cursor, key)
    return Rule() if row is None else Rule.of(*row)


def aliases_with_rules(cursor: Cursor, infos: Iterable[AliasInfo]) -> tuple[AliasInfo, ...]:
    listed = tuple(infos)
    found = {row[0]: Rule.of(*row[1:]) for row in groups.POSTINGS.all(cursor, [info.address for info in listed])}
    return with_rules(listed, found.get)


def alias_page(snapshot: Snapshot, after: str) -> tuple[AliasInfo, ...]:
    """By address."""
    return aliases_with_rules(snapshot.cursor, aliases(snapshot, after))


def may_account_post(snapshot: Snapshot, address: str, sender: str, account: int | None, rules: Rules) -> bool:
    """To an address as it was named at RCPT."""
    cursor = snapshot.cursor
    found = lookups(cursor, rules)
    try:
        key = key_of(normalize_address(address), found)
    except InvalidAddressError:
        return False
    return key is not None and may_post(key, rule_of(cursor, key), account, sender, found)
