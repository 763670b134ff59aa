"""What accounts and domains hold and may hold. A root is an account's address, or ``@domain``."""

from typing import Final

from services.store import access
from services.store.domain.addresses import InvalidAddressError, normalize_address, normalize_domain
from services.store.domain.quota import Root, RootKind, shown
from services.store.readers import Snapshot
from services.store.sql.prepared import Cursor
from services.store.sql.statements import directory, quota
from shared.contract.sharing_types import Quota
from shared.errors import NoSuchMailbox, NotFound
from shared.model.rights import Rights

PAGE: Final = 1000


def quota_of(cursor: Cursor, root: Root) -> Quota:
    """The counters, and the limits as they were set."""
    statement = quota.USAGE if root.kind is RootKind.ACCOUNT else quota.DOMAIN_USAGE
    return Quota(*statement.all(cursor, root.id)[0])


def root_named(cursor: Cursor, name: str) -> Root:
    """Raises NotFound."""
    try:
        if name.startswith("@"):
            kind, found = RootKind.DOMAIN, quota.DOMAIN_ID.one(cursor, normalize_domain(name[1:]))
        else:
            kind, found = RootKind.ACCOUNT, directory.ACCOUNT_ID.one(cursor, normalize_address(name))
    except InvalidAddressError:
        found = None
    if found is None:
        raise NotFound(name)
    return Root(kind, int(found[0]))


def shown_to(cursor: Cursor, account_id: int) -> Quota:
    """An account's own, with the limit that it meets first."""
    found = quota.USAGE_OF_BOTH.all(cursor, account_id)[0]
    return shown(Quota(*found[:5]), Quota(*found[5:10]))


def quota_of_mailbox(snapshot: Snapshot, account_id: int, name: str) -> Quota:
    """Of the account that a mailbox belongs to. Raises NoSuchMailbox, NoPermission."""
    place = access.place_of(snapshot.cursor, account_id, name)
    if place is not None and not place.owner:
        return shown_to(snapshot.cursor, account_id)
    found = access.find(snapshot.cursor, account_id, name, Rights.READ)
    return shown_to(snapshot.cursor, found.row[1])


def quota_root(snapshot: Snapshot, account_id: int, name: str, administrators: frozenset[str]) -> Quota:
    """One's own as it is shown; any other, as it was set, to an administrator. Raises NoSuchMailbox."""
    cursor = snapshot.cursor
    try:
        root = root_named(cursor, name)
    except NotFound:
        raise NoSuchMailbox from None
    if root == Root(RootKind.ACCOUNT, account_id):
        return shown_to(cursor, account_id)
    if directory.ACCOUNT_ADDRESS.scalar(cursor, account_id) not in administrators:
        raise NoSuchMailbox
    return quota_of(cursor, root)


def quota_show(snapshot: Snapshot, name: str) -> Quota:
    """Raises NotFound."""
    return quota_of(snapshot.cursor, root_named(snapshot.cursor, name))


def quotas(snapshot: Snapshot, after: str) -> tuple[Quota, ...]:
    return tuple(Quota(*row) for row in quota.USAGES.all(snapshot.cursor, after, PAGE))


def domain_quotas(snapshot: Snapshot) -> tuple[Quota, ...]:
    return tuple(Quota(*row) for row in quota.DOMAIN_USAGES.all(snapshot.cursor))


def limited_roots(snapshot: Snapshot) -> dict[Root, Quota]:
    """What accounts and domains that have a limit hold and may hold."""
    cursor = snapshot.cursor
    found = {Root(RootKind.ACCOUNT, row[0]): Quota(*row[1:]) for row in quota.LIMITED.all(cursor)}
    found |= {Root(RootKind.DOMAIN, row[0]): Quota(*row[1:]) for row in quota.LIMITED_DOMAINS.all(cursor)}
    return found


def warned_roots(snapshot: Snapshot) -> dict[Root, int]:
    """Marks that somebody was warned at."""
    cursor = snapshot.cursor
    found = {Root(RootKind.ACCOUNT, row[0]): int(row[1]) for row in quota.ALL_WARNED.all(cursor)}
    found |= {Root(RootKind.DOMAIN, row[0]): int(row[1]) for row in quota.ALL_WARNED_DOMAINS.all(cursor)}
    return found
