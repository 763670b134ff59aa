"""What the store does while its disk is watched: several clients at once over the real RPC, each going its own seeded way.

Every client that changes mailboxes has an account of its own, so that after each of its calls it knows what there must be to the last
flag. INBOXes are shared: deliveries come in, their owner moves mail out, one has a rule of retention. What was acknowledged is marked
in the log of the disk right after the answer came.
"""

import hashlib
import os
import pickle
import random
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import trio
from disk import mark_bytes

from shared.contract.append_types import NewMessage
from shared.contract.mailbox_types import ListScope
from shared.contract.registry import Role
from shared.contract.retention_types import RetentionRule
from shared.contract.types import (
    Bounce,
    ContentSource,
    Delivery,
    DeliveryResult,
    FlagOperation,
    LocalRecipient,
    Outcome,
    OutcomeKind,
    RemoteRecipient,
)
from shared.errors import GrantExpired, StoreError
from shared.model.flags import SYSTEM_FLAG_NAMES, SystemFlag
from shared.model.ids import Grant, MailboxId, ModSeq, Uid
from shared.model.message_index import MessageIndex
from shared.model.packed import pack_u32, unpack_u32
from shared.rpc.store_client import StoreClient
from shared.testing.stack import DOMAIN, PASSWORD, open_client

_EVERYTHING = ListScope()
INDEX = MessageIndex(1, b"e", b"s", b"b", b"p", b"m")
OWNERS = tuple(f"u{number}@{DOMAIN}" for number in range(4))
KEEPER, SENDER = f"keeper@{DOMAIN}", f"sender@{DOMAIN}"
"""Whose INBOX keeps the newest NEWEST; who is told of what could not be sent."""
NEWEST = 25
DELIVERERS = 6
AGAIN_SECONDS = 0.01
"""Between two tries."""
LONG = 4
"""Messages above which a client rather takes some away."""


@cache
def digest_of(number: int) -> bytes:
    """As the store names a content."""
    return hashlib.blake2b(content(number), digest_size=32).digest()


def content(number: int) -> bytes:
    """Some are long enough to be uploaded; numbers that are equal modulo a few thousand are the same message."""
    rng = random.Random(number)
    octets = rng.choice((300_000, 500_000)) if number % 40 == 7 else rng.randrange(60, 6000)
    return b"message %d\r\n" % number + rng.randbytes(octets // 2) + bytes(octets // 2)


@attrs.define
class Box:
    """A mailbox as its owner knows it."""

    mailbox_id: int
    uidvalidity: int
    uid_next: int = 1
    messages: dict[int, tuple[int, int]] = attrs.field(factory=dict)
    """UID -> (number of the content, flags)"""

    def add(self, uid: int, message: tuple[int, int]) -> None:
        assert uid == self.uid_next, f"UID {uid} where {self.uid_next} was next"
        self.messages[uid] = message
        self.uid_next = uid + 1


@attrs.define
class Owned:
    """What an account holds beside its INBOX, and what left its INBOX."""

    boxes: dict[str, Box] = attrs.field(factory=dict)
    taken: frozenset[int] = frozenset()

    def copy(self) -> "Owned":
        boxes = {name: attrs.evolve(box, messages=dict(box.messages)) for name, box in self.boxes.items()}
        return Owned(boxes, self.taken)


@attrs.frozen
class Sent:
    """What smtp_out has done: entries that are over, messages to the sender."""

    gone: frozenset[int] = frozenset()
    bounces: int = 0


@attrs.frozen
class Delivered:
    number: int
    copies: tuple[tuple[int, int], ...]
    """(mailbox, UID)"""
    entries: tuple[int, ...]


@attrs.define
class History:
    """All that was acknowledged. States of a client: the first is that before its first call."""

    owned: dict[str, list[Owned]] = attrs.field(factory=dict)
    sent: list[Sent] = attrs.field(factory=lambda: [Sent()])
    deliveries: list[Delivered] = attrs.field(factory=list)
    inboxes: dict[str, int] = attrs.field(factory=dict)

    def save(self, path: Path) -> None:
        path.write_bytes(pickle.dumps(self))


class Load:
    """All clients."""

    def __init__(self, data_dir: Path, log: Path, seed: int) -> None:
        self.data_dir = data_dir
        self.seed = seed
        self.history = History()
        self.calls = 0
        self.refused = 0
        """Calls that the store answered with a temporary error: nothing of them has happened."""
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND)
        self._next = 0

    def mark(self, *what: Any) -> None:
        os.write(self._log, mark_bytes(what))
        self.calls += 1

    async def patiently(self, call: Callable[[], Awaitable[bool]]) -> bool:
        """False where the store says that it cannot now. Raises what is no temporary error."""
        try:
            return await call()
        except StoreError as error:
            if not error.temporary:
                raise
            self.refused += 1
            await trio.sleep(AGAIN_SECONDS)
            return False

    def number(self, rng: random.Random) -> int:
        """Of the next content; some are there already."""
        if self._next > 20 and rng.random() < 0.1:
            return rng.randrange(self._next)
        self._next += 1
        return self._next

    async def setup(self) -> None:
        """Accounts, mailboxes, the rule."""
        async with open_client(self.data_dir, Role.ADMIN) as admin, open_client(self.data_dir, Role.IMAP) as imap:
            async with trio.open_nursery() as nursery:
                for address in (*OWNERS, KEEPER, SENDER):
                    nursery.start_soon(admin.admin.account_add, address, PASSWORD)
            await admin.retention.set(RetentionRule(KEEPER, "INBOX", None, NEWEST))
            for address in (*OWNERS, KEEPER, SENDER):
                grant = (await imap.auth.login(address, PASSWORD, "127.0.0.1")).grant
                self.history.inboxes[address] = (await imap.mailboxes.status(grant, "INBOX")).mailbox_id
                if address in OWNERS:
                    owned = Owned()
                    for info in (await imap.mailboxes.list(grant, "", _EVERYTHING)).mailboxes:
                        if info.name != "INBOX":
                            owned.boxes[info.name] = Box(info.mailbox_id, info.uidvalidity)
                    self.history.owned[address] = [owned]
        self.mark("setup")

    async def run(self, calls: int) -> None:
        """About so many acknowledged calls."""
        await self._run(lambda: self.calls < calls)

    async def run_until(self, done: trio.Event) -> None:
        await self._run(lambda: not done.is_set())

    async def _run(self, more: Callable[[], bool]) -> None:
        async with (
            open_client(self.data_dir, Role.SMTP_IN) as smtp_in,
            open_client(self.data_dir, Role.SMTP_OUT) as smtp_out,
            open_client(self.data_dir, Role.IMAP) as imap,
            trio.open_nursery() as nursery,
        ):
            for number in range(DELIVERERS):
                nursery.start_soon(self._deliver, smtp_in, random.Random(f"{self.seed} d{number}"), more)
            for address in OWNERS:
                nursery.start_soon(Owner(self, imap, address).run, more)
            nursery.start_soon(self._send, smtp_out, random.Random(f"{self.seed} s"), more)

    async def _deliver(self, store: StoreClient, rng: random.Random, more: Callable[[], bool]) -> None:
        accounts = {address: (await store.directory.resolve(address)).accounts[0] for address in (*OWNERS, KEEPER)}
        async def one() -> bool:
            number = self.number(rng)
            local = rng.sample(sorted(accounts), rng.choice((0, 1, 1, 1, 2, 3)))
            count = 1 if not local or rng.random() < 0.3 else 0
            remote = tuple(RemoteRecipient(f"r{number}.{n}@far{rng.randrange(3)}.test") for n in range(count))
            recipients = tuple(LocalRecipient(accounts[address], address) for address in local)

            async def use(
                source: ContentSource, to: tuple[LocalRecipient, ...] = recipients, far: tuple[RemoteRecipient, ...] = remote
            ) -> DeliveryResult:
                return await store.messages.deliver(Delivery("t", SENDER, to, far, source, INDEX))

            result = await store.with_content(content(number), use)
            copies = tuple((copy.mailbox_id, copy.uid) for copy in result.copies)
            self.history.deliveries.append(Delivered(number, copies, result.entries))
            self.mark("delivered", len(self.history.deliveries) - 1)
            return True

        while more():
            await self.patiently(one)

    async def _send(self, store: StoreClient, rng: random.Random, more: Callable[[], bool]) -> None:
        async def one() -> bool:
            lease = await store.queue.lease("w", rng.randrange(1, 8), 0.5, ())
            outcomes, bounces, gone = [], [], set()
            for entry in lease.entries:
                kind = rng.choice((OutcomeKind.DELIVERED, OutcomeKind.DEFERRED, OutcomeKind.RELEASED, OutcomeKind.FAILED))
                outcomes.append(Outcome(entry.entry_id, kind, text="so"))
                if kind in (OutcomeKind.DELIVERED, OutcomeKind.FAILED):
                    gone.add(entry.entry_id)
                if kind is OutcomeKind.FAILED:
                    number = self.number(rng)
                    while number % 40 == 7:
                        number = self.number(rng)
                    data = content(number)
                    bounces.append(Bounce(SENDER, ContentSource(len(data), inline=data), INDEX, "t"))
            if outcomes:
                await store.queue.report("w", tuple(outcomes), tuple(bounces))
                last = self.history.sent[-1]
                self.history.sent.append(Sent(last.gone | gone, last.bounces + len(bounces)))
                self.mark("sent", len(self.history.sent) - 1)
            else:
                await trio.sleep(0.05)
            return True

        while more():
            await self.patiently(one)


_FLAGS = sorted(SYSTEM_FLAG_NAMES)


class Owner:
    """One who reads and files his own mail."""

    def __init__(self, load: Load, store: StoreClient, address: str) -> None:
        self._load = load
        self._store = store
        self._address = address
        self._rng = random.Random(f"{load.seed} {address}")
        self._grant = Grant(b"")
        self._now = load.history.owned[address][0].copy()
        self._inbox = MailboxId(load.history.inboxes[address])
        self._names = 0

    async def run(self, more: Callable[[], bool]) -> None:
        await self._log_in()
        ways: tuple[Callable[[], Awaitable[bool]], ...] = (
            self._append, self._append, self._append_all, self._flags, self._flags, self._copy, self._move, self._expunge, self._take,
            self._create, self._delete, self._rename,
        )  # fmt: skip
        states = self._load.history.owned[self._address]
        while more():
            try:
                changed = await self._load.patiently(self._rng.choice(ways))
            except GrantExpired:
                await self._log_in()
                continue
            if changed:
                states.append(self._now.copy())
                self._load.mark("owned", self._address, len(states) - 1)

    async def _log_in(self) -> None:
        self._grant = (await self._store.auth.login(self._address, PASSWORD, "127.0.0.1")).grant

    def _box(self, *, filled: bool = False) -> Box | None:
        """Any mailbox; ``filled``: one with messages, if there is one."""
        boxes = [self._now.boxes[name] for name in sorted(self._now.boxes) if self._now.boxes[name].messages or not filled]
        return self._rng.choice(boxes) if boxes else None

    def _some(self, box: Box) -> list[int]:
        uids = sorted(box.messages)
        return sorted(self._rng.sample(uids, self._rng.randint(1, min(len(uids), 5))))

    def _bits(self) -> tuple[tuple[str, ...], int]:
        names = tuple(self._rng.sample(_FLAGS, self._rng.randrange(3)))
        return names, sum(SYSTEM_FLAG_NAMES[name] for name in names)

    async def _append(self) -> bool:
        box = self._box()
        assert box is not None
        number = self._load.number(self._rng)
        names, bits = self._bits()

        async def use(source: ContentSource) -> int:
            return (await self._store.messages.append(self._grant, MailboxId(box.mailbox_id), names, 7, source, INDEX)).uid

        box.add(await self._store.with_content(content(number), use), (number, bits))
        return True

    async def _append_all(self) -> bool:
        """Several at once, all of them or none."""
        box = self._box()
        assert box is not None
        numbers = [self._load.number(self._rng) for _ in range(self._rng.randint(2, 5))]
        names, bits = self._bits()

        async def attempt() -> bytes:
            messages = []
            for number in numbers:
                source = await self._store.put_content(content(number))
                messages.append(NewMessage(names, 7, source, INDEX))
            return (await self._store.messages.append_all(self._grant, MailboxId(box.mailbox_id), tuple(messages), None)).uids

        uids = await self._store.again_when_forgotten(attempt)
        for uid, number in zip(unpack_u32(uids), numbers, strict=True):
            box.add(uid, (number, bits))
        return True

    async def _flags(self) -> bool:
        box = self._box(filled=True)
        if box is None:
            return False
        uids, operation = self._some(box), self._rng.choice(list(FlagOperation))
        names, bits = self._bits()
        await self._store.messages.store_flags(
            self._grant, MailboxId(box.mailbox_id), pack_u32(uids), operation, names, None
        )
        for uid in uids:
            number, old = box.messages[uid]
            new = {FlagOperation.ADD: old | bits, FlagOperation.REMOVE: old & ~bits, FlagOperation.REPLACE: bits}[operation]
            box.messages[uid] = (number, new)
        return True

    async def _copy(self) -> bool:
        box, target = self._box(filled=True), self._box()
        if box is None or target is None or len(target.messages) > 4 * LONG:
            return False
        uids = self._some(box)
        result = await self._store.messages.copy(
            self._grant, MailboxId(box.mailbox_id), pack_u32(uids), MailboxId(target.mailbox_id)
        )
        for source, uid in zip(unpack_u32(result.sources), unpack_u32(result.targets), strict=True):
            target.add(uid, box.messages[source])
        return True

    async def _move(self) -> bool:
        box, target = self._box(filled=True), self._box()
        if box is None or target is None or box is target:
            return False
        result = await self._store.messages.move(
            self._grant, MailboxId(box.mailbox_id), pack_u32(self._some(box)), MailboxId(target.mailbox_id)
        )
        for source, uid in zip(unpack_u32(result.sources), unpack_u32(result.targets), strict=True):
            target.add(uid, box.messages.pop(source))
        return True

    async def _expunge(self) -> bool:
        """Those that are marked, or some by their UIDs, more where there are many."""
        box = self._box(filled=True)
        if box is None:
            return False
        if self._rng.random() < 0.3:
            result = await self._store.messages.expunge(self._grant, MailboxId(box.mailbox_id), None, True)
            expected = {uid for uid, (_, flags) in box.messages.items() if flags & SystemFlag.DELETED}
        else:
            many = sorted(box.messages)[: max(0, len(box.messages) - LONG)]
            expected = {*self._some(box), *many}
            result = await self._store.messages.expunge(
                self._grant, MailboxId(box.mailbox_id), pack_u32(sorted(expected)), False
            )
        assert set(unpack_u32(result.uids)) == expected
        for uid in expected:
            del box.messages[uid]
        return True

    async def _take(self) -> bool:
        """File what came into the INBOX."""
        target = self._box()
        page = await self._store.messages.changes(self._grant, self._inbox, ModSeq(0), Uid(0), 1000)
        uids = unpack_u32(page.uids).tolist()[:8]
        if target is None or not uids or len(target.messages) > 6 * LONG:
            return False
        result = await self._store.messages.move(
            self._grant, self._inbox, pack_u32(uids), MailboxId(target.mailbox_id)
        )
        sources = unpack_u32(result.sources).tolist()
        for source, uid in zip(sources, unpack_u32(result.targets), strict=True):
            target.add(uid, (-source, 0))
        self._now.taken |= frozenset(sources)
        return True

    async def _create(self) -> bool:
        if len(self._now.boxes) > 8:
            return False
        self._names += 1
        name = f"Box {self._names}"
        info = await self._store.mailboxes.create(self._grant, name, "")
        self._now.boxes[name] = Box(info.mailbox_id, info.uidvalidity)
        return True

    async def _delete(self) -> bool:
        names = [name for name in sorted(self._now.boxes) if name.startswith("Box")]
        if len(names) < 3:
            return False
        name = self._rng.choice(names)
        await self._store.mailboxes.delete(self._grant, name)
        del self._now.boxes[name]
        return True

    async def _rename(self) -> bool:
        names = [name for name in sorted(self._now.boxes) if name.startswith("Box")]
        if not names:
            return False
        self._names += 1
        old, new = self._rng.choice(names), f"Box {self._names}"
        await self._store.mailboxes.rename(self._grant, old, new)
        self._now.boxes[new] = self._now.boxes.pop(old)
        return True
