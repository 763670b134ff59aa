"""Rights, annotations and quota, as an account may see them."""

from collections.abc import Sequence
from typing import Final

from services.store import access
from services.store.domain.addresses import InvalidAddressError, domain_of, normalize_address
from services.store.domain.annotations import EntryName, matches, parse_entry
from services.store.readers import Snapshot
from services.store.sql.prepared import Cursor
from services.store.sql.statements import annotations, directory, sharing
from shared.contract.sharing_types import AclEntry, Annotation, AnnotationDepth, Annotations
from shared.contract.types import MAX_REPLY_OCTETS
from shared.errors import BadRequest, NoPermission, NoSuchMailbox, NotFound
from shared.model.rights import ALL_RIGHTS_BITS, ANYONE, Rights

SERVER: Final = 0
"""Mailbox number of the server's own annotations."""
EVERYBODY: Final = 0
"""Account number of what is shared, and of the identifier ``anyone``."""
NAMES_MAX: Final = 1000
ADMIN_ENTRY: Final = "/admin"
_MAY_READ: Final = Rights.READ | Rights.SEEN | Rights.WRITE | Rights.INSERT | Rights.POST


def acl(snapshot: Snapshot, account_id: int, name: str) -> tuple[AclEntry, ...]:
    """Raises NoSuchMailbox, NoPermission."""
    cursor = snapshot.cursor
    found = access.find(cursor, account_id, name, Rights.ADMINISTER)
    owner = directory.ACCOUNT_ADDRESS.scalar(cursor, found.row[1])
    entries = [AclEntry(owner, ALL_RIGHTS_BITS)]
    for grantee, negative, rights, address in sharing.ENTRIES.all(cursor, found.row[0]):
        identifier = address if grantee else ANYONE
        if identifier is not None:
            entries.append(AclEntry(("-" if negative else "") + identifier, rights))
    return tuple(entries)


def grantee_of(cursor: Cursor, identifier: str) -> tuple[int, int]:
    """Account (or EVERYBODY) and whether it is denied (1) of an identifier. Raises NotFound."""
    negative = identifier.startswith("-")
    name = identifier[1:] if negative else identifier
    # RFC 4314 §2: "anyone" is everybody
    if name.lower() == ANYONE:
        return EVERYBODY, int(negative)
    try:
        found = directory.ACCOUNT_ID.one(cursor, normalize_address(name))
    except InvalidAddressError:
        found = None
    if found is None:
        raise NotFound("account")
    return int(found[0]), int(negative)


def fixed_rights(snapshot: Snapshot, account_id: int, name: str, identifier: str) -> int:
    """Raises NoSuchMailbox, NoPermission, NotFound."""
    found = access.find(snapshot.cursor, account_id, name, Rights.ADMINISTER)
    grantee, _ = grantee_of(snapshot.cursor, identifier)
    return ALL_RIGHTS_BITS if grantee == found.row[1] else 0


def get_metadata(
    snapshot: Snapshot,
    account_id: int,
    names: Sequence[str],
    entries: Sequence[str],
    depth: AnnotationDepth,
    max_octets: int | None,
) -> tuple[Annotations | None, ...]:
    """In the order asked, as many as fit; the first one always. Raises BadRequest."""
    if len(names) > NAMES_MAX:
        raise BadRequest(f"{NAMES_MAX} mailboxes at once")
    wanted = [parse_entry(entry, may_be_root=True) for entry in entries]
    answers: list[Annotations | None] = []
    octets = 0
    for name in names:
        answer = _annotations(snapshot.cursor, account_id, name, wanted, depth, max_octets)
        octets += 20
        if answer is not None:
            octets += sum(len(entry.name) + len(entry.value or b"") + 10 for entry in answer.entries)
        if octets > MAX_REPLY_OCTETS and answers:
            break
        answers.append(answer)
    return tuple(answers)


def _annotations(
    cursor: Cursor,
    account_id: int,
    name: str,
    wanted: Sequence[EntryName],
    depth: AnnotationDepth,
    max_octets: int | None,
) -> Annotations | None:
    mailbox_id = SERVER
    if name:
        try:
            mailbox_id = annotated(cursor, account_id, name)[0]
        except (NoSuchMailbox, NoPermission):
            return None
    found: list[Annotation] = []
    longest = 0
    for private in (True, False):
        roots = [entry.name for entry in wanted if entry.private is private]
        if not roots:
            continue
        rows = annotations.OF.all(cursor, mailbox_id, account_id if private else EVERYBODY)
        if mailbox_id == SERVER and not private:
            rows.append((ADMIN_ENTRY, _administrator(cursor, account_id)))
        for entry, value in rows:
            if not matches(entry, roots, depth):
                continue
            if max_octets is not None and len(value) > max_octets:
                longest = max(longest, len(value))
            else:
                found.append(Annotation(EntryName(private, entry).full, value))
    return Annotations(tuple(found), longest)


def _administrator(cursor: Cursor, account_id: int) -> bytes:
    """RFC 5464 §6.2.2: a URI. RFC 2142 §4: postmaster reaches whoever runs the domain's mail."""
    domain = domain_of(directory.ACCOUNT_ADDRESS.scalar(cursor, account_id))
    return f"mailto:postmaster@{domain}".encode()


def annotated(cursor: Cursor, account_id: int, name: str) -> tuple[int, Rights]:
    """A mailbox whose annotations an account may use, and its rights there. Raises NoSuchMailbox, NoPermission."""
    # RFC 5464 §3.3: "l" and any one of "r", "s", "w", "i", "p"
    found = access.find(cursor, account_id, name, Rights.LOOKUP)
    if not found.rights & _MAY_READ:
        raise NoPermission
    return found.row[0], found.rights
