"""The store's side: an account that mail moves into, or out of."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

import attrs

from shared.contract.contents import GONE_OCTETS
from shared.contract.mailbox_types import ListOnly, ListScope, MailboxInfo
from shared.contract.moving_types import DIGEST_OCTETS, MovedMessage, MovedResult
from shared.contract.sharing_types import Annotation, AnnotationDepth
from shared.contract.types import CHUNK_OCTETS, MAX_INLINE_OCTETS, ContentSource, FlagOperation, MailboxState
from shared.errors import MailboxExists, NoSuchMailbox, NoSuchMessage
from shared.model.flags import flag_names
from shared.model.ids import AccountId, Grant, MailboxId, ModSeq, Uid
from shared.model.message_index import MessageIndex
from shared.model.packed import pack_u32, unpack_i64, unpack_u32, unpack_u64
from shared.moving.plan import Here
from shared.rpc.store_client import StoreClient

INLINE_OCTETS: Final = 600 * 1024
"""Of contents and indexes in one call; what comes beyond it is uploaded before."""
BATCH_MESSAGES: Final = 500
BATCH_UPLOADS: Final = 8
BATCH_OCTETS: Final = 16 * 1024 * 1024
PAGE_MESSAGES: Final = 20_000


@attrs.frozen
class Arriving:
    """A message to be filed."""

    uid: int
    flags: tuple[str, ...]
    internal_date: int
    uidl: str
    content: bytes = attrs.field(repr=False)
    index: MessageIndex = attrs.field(repr=False)

    @property
    def octets(self) -> int:
        """What it takes in a call."""
        index = self.index
        columns = (index.envelope, index.bodystructure, index.body, index.parts, index.summary)
        return len(self.content) + sum(map(len, columns)) + 200


@attrs.frozen
class Stored:
    """A message of a mailbox."""

    uid: int
    flags: tuple[str, ...]
    octets: int
    internal_date: int
    uidl: str
    digest: bytes


class Batch:
    """Messages of one call."""

    def __init__(self) -> None:
        self.messages: list[Arriving] = []
        self.inline: list[bool] = []
        self._room = INLINE_OCTETS
        self._octets = 0

    def has_room(self, message: Arriving) -> bool:
        """Whether one more may be added."""
        if not self.messages:
            return True
        uploads = self.inline.count(False) + (not self._fits(message))
        return (
            len(self.messages) < BATCH_MESSAGES
            and uploads <= BATCH_UPLOADS
            and self._octets + message.octets <= BATCH_OCTETS
            # small messages wait for the next call rather than being uploaded
            and (self._fits(message) or message.octets > MAX_INLINE_OCTETS)
        )

    def _fits(self, message: Arriving) -> bool:
        return message.octets <= min(self._room, MAX_INLINE_OCTETS)

    def add(self, message: Arriving) -> None:
        fits = self._fits(message)
        self.inline.append(fits)
        self.messages.append(message)
        self._octets += message.octets
        if fits:
            self._room -= message.octets


class Account:
    """One account, as the administrator has it. ``await Account.enter(store, address)``."""

    def __init__(self, store: StoreClient, account_id: AccountId, address: str, grant: Grant) -> None:
        self.store = store
        self.account_id = account_id
        self.address = address
        self._grant = grant

    @classmethod
    async def enter(cls, store: StoreClient, address: str) -> "Account":
        """Raises NotFound."""
        entered = await store.moving.enter(address)
        return cls(store, entered.account_id, entered.address, entered.grant)

    async def mailboxes(self) -> list[MailboxInfo]:
        """Its own, by name."""
        found = await self._listed(ListScope())
        return [info for info in found if info.mailbox_id]

    async def subscriptions(self) -> list[str]:
        """Names that are subscribed."""
        return [info.name for info in await self._listed(ListScope(ListOnly.SUBSCRIBED))]

    async def _listed(self, scope: ListScope) -> list[MailboxInfo]:
        infos: list[MailboxInfo] = []
        after = ""
        while True:
            page = await self.store.mailboxes.list(self._grant, after, scope)
            infos += page.mailboxes
            after = page.next
            if not after:
                return infos

    async def subscribe(self, name: str) -> None:
        """Raises InvalidMailboxName, LimitExceeded."""
        await self.store.mailboxes.subscribe(self._grant, name, True)

    async def state(self, name: str) -> MailboxState | None:
        """None: there is no such mailbox."""
        try:
            return await self.store.mailboxes.status(self._grant, name)
        except NoSuchMailbox:
            return None

    async def made(self, name: str) -> MailboxState:
        """The mailbox, made if need be. Raises InvalidMailboxName, LimitExceeded."""
        state = await self.state(name)
        if state is None:
            try:
                await self.store.mailboxes.create(self._grant, name, "")
            except MailboxExists:
                pass
            state = await self.store.mailboxes.status(self._grant, name)
        return state

    async def adopt(self, mailbox_id: MailboxId, uidvalidity: int) -> int:
        """The UIDVALIDITY that it has now."""
        return await self.store.moving.adopt(self._grant, mailbox_id, uidvalidity)

    async def stored(self, state: MailboxState) -> tuple[list[Stored], list[int]]:
        """All messages of a mailbox, and the UIDs that were expunged."""
        narrow = {row[0]: row async for row in self._changes(state.mailbox_id)}
        messages: list[Stored] = []
        vanished: list[int] = []
        after = 0
        while True:
            page = await self.store.moving.identities(self._grant, state.mailbox_id, Uid(after))
            vanished += unpack_u32(page.vanished)
            uids = unpack_u32(page.uids)
            for position, (uid, uidl) in enumerate(zip(uids, page.uidls, strict=True)):
                if uid in narrow:
                    digest = page.digests[position * DIGEST_OCTETS : (position + 1) * DIGEST_OCTETS]
                    messages.append(Stored(*narrow[uid], uidl, digest))
            if not page.more:
                return messages, vanished
            after = uids[-1]

    async def here(self, state: MailboxState) -> tuple[list[Here], list[int]]:
        """``stored``, as a plan needs it."""
        messages, vanished = await self.stored(state)
        return [Here(each.uid, each.uidl, each.digest, each.flags, each.internal_date, each.octets) for each in messages], vanished

    async def _changes(self, mailbox_id: MailboxId) -> AsyncIterator[tuple[int, tuple[str, ...], int, int]]:
        """UID, flags, octets, internal date of all messages."""
        after = 0
        while True:
            page = await self.store.messages.changes(self._grant, mailbox_id, ModSeq(0), Uid(after), PAGE_MESSAGES)
            names = {bits: tuple(flag_names(bits, page.keywords)) for bits in set(unpack_u64(page.flags))}
            rows = zip(
                unpack_u32(page.uids), unpack_u64(page.flags), unpack_u32(page.sizes), unpack_i64(page.internal_dates), strict=True
            )
            for uid, bits, octets, date in rows:
                after = uid
                yield uid, names[bits], octets, date
            if not page.more:
                return

    async def file(self, mailbox_id: MailboxId, batch: Batch, uid_next: int, *, over_quota: bool) -> MovedResult:
        """All of a batch in one transaction; durable on return. Raises StoreError."""

        async def attempt() -> MovedResult:
            moved: list[MovedMessage] = []
            try:
                for message, inline in zip(batch.messages, batch.inline, strict=True):
                    moved.append(await self._moved(message, inline=inline))
                return await self.store.moving.file(self._grant, mailbox_id, tuple(moved), Uid(uid_next), over_quota)
            except BaseException:
                for one in moved:
                    self.store.drop_content(one.content)
                raise

        return await self.store.again_when_forgotten(attempt)

    async def _moved(self, message: Arriving, *, inline: bool) -> MovedMessage:
        content = message.content
        if inline:
            source = ContentSource(len(content), inline=content)
        else:
            source = await self.store.put_content(content, upload=True)
            await self.store.content.describe_upload(source.upload or b"", message.index)
        index = message.index if inline else None
        return MovedMessage(Uid(message.uid), message.flags, message.internal_date, message.uidl, source, index)

    async def set_flags(self, mailbox_id: MailboxId, uids: Sequence[int], flags: tuple[str, ...]) -> None:
        """Raises LimitExceeded."""
        for start in range(0, len(uids), PAGE_MESSAGES):
            piece = pack_u32(sorted(uids[start : start + PAGE_MESSAGES]))
            await self.store.messages.store_flags(self._grant, mailbox_id, piece, FlagOperation.REPLACE, flags, None)

    async def changed_since(self, mailbox_id: MailboxId, modseq: int) -> list[int]:
        """UIDs of messages that were changed, or came, after a modseq."""
        uids: list[int] = []
        while True:
            after = Uid(uids[-1] if uids else 0)
            page = await self.store.messages.changes(self._grant, mailbox_id, ModSeq(modseq), after, PAGE_MESSAGES)
            uids += unpack_u32(page.uids)
            if not page.more:
                return uids

    async def expunge(self, mailbox_id: MailboxId, uids: Sequence[int]) -> None:
        """Remove messages."""
        for start in range(0, len(uids), PAGE_MESSAGES):
            piece = pack_u32(sorted(uids[start : start + PAGE_MESSAGES]))
            await self.store.messages.expunge(self._grant, mailbox_id, piece, False)

    async def annotation(self, name: str, entry: str) -> bytes | None:
        """A value of a mailbox's."""
        found = await self.store.sharing.get_metadata(self._grant, (name,), (entry,), AnnotationDepth.ZERO, None)
        entries = found[0].entries if found and found[0] is not None else ()
        return next((each.value for each in entries if each.name == entry), None)

    async def annotate(self, name: str, entry: str, value: bytes) -> None:
        """Raises TooLarge, LimitExceeded, NoSuchMailbox."""
        await self.store.sharing.set_metadata(self._grant, name, (Annotation(entry, value),))

    async def contents(self, mailbox_id: MailboxId, messages: Sequence[Stored]) -> AsyncIterator[tuple[Stored, bytes]]:
        """Whole messages, in the order asked; those that are gone meanwhile are left out."""
        position = 0
        while position < len(messages):
            group = messages[position : position + BATCH_MESSAGES]
            if group[0].octets > CHUNK_OCTETS:
                yield group[0], await self._large(mailbox_id, group[0])
                position += 1
                continue
            uids = pack_u32([each.uid for each in group])
            found = await self.store.messages.read_many(self._grant, mailbox_id, uids, b"", b"")
            data = memoryview(found.data.joined())
            offset = 0
            for stored, octets in zip(group, unpack_u32(found.lengths), strict=False):
                position += 1
                if octets == GONE_OCTETS:
                    continue
                if octets < stored.octets:
                    # the answer is full: from here on it is asked for again
                    position -= 1
                    break
                yield stored, bytes(data[offset : offset + octets])
                offset += octets

    async def _large(self, mailbox_id: MailboxId, stored: Stored) -> bytes:
        """In pieces. Raises NoSuchMessage."""
        content = bytearray()
        while len(content) < stored.octets:
            start, octets = pack_u32([len(content)]), pack_u32([CHUNK_OCTETS])
            found = await self.store.messages.read_many(self._grant, mailbox_id, pack_u32([stored.uid]), start, octets)
            if unpack_u32(found.lengths)[0] in {0, GONE_OCTETS}:
                raise NoSuchMessage
            content += found.data.joined()
        return bytes(content)
