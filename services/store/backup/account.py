"""One account's messages out of a backup into a running store: what is missing comes back, nothing is doubled.

Missing is a message whose octets the account does not hold any more in any mailbox but Trash (or, where it was in Trash, in Trash either).
So a message that was moved or renamed away is there, one that was thrown away comes back to where it was, and doing it twice changes
nothing. It comes back with its flags, date, EMAILID and UIDL, under a new UID, into the mailbox of the name that it was in.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from services.store.backup.database import open_copy
from services.store.backup.files import DIGEST_OCTETS
from services.store.backup.manifest import DATABASE, PACKS, BackupError, read_manifest
from services.store.packs.read import PackReader
from services.store.packs.record import CorruptRecordError, Location
from shared.config.paths import DataPaths
from shared.contract.registry import Role
from shared.contract.restore_types import RestoredMessage
from shared.contract.types import MAX_INLINE_OCTETS, ContentSource
from shared.errors import NotFound, StoreError
from shared.model.flags import flag_names
from shared.model.message_index import MessageIndex
from shared.observe.log import Level, Logger
from shared.rpc.address import connect_unix
from shared.rpc.client import RpcClient
from shared.rpc.store_client import StoreClient

BATCH_OCTETS: Final = 512 * 1024
"""Of contents and indexes in one call: half of what a frame may have."""
BATCH_MESSAGES: Final = 200
WAIT_SECONDS: Final = 30.0
"""For a store that restarts just now."""
TRASH: Final = "\\Trash"
ACCOUNT: Final = "SELECT id FROM account WHERE address = ?"
TOTAL: Final = "SELECT coalesce(sum(octets), 0) FROM account WHERE address = ?"
MAILBOXES: Final = "SELECT id, name, special_use FROM mailbox WHERE account_id = ? ORDER BY id"
KEYWORDS: Final = "SELECT slot, name FROM keyword WHERE mailbox_id = ? ORDER BY slot"
MESSAGES: Final = (
    'SELECT m.uid, m.flags, m.internal_date, m.email_id, m.thread_id, m.uidl, m.header_octets, c.id, c.digest, c.pack, c."offset", '
    "c.length, c.octets FROM message AS m JOIN content AS c ON c.id = m.content_id WHERE m.mailbox_id = ? ORDER BY m.uid"
)
INDEX: Final = "SELECT envelope, bodystructure, body, parts, summary FROM content_index WHERE content_id = ?"
Report = Callable[[str, int, int], None]


@attrs.frozen
class Wanted:
    """Which of an account's messages. Empty and 0: all."""

    address: str
    mailbox: str = ""
    uid: int = 0
    """In the backup."""


@attrs.define
class AccountRestored:
    """What came of it."""

    name: str
    """Of the backup."""
    address: str
    restored: int = 0
    there: int = 0
    """That the account holds anyway."""
    damaged: list[str] = attrs.field(factory=list)
    """What the backup cannot give."""


@attrs.frozen
class Kept:
    """A message of the backup."""

    mailbox: str
    special_use: str
    uid: int
    flags: tuple[str, ...]
    internal_date: int
    email_id: int
    thread_id: int
    uidl: str
    header_octets: int
    content: int
    digest: bytes
    location: Location


def kept_messages(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[Kept]:
    """Mailbox by mailbox, in the order of their UIDs. Raises BackupError."""
    account = connection.execute(ACCOUNT, (wanted.address,)).fetchone()
    if account is None:
        raise BackupError(f"the backup has no account {wanted.address}")
    found = False
    for mailbox, name, special_use in connection.execute(MAILBOXES, account).fetchall():
        if wanted.mailbox and name != wanted.mailbox:
            continue
        found = True
        slots = dict(connection.execute(KEYWORDS, (mailbox,)).fetchall())
        keywords = [slots.get(slot, "") for slot in range(max(slots, default=-1) + 1)]
        for row in connection.execute(MESSAGES, (mailbox,)):
            uid, flags, date, email_id, thread_id, uidl, header_octets, content, digest, *place = row
            if wanted.uid and uid != wanted.uid:
                continue
            names = tuple(filter(None, flag_names(flags, keywords)))
            yield Kept(
                name, special_use, uid, names, date, email_id, thread_id, uidl, header_octets, content, digest, Location(*place)
            )
    if not found:
        raise BackupError(f"the backup has no mailbox {wanted.mailbox} of {wanted.address}")


class _Restorer:
    """One account's way back."""

    def __init__(self, store: StoreClient, connection: sqlite3.Connection, packs: PackReader, result: AccountRestored) -> None:
        self._store = store
        self._connection = connection
        self._packs = packs
        self._result = result
        self._batch: list[tuple[Kept, bytes, MessageIndex]] = []
        self._octets = 0

    async def run(self, wanted: Wanted, report: Report) -> None:
        elsewhere = await self._held(wanted.address, in_trash=False)
        trash = await self._held(wanted.address, in_trash=True)
        total = int(self._connection.execute(TOTAL, (wanted.address,)).fetchone()[0])
        done = 0
        for message in kept_messages(self._connection, wanted):
            held = message.digest in elsewhere or (message.special_use == TRASH and message.digest in trash)
            if held:
                self._result.there += 1
            else:
                await self._add(message)
            done += message.location.raw_octets
            report("restoring", done, total)
        await self._send()
        report("restoring", total, total)
        if wanted.uid and not (self._result.there or self._result.restored or self._result.damaged):
            raise BackupError(f"the backup has no message {wanted.uid} in {wanted.mailbox}")

    async def _held(self, address: str, *, in_trash: bool) -> set[bytes]:
        found: set[bytes] = set()
        after = 0
        while True:
            page = await self._store.admin.held_contents(address, in_trash, after)
            digests = page.digests
            found.update(digests[at : at + DIGEST_OCTETS] for at in range(0, len(digests), DIGEST_OCTETS))
            after = page.next
            if not after:
                return found

    async def _add(self, message: Kept) -> None:
        """One message into the batch. One that the backup cannot give is named."""
        try:
            content = await trio.to_thread.run_sync(self._packs.read, message.location)
            if hashlib.blake2b(content, digest_size=DIGEST_OCTETS).digest() != message.digest:
                raise CorruptRecordError("digest")
            row = self._connection.execute(INDEX, (message.content,)).fetchone()
            if row is None:
                raise CorruptRecordError("what is known of its header is gone")
        except (CorruptRecordError, OSError) as error:
            self._result.damaged.append(f"{message.mailbox}, UID {message.uid}: {error}")
            return
        index = MessageIndex(message.header_octets, *row)
        octets = sum(map(len, row)) + (len(content) if len(content) <= MAX_INLINE_OCTETS else 0)
        full = len(self._batch) == BATCH_MESSAGES or self._octets + octets > BATCH_OCTETS
        if self._batch and (full or self._batch[0][0].mailbox != message.mailbox):
            await self._send()
        self._batch.append((message, content, index))
        self._octets += octets
        if len(content) > MAX_INLINE_OCTETS:
            # large ones are in memory one at a time
            await self._send()

    async def _send(self) -> None:
        if self._batch:
            batch, self._batch, self._octets = self._batch, [], 0
            self._result.restored += await self._store.again_when_forgotten(partial(self._put, batch))

    async def _put(self, batch: list[tuple[Kept, bytes, MessageIndex]]) -> int:
        sources: list[ContentSource] = []
        try:
            for _, content, _ in batch:
                sources.append(await self._store.put_content(content))
            messages = tuple(
                RestoredMessage(kept.flags, kept.internal_date, kept.email_id, kept.thread_id, kept.uidl, source, index)
                for (kept, _, index), source in zip(batch, sources, strict=True)
            )
            first = batch[0][0]
            return await self._store.admin.restore_messages(
                self._result.address, first.mailbox, first.special_use, messages
            )
        except BaseException:
            for source in sources:
                self._store.drop_content(source)
            raise


def restore_account(folder: Path, data: Path, wanted: Wanted, report: Report) -> dict[str, Any]:
    """Raises BackupError."""
    result = AccountRestored(read_manifest(folder).name, wanted.address)

    async def session() -> str:
        """What went wrong; returned and raised outside, so that it does not travel in exception groups."""
        store = StoreClient(_client(data))
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            try:
                with open_copy(folder / DATABASE) as connection:
                    packs = PackReader(folder / PACKS, cache_octets=0)
                    await _Restorer(store, connection, packs, result).run(wanted, report)
            except NotFound:
                return f"the store has no account {wanted.address} (make it first: pillarbox account add {wanted.address})"
            except (StoreError, BackupError) as error:
                return str(error)
            finally:
                nursery.cancel_scope.cancel()
        return ""

    failure = trio.run(session)
    if failure:
        raise BackupError(failure)
    return attrs.asdict(result)


def _client(data: Path) -> RpcClient:
    paths = DataPaths(data)
    return RpcClient(
        lambda: connect_unix(str(paths.socket)),
        Role.ADMIN.value,
        paths.service_key(Role.ADMIN).read_bytes,
        "pillarbox-restore",
        Logger("pillarbox", Level.ERROR, as_json=False),
        WAIT_SECONDS,
    )
