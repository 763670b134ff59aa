"""Lists of mailboxes, page by page, so that a hundred thousand of them cost no memory.

Laws:
- A page begins where the last one ended; what was made or renamed meanwhile is there or not, nothing else is missed or told twice.
- A level that is no mailbox itself comes right before the first name below it.
- What a scope leaves out is jumped over, not read: names below a level cost one look-up together.
"""

from collections.abc import Callable, Sequence
from typing import Final

import attrs

from services.store import access
from services.store.domain.addresses import InvalidAddressError, normalize_address
from services.store.domain.names import INBOX, SEPARATOR, below, ceiling_of, floor_of, parents
from services.store.readers import Snapshot
from services.store.sql.prepared import Cursor, Prepared, Row
from services.store.sql.statements import mailboxes, sharing
from shared.contract.mailbox_types import ListOnly, ListScope, MailboxInfo, MailboxList
from shared.contract.types import MAX_REPLY_OCTETS
from shared.errors import BadRequest, NoPermission, NoSuchMailbox
from shared.model.ids import MailboxId
from shared.model.namespace import OTHERS_PREFIX, is_reserved, shared_name, split_shared
from shared.model.rights import Rights

PAGE: Final = 400
_CHUNK_MIN: Final = 8
_PAGE_OCTETS: Final = MAX_REPLY_OCTETS // 2
"""The levels above one more name of 1,000 octets still fit."""


class _Page:
    """The page that is being made."""

    def __init__(self, after: str) -> None:
        self.infos: list[MailboxInfo] = []
        self._names: set[str] = set()
        self._octets = 0
        self._previous = after

    @property
    def full(self) -> bool:
        return len(self.infos) >= PAGE or self._octets > _PAGE_OCTETS

    def add(self, info: MailboxInfo) -> None:
        self.infos.append(info)
        self._names.add(info.name)
        self._octets += 40 + 4 * len(info.name)

    def add_levels_above(self, name: str, levels: list[str], exists: Callable[[str], bool]) -> None:
        """Those that are no mailboxes and were not told before; ``levels``: the topmost first."""
        for level in levels:
            told = self._previous == level or self._previous.startswith(level + SEPARATOR)
            if not told and level not in self._names and not exists(level):
                self.add(MailboxInfo(MailboxId(0), level, "", False, 0, has_children=True, rights=0))
        self._previous = name


def list_mailboxes(snapshot: Snapshot, account_id: int, after: str, scope: ListScope) -> MailboxList:
    """Raises BadRequest."""
    if scope.levels < 0:
        raise BadRequest("levels")
    if scope.only is ListOnly.ALL:
        return _all(snapshot.cursor, account_id, after, scope)
    statement = mailboxes.LIST_SUBSCRIBED if scope.only is ListOnly.SUBSCRIBED else mailboxes.LIST_SPECIAL_USE
    return _chosen(snapshot.cursor, account_id, after, scope, statement)


def _info(row: Row) -> MailboxInfo:
    mailbox_id, name, special_use, subscribed, uidvalidity, has_children = row
    return MailboxInfo(MailboxId(mailbox_id), name, special_use, bool(subscribed), uidvalidity, bool(has_children))


def _all(cursor: Cursor, account_id: int, after: str, scope: ListScope) -> MailboxList:
    page = _Page(after)
    low = max(after, floor_of(scope.prefix))

    def exists(name: str) -> bool:
        return mailboxes.ID_BY_NAME.one(cursor, account_id, name) is not None

    if not after and INBOX.startswith(scope.prefix):
        # first, as people expect it
        for row in mailboxes.LIST.all(cursor, account_id, floor_of(INBOX), 1):
            if row[1] == INBOX:
                page.add(_info(row))
    chunk = PAGE
    while True:
        rows = mailboxes.LIST.all(cursor, account_id, low, chunk)
        jumped = 0
        for row in rows:
            name = row[1]
            if name < low:
                jumped += 1
                continue
            if not name.startswith(scope.prefix):
                return MailboxList(tuple(page.infos))
            if name == INBOX or is_reserved(name):
                # told already; or made before names of other accounts began so, and not reachable by its name
                low = name
                continue
            above = parents(name)
            if scope.levels and len(above) >= scope.levels:
                page.add_levels_above(name, above[: scope.levels], exists)
                low = ceiling_of(above[scope.levels - 1])
            else:
                page.add_levels_above(name, above, exists)
                page.add(_info(row))
                low = name
            if page.full:
                return MailboxList(tuple(page.infos), low)
        if len(rows) < chunk:
            return MailboxList(tuple(page.infos))
        # where most of what is read is jumped over, less is read at a time
        chunk = max(_CHUNK_MIN, chunk // 4) if jumped > len(rows) // 2 else min(PAGE, chunk * 2)


def _chosen(cursor: Cursor, account_id: int, after: str, scope: ListScope, statement: Prepared) -> MailboxList:
    page = _Page(after)
    rows = statement.all(cursor, account_id, max(after, floor_of(scope.prefix)), PAGE)
    for row in rows:
        name = row[1]
        if not name.startswith(scope.prefix):
            return MailboxList(tuple(page.infos))
        page.add(_subscription(cursor, account_id, name) if row[0] is None else _info(row))
        if page.full:
            return MailboxList(tuple(page.infos), name)
    return MailboxList(tuple(page.infos))


def _subscription(cursor: Cursor, account_id: int, name: str) -> MailboxInfo:
    """A subscribed name that is no mailbox of one's own; perhaps one of another account."""
    nothing = MailboxInfo(MailboxId(0), name, "", True, 0, rights=0)
    if not name.startswith(OTHERS_PREFIX):
        return attrs.evolve(nothing, has_children=_has_children(cursor, account_id, name))
    try:
        found = access.find(cursor, account_id, name, Rights.LOOKUP)
    except (NoSuchMailbox, NoPermission):
        return nothing
    row = mailboxes.BY_ID.one(cursor, found.row[0])
    if row is None:
        return nothing
    children = _has_shared_children(cursor, account_id, row[1], row[2])
    return MailboxInfo(MailboxId(row[0]), name, "", True, row[4], children, int(found.rights))


def _has_children(cursor: Cursor, account_id: int, name: str) -> bool:
    """Of a name that is no mailbox."""
    span = below(name)
    return mailboxes.ANY_BELOW.one(cursor, account_id, span.low, span.high, 1) is not None


def _has_shared_children(cursor: Cursor, account_id: int, owner_id: int, name: str) -> bool:
    span = below(name)
    return sharing.CHILD_SHARED.one(cursor, owner_id, span.low, span.high, account_id, 1) is not None


def infos(snapshot: Snapshot, account_id: int, names: Sequence[str]) -> tuple[MailboxInfo, ...]:
    """Raises BadRequest."""
    if len(names) > PAGE:
        raise BadRequest(f"{PAGE} mailboxes at once")
    return tuple(_named(snapshot.cursor, account_id, name) for name in names)


def _named(cursor: Cursor, account_id: int, name: str) -> MailboxInfo:
    subscribed = mailboxes.SUBSCRIBED.one(cursor, account_id, name) is not None
    if name.startswith(OTHERS_PREFIX):
        return attrs.evolve(_subscription(cursor, account_id, name), subscribed=subscribed)
    row = mailboxes.BY_NAME.one(cursor, account_id, name)
    if row is None:
        children = _has_children(cursor, account_id, name)
        return MailboxInfo(MailboxId(0), name, "", subscribed, 0, children, rights=0)
    children = bool(mailboxes.HAS_CHILDREN.scalar(cursor, row[0]))
    return MailboxInfo(MailboxId(row[0]), name, row[3], subscribed, row[4], children)


def list_shared(snapshot: Snapshot, account_id: int, after: str) -> MailboxList:
    """A page of other accounts' mailboxes."""
    cursor = snapshot.cursor
    page = _Page(after)
    after_owner, after_name = split_shared(after) or ("", "")
    rows = sharing.SHARED_WITH.all(cursor, account_id, after_owner, after_name, PAGE)
    for mailbox_id, owner, name, subscribed, uidvalidity, owner_id in rows:
        full = shared_name(owner, name)
        rights = access.rights_on(cursor, account_id, owner_id, mailbox_id)

        def sees(level: str) -> bool:
            return _sees(cursor, account_id, level)

        page.add_levels_above(full, parents(full), sees)
        children = _has_shared_children(cursor, account_id, owner_id, name)
        page.add(
            # RFC 6154 §2: another's \\Sent is not where a client is to file what this account sends
            MailboxInfo(MailboxId(mailbox_id), full, "", bool(subscribed), uidvalidity, children, int(rights))
        )
        if page.full:
            return MailboxList(tuple(page.infos), full)
    return MailboxList(tuple(page.infos))


def _sees(cursor: Cursor, account_id: int, name: str) -> bool:
    split = split_shared(name)
    if split is None or not split[1]:
        return False
    try:
        normalize_address(split[0])
        access.find(cursor, account_id, name, Rights.LOOKUP)
    except (InvalidAddressError, NoSuchMailbox, NoPermission):
        return False
    return True
