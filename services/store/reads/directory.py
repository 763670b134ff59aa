"""Who is behind an address; lists for the administrator."""

from typing import Final

import attrs

from services.store.domain.addresses import InvalidAddressError, normalize_address
from services.store.domain.devices import Device, parse_login
from services.store.domain.directory import Lookups, resolve
from services.store.forwarding import Forwarding
from services.store.readers import Snapshot
from services.store.reads.devices import devices_of
from services.store.sql.prepared import Cursor
from services.store.sql.statements import directory, groups, queue
from shared.contract.group_types import Posting
from shared.contract.types import AccountInfo, AliasInfo, DomainInfo, Resolution
from shared.errors import NotFound
from shared.model.ids import AccountId
from shared.sasl.scram_keys import ScramKeys

PAGE: Final = 1000
ALIAS_ROWS: Final = 10_000


@attrs.frozen
class Rules:
    """How addresses are followed."""

    separator: str
    depth: int
    forwarding: Forwarding


def lookups(cursor: Cursor, rules: Rules) -> Lookups:
    """The directory as this cursor sees it."""

    def account(address: str) -> int | None:
        row = directory.ACCOUNT_ID.one(cursor, address)
        return None if row is None else int(row[0])

    def restricted(address: str) -> bool:
        row = groups.POSTING.one(cursor, address)
        return row is not None and row[0] != Posting.EVERYBODY

    return Lookups(
        domain=lambda name: stands_for(cursor, name),
        account=account,
        alias=lambda address: [target for (target,) in directory.TARGETS.all(cursor, address)],
        separator=rules.separator,
        depth=rules.depth,
        returned=rules.forwarding.returned,
        restricted=restricted,
    )


def stands_for(cursor: Cursor, domain: str) -> str | None:
    """The domain that a domain stands for: itself, or the one it is an alias of; None: not ours."""
    row = directory.STANDS_FOR.one(cursor, domain)
    return None if row is None else str(row[0])


def resolve_address(snapshot: Snapshot, address: str, rules: Rules) -> Resolution:
    return resolve(address, lookups(snapshot.cursor, rules))


@attrs.frozen
class Credentials:
    """What a login is checked against."""

    account_id: int
    address: str
    password_hash: str = attrs.field(repr=False)
    scram: ScramKeys | None = None
    devices: tuple[Device, ...] = ()


def credentials(snapshot: Snapshot, username: str) -> Credentials | None:
    """Of a user name, which is an account's address, or that and a device; None: nobody."""
    normal = parse_login(username).address
    row = directory.CREDENTIALS.one(snapshot.cursor, normal)
    if row is None:
        return None
    scram = None if row[2] is None else ScramKeys(*row[2:])
    return Credentials(row[0], normal, row[1], scram, devices_of(snapshot.cursor, row[0]))


def account_domains(snapshot: Snapshot) -> dict[int, int]:
    """All accounts, with the domain of each."""
    return {row[0]: row[1] for row in directory.ACCOUNT_DOMAINS.all(snapshot.cursor)}


def domains(snapshot: Snapshot) -> tuple[DomainInfo, ...]:
    return tuple(DomainInfo(*row) for row in directory.DOMAINS.all(snapshot.cursor))


def accounts(snapshot: Snapshot, after: str) -> tuple[AccountInfo, ...]:
    rows = directory.ACCOUNTS.all(snapshot.cursor, after, PAGE)
    return tuple(AccountInfo(AccountId(row[0]), *row[1:]) for row in rows)


def aliases(snapshot: Snapshot, after: str) -> tuple[AliasInfo, ...]:
    rows = directory.ALIASES.all(snapshot.cursor, after, ALIAS_ROWS)
    by_address: dict[str, list[str]] = {}
    for address, target in rows:
        by_address.setdefault(address, []).append(target)
    if len(rows) == ALIAS_ROWS and len(by_address) > 1:
        # the last one may be cut in the middle
        by_address.popitem()
    page = list(by_address.items())[:PAGE]
    return tuple(AliasInfo(address, tuple(targets)) for address, targets in page)


def account_of(snapshot: Snapshot, address: str) -> tuple[AccountId, str]:
    """An account's id and its address in the form that is kept. Raises NotFound."""
    try:
        kept = normalize_address(address)
        found = directory.ACCOUNT_ID.one(snapshot.cursor, kept)
    except InvalidAddressError:
        found = None
    if found is None:
        raise NotFound(address)
    return AccountId(found[0]), kept


def totals(snapshot: Snapshot, now: float) -> tuple[int, int, int, int, int, int]:
    """Domains, accounts, messages, octets; queue entries, and how many of them are due."""
    counts = directory.TOTALS.all(snapshot.cursor)[0]
    queued = queue.COUNTS.all(snapshot.cursor, now)[0]
    return (*counts, *queued)
