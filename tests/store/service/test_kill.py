"""kill -9 of the store while deliveries are under way: nothing acknowledged is lost, nothing is doubled, no UID comes twice."""

import random
from pathlib import Path

import trio

from shared.contract.registry import Role
from shared.contract.types import ContentRange, ContentSource, Delivery, DeliveryResult, LocalRecipient, RemoteRecipient
from shared.errors import NoSuchUpload
from shared.model.ids import EntryId, Uid
from shared.model.message_index import MessageIndex
from shared.model.packed import unpack_u32
from shared.rpc.store_client import StoreClient
from shared.testing.stack import PASSWORD, Stack, open_client

INDEX = MessageIndex(1, b"e", b"s", b"b", b"p", b"m")
KILLS = 3
DELIVERERS = 12


def make_content(number: int) -> bytes:
    """Most are small; every tenth is large enough to be uploaded."""
    rng = random.Random(number)
    octets = 300_000 if number % 10 == 0 else rng.randrange(100, 5000)
    return b"message %d\r\n" % number + rng.randbytes(octets // 2) + bytes(octets // 2)


class Load:
    """Deliverers that go on until they are told to stop; what was acknowledged."""

    def __init__(self, store: StoreClient, account: int, address: str) -> None:
        self.store = store
        self.recipients = (LocalRecipient(account, address),)
        self.acknowledged: dict[int, DeliveryResult] = {}
        self.next = 0
        self.stopping = False
        self.progress = trio.Event()

    async def run(self) -> None:
        while not self.stopping:
            number = self.next
            self.next += 1
            remote = (RemoteRecipient(f"r{number}@far.test"),) if number % 3 == 0 else ()

            async def use(source: ContentSource, remote: tuple[RemoteRecipient, ...] = remote) -> DeliveryResult:
                return await self.store.messages.deliver(
                    Delivery("t", "s@x.test", self.recipients, remote, source, INDEX)
                )

            self.acknowledged[number] = await self.store.with_content(make_content(number), use)
            self.progress.set()

    async def wait_for(self, more: int) -> None:
        """Return when that many more were acknowledged."""
        goal = len(self.acknowledged) + more
        while len(self.acknowledged) < goal:
            self.progress = trio.Event()
            await self.progress.wait()


def test_kill_under_load(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data", services=(), settings={"PILLARBOX_STORE__PACK_OCTETS": "2000000"})
    stack.start()
    try:
        stack.add_account("alice@example.test")
        trio.run(scenario, stack)
    finally:
        stack.close()


async def scenario(stack: Stack) -> None:
    rng = random.Random(1)
    with trio.fail_after(50):
        async with open_client(stack.data_dir, Role.SMTP_IN) as store:
            account = (await store.directory.resolve("alice@example.test")).accounts[0]
            load = Load(store, account, "alice@example.test")
            async with trio.open_nursery() as nursery:
                for _ in range(DELIVERERS):
                    nursery.start_soon(load.run)
                for _ in range(KILLS):
                    await load.wait_for(rng.randrange(20, 50))
                    stack["store"].kill()
                    stack["store"].start()
                await load.wait_for(20)
                load.stopping = True
        await check(stack, load)


async def check(stack: Stack, load: Load) -> None:
    async with open_client(stack.data_dir, Role.IMAP) as imap, open_client(stack.data_dir, Role.ADMIN) as admin:
        grant = (await imap.auth.login("alice@example.test", PASSWORD, "x")).grant
        state = await imap.mailboxes.status(grant, "INBOX")
        page = await imap.messages.changes(grant, state.mailbox_id, 0, 0, 10_000)
        uids = unpack_u32(page.uids).tolist()
        assert len(load.acknowledged) == load.next > KILLS * 20
        by_uid = {result.copies[0].uid: number for number, result in load.acknowledged.items()}
        assert len(by_uid) == len(load.acknowledged), "a UID was given twice"
        assert uids == sorted(by_uid), "messages were lost or doubled"
        assert state.messages == state.unseen == len(uids)
        assert state.octets == sum(len(make_content(number)) for number in load.acknowledged)
        for uid in uids:
            read = b""
            expected = make_content(by_uid[uid])
            while len(read) < len(expected):
                (piece,) = await imap.messages.read(grant, state.mailbox_id, (ContentRange(Uid(uid), len(read)),))
                assert piece
                read += piece
            assert read == expected
        queued: list[str] = []
        after = EntryId(0)
        while items := await admin.admin.queue_list(after, 1000):
            queued += [item.recipient for item in items]
            after = items[-1].entry_id
        assert sorted(queued) == sorted(f"r{number}@far.test" for number in load.acknowledged if number % 3 == 0)


def test_a_forgotten_upload_is_told(tmp_path: Path) -> None:
    async def main(stack: Stack) -> None:
        with trio.fail_after(20):
            async with open_client(stack.data_dir, Role.SMTP_IN) as store:
                account = (await store.directory.resolve("alice@example.test")).accounts[0]
                content = await store.put_content(bytes(300_000))
                stack["store"].stop()
                stack["store"].start()
                recipients = (LocalRecipient(account, "alice@example.test"),)
                try:
                    await store.messages.deliver(Delivery("t", "", recipients, (), content, INDEX))
                except NoSuchUpload:
                    return
                raise AssertionError("a forgotten upload was taken")

    with Stack(tmp_path / "data", services=()) as stack:
        stack.add_account("alice@example.test")
        trio.run(main, stack)
        assert list((stack.data_dir / "store/uploads").iterdir()) == []
