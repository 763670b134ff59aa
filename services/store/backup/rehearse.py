"""A restore that is only tried: `pillarbox backup test DIR`.

Every file of the backup is read and compared with its digest. Then one account, chosen at random (or named), is restored into a scratch
store below DIR: a database and packs of its own, filled by the code that restores into a running store, then verified and compared with
the backup message by message. The scratch store is removed, also the one that an earlier, killed test left.
"""

import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from services.store.backup.account import INDEX, Kept, Wanted, kept_messages
from services.store.backup.database import open_copy
from services.store.backup.files import check
from services.store.backup.make import only_one
from services.store.backup.manifest import DATABASE, PACKS, BackupError, read_manifest
from services.store.domain.addresses import domain_of
from services.store.domain.names import NameLimits
from services.store.pace import Pace
from services.store.packs.append import PackAppender
from services.store.packs.encode import Compressor, encode_content
from services.store.packs.read import PackReader
from services.store.packs.record import CorruptRecordError
from services.store.sql.database import connect
from services.store.sql.migrate import migrate
from services.store.sql.statements import contents
from services.store.transaction import Ids, Transaction
from services.store.verify.checker import verify_files
from services.store.writes.directory import account_add, domain_add
from services.store.writes.filing import Incoming
from services.store.writes.restoring import restore_messages
from shared.contract.restore_types import RestoredMessage
from shared.contract.types import ContentSource
from shared.model.message_index import MessageIndex

SCRATCH: Final = ".pillarbox-backup-test"
SEAL_OCTETS: Final = 64 * 1024 * 1024
GROUP_OCTETS: Final = 8 * 1024 * 1024
"""Of contents in one transaction."""
CACHE_KIB: Final = 4 * 1024
FULL_ACCOUNTS: Final = "SELECT address FROM account WHERE messages > 0 ORDER BY address"
LIMITS: Final = NameLimits(octets=1000, levels=100, mailboxes=1_000_000)
"""The most that settings allow: what was allowed once comes back."""
Report = Callable[[str, int, int], None]


@attrs.frozen
class Rehearsed:
    """What came of it."""

    name: str
    files: int
    octets: int
    address: str
    """Empty where no account has a message."""
    messages: int


def rehearse(folder: Path, report: Report, draw: random.Random, address: str = "") -> Rehearsed:
    """Raises BackupError, OSError, sqlite3.Error."""
    with only_one(folder.parent):
        return _rehearse(folder, report, draw, address)


def _rehearse(folder: Path, report: Report, draw: random.Random, address: str) -> Rehearsed:
    manifest = read_manifest(folder)
    total, done = sum(entry.octets for entry in manifest.files), 0

    def progress(octets: int) -> None:
        nonlocal done
        done += octets
        report("reading", done, total)

    for entry in manifest.files:
        check(folder, entry, Pace(0), progress)
    with open_copy(folder / DATABASE) as connection:
        full = [row[0] for row in connection.execute(FULL_ACCOUNTS)]
        if not address and full:
            address = draw.choice(full)
        messages = _try(folder, connection, address, report) if address else 0
    return Rehearsed(manifest.name, len(manifest.files), total, address, messages)


def _try(folder: Path, connection: sqlite3.Connection, address: str, report: Report) -> int:
    """Restore one account and compare; how many messages it has."""
    packs = PackReader(folder / PACKS, cache_octets=0)
    with _scratch(folder.parent) as place:
        store = _ScratchStore(place, address)
        try:
            count = store.fill(connection, packs, report)
        finally:
            store.close()
        findings = verify_files(place / "db", place / "packs", Pace(0), lambda _: None).findings
        if findings.count:
            raise BackupError(f"{address} was restored wrongly: {findings.named[0].what}")
        _compare(connection, packs, place, address, report)
    packs.close()
    return count


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    place = root / SCRATCH
    shutil.rmtree(place, ignore_errors=True)
    (place / "packs").mkdir(mode=0o700, parents=True)
    try:
        yield place
    finally:
        shutil.rmtree(place)


class _ScratchStore:
    """A database and packs with one account."""

    def __init__(self, place: Path, address: str) -> None:
        migrate(place / "db")
        self._address = address
        self._connection = connect(place / "db", read_only=False, cache_kib=CACHE_KIB)
        self._cursor = self._connection.cursor()
        self._appender = PackAppender(place / "packs", number=1, end=0, seal_octets=SEAL_OCTETS)
        self._ids = Ids(self._cursor)
        self._compressor = Compressor(level=1)
        self._known: set[int] = set()
        self._commit(domain_add, domain_of(address))
        self._commit(account_add, address, "-")

    def close(self) -> None:
        self._appender.close()
        self._connection.close()

    def fill(self, connection: sqlite3.Connection, packs: PackReader, report: Report) -> int:
        """All of the account's messages; how many. Raises BackupError."""
        batch: list[tuple[Kept, bytes, MessageIndex]] = []
        count = octets = 0
        for kept in kept_messages(connection, Wanted(self._address)):
            if batch and (batch[0][0].mailbox != kept.mailbox or octets >= GROUP_OCTETS):
                self._restore(batch)
                batch, octets = [], 0
            content = read_content(packs, kept)
            row = connection.execute(INDEX, (kept.content,)).fetchone()
            batch.append((kept, content, MessageIndex(kept.header_octets, *row)))
            octets += len(content)
            count += 1
            report("restoring", count, 0)
        if batch:
            self._restore(batch)
        return count

    def _restore(self, batch: Sequence[tuple[Kept, bytes, MessageIndex]]) -> None:
        incoming = [Incoming(encode_content(content, self._compressor)) for _, content, _ in batch]
        messages = [
            RestoredMessage(
                kept.flags, kept.internal_date, kept.email_id, kept.thread_id, kept.uidl, ContentSource(len(content)), index
            )
            for kept, content, index in batch
        ]
        first = batch[0][0]
        self._commit(restore_messages, incoming, self._address, first.mailbox, first.special_use, messages, LIMITS)

    def _commit(self, write: Callable[..., object], *arguments: Any) -> None:
        """One write, as the store's writer does it: packs first."""
        self._cursor.execute("BEGIN IMMEDIATE")
        transaction = Transaction(self._cursor, self._appender, self._ids, time.time())
        if arguments and isinstance(arguments[0], list):
            transaction.prefetch_contents([each.encoded.digest for each in arguments[0]])
        write(transaction, *arguments)
        transaction.flush()
        self._appender.sync()
        for number, end in self._appender.take_ends().items():
            if number not in self._known:
                contents.INSERT_PACK.run(self._cursor, number, end, 0)
                self._known.add(number)
            contents.UPDATE_PACK.run(self._cursor, end, number)
        self._cursor.execute("COMMIT")


def read_content(packs: PackReader, kept: Kept) -> bytes:
    """Raises BackupError."""
    try:
        return packs.read(kept.location)
    except (CorruptRecordError, OSError) as error:
        raise BackupError(f"{kept.mailbox}, UID {kept.uid}: {error}") from None


def _compare(connection: sqlite3.Connection, packs: PackReader, place: Path, address: str, report: Report) -> None:
    """Every octet, flag, date and id of both. Raises BackupError."""
    restored_packs = PackReader(place / "packs", cache_octets=0)
    with closing(connect(place / "db", read_only=True, cache_kib=CACHE_KIB)) as restored:
        there = _by_mailbox(kept_messages(restored, Wanted(address)))
        for count, kept in enumerate(kept_messages(connection, Wanted(address)), 1):
            other = next(there.get(kept.mailbox, iter(())), None)
            if other is None or _what_stays(kept) != _what_stays(other):
                raise BackupError(f"{address}, {kept.mailbox}, UID {kept.uid} was restored wrongly")
            if read_content(packs, kept) != read_content(restored_packs, other):
                raise BackupError(f"{address}, {kept.mailbox}, UID {kept.uid} has other octets than it had")
            report("comparing", count, 0)
        left = [kept for messages in there.values() for kept in messages]
        if left:
            raise BackupError(f"{address} has {len(left)} messages that it did not have")
    restored_packs.close()


def _by_mailbox(messages: Iterator[Kept]) -> dict[str, Iterator[Kept]]:
    """In the order of their UIDs."""
    found: dict[str, list[Kept]] = {}
    for kept in messages:
        found.setdefault(kept.mailbox, []).append(kept)
    return {name: iter(each) for name, each in found.items()}


def _what_stays(kept: Kept) -> tuple[object, ...]:
    """Of a message, when it is restored: all but its UID and its place."""
    flags = frozenset(flag.lower() for flag in kept.flags)
    return (kept.mailbox, flags, kept.internal_date, kept.email_id, kept.thread_id, kept.uidl, kept.digest)
