"""The index beside a running store: kept up in the background, right at every instant, mended by itself."""

import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from shared.contract.registry import Role
from shared.contract.search_types import SearchScope, SearchStatus, SearchTerm
from shared.contract.types import ContentSource, Delivery, DeliveryResult, LocalRecipient
from shared.errors import BadRequest
from shared.mail.index import build_index
from shared.model.ids import AccountId, Grant, MailboxId
from shared.model.packed import unpack_u32
from shared.rpc.store_client import StoreClient
from shared.testing.stack import PASSWORD, Stack, open_client

AT_ONCE = {"PILLARBOX_STORE__SEARCH_WAIT_SECONDS": "0"}
ADDRESS = "alice@example.test"
LAST = 2**32 - 1


def mail(number: int) -> bytes:
    return b"Subject: message %d\r\n\r\nthe needle of %d in its haystack\r\n" % (number, number)


@attrs.frozen
class World:
    stack: Stack
    admin: StoreClient
    smtp_in: StoreClient
    imap: StoreClient
    account: AccountId
    grant: Grant
    inbox: MailboxId

    async def deliver(self, content: bytes) -> DeliveryResult:
        async def use(source: ContentSource) -> DeliveryResult:
            recipients = (LocalRecipient(self.account, ADDRESS),)
            return await self.smtp_in.messages.deliver(
                Delivery("t", "s@x.test", recipients, (), source, build_index(content))
            )

        return await self.smtp_in.with_content(content, use)

    async def find(self, text: str, scope: SearchScope = SearchScope.TEXT) -> tuple[list[int], list[int]]:
        answer = await self.imap.search.find(self.grant, self.inbox, SearchTerm(scope, text), 1, LAST)
        return unpack_u32(answer.uids).tolist(), unpack_u32(answer.unindexed).tolist()

    async def indexed(self, count: int) -> SearchStatus:
        """Return when that many contents are in the index and none waits."""
        while True:
            status = await self.admin.admin.search_status()
            if not status.tail and status.indexed >= count and not status.running and not status.rebuilding:
                return status
            await trio.sleep(0.02)

    def children(self) -> list[int]:
        """Process ids of indexers."""
        popen = self.stack["store"].popen
        assert popen is not None
        found = []
        for thread in Path(f"/proc/{popen.pid}/task").iterdir():
            try:
                found += [int(pid) for pid in (thread / "children").read_text().split()]
            except FileNotFoundError:
                continue
        return found

    async def child(self) -> int:
        """Return when an indexer runs; its process id."""
        while not (found := self.children()):
            await trio.sleep(0.002)
        return found[0]

    @property
    def search(self) -> Path:
        return self.stack.data_dir / "store" / "search"


@asynccontextmanager
async def open_world(stack: Stack) -> AsyncIterator[World]:
    async with (
        open_client(stack.data_dir, Role.ADMIN) as admin,
        open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
        open_client(stack.data_dir, Role.IMAP) as imap,
    ):
        login = await imap.auth.login(ADDRESS, PASSWORD, "127.0.0.1")
        state = await imap.mailboxes.status(login.grant, "INBOX")
        with trio.fail_after(60):
            yield World(stack, admin, smtp_in, imap, login.account_id, login.grant, state.mailbox_id)


@pytest.fixture
def stack(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    settings = getattr(request, "param", AT_ONCE)
    with Stack(tmp_path / "data", services=(), settings=settings) as stack:
        stack.add_account(ADDRESS)
        yield stack


def run(stack: Stack, scenario: object) -> None:
    async def main() -> None:
        async with open_world(stack) as world:
            await scenario(world)  # type: ignore[operator]

    trio.run(main)


def test_index_while_delivering(stack: Stack) -> None:
    """Whoever asks finds every message that was acknowledged, indexed or told as unindexed, each once."""

    async def scenario(world: World) -> None:
        acknowledged: list[int] = []
        done = trio.Event()

        async def deliver(numbers: range) -> None:
            for number in numbers:
                acknowledged.append((await world.deliver(mail(number))).copies[0].uid)

        async def search() -> None:
            while not done.is_set():
                before = set(acknowledged)
                matched, unindexed = await world.find("needle")
                assert not set(matched) & set(unindexed)
                assert before <= {*matched, *unindexed}
                assert not (await world.find("no such word"))[0]

        async with trio.open_nursery() as nursery:
            nursery.start_soon(search)
            async with trio.open_nursery() as deliverers:
                for worker in range(4):
                    deliverers.start_soon(deliver, range(worker * 50, worker * 50 + 50))
            status = await world.indexed(200)
            done.set()
        assert (status.indexed, status.tail, status.failure) == (200, 0, "")
        assert status.octets > 0
        assert await world.find("needle") == (sorted(acknowledged), [])
        assert len((await world.find("needle of 17 in"))[0]) == 1

    run(stack, scenario)


def test_killed_indexers_are_started_again(stack: Stack) -> None:
    async def scenario(world: World) -> None:
        for number in range(30):
            await world.deliver(mail(number))
        for _ in range(2):
            await world.admin.admin.search_rebuild()
            with contextlib.suppress(ProcessLookupError):
                os.kill(await world.child(), signal.SIGKILL)
            matched, unindexed = await world.find("needle")
            assert sorted(matched + unindexed) == list(range(1, 31))
        await world.indexed(30)
        assert await world.find("needle") == (list(range(1, 31)), [])

    run(stack, scenario)


def test_deleted_files_are_made_again(stack: Stack) -> None:
    async def scenario(world: World) -> None:
        for number in range(20):
            await world.deliver(mail(number))
        await world.indexed(20)
        shutil.rmtree(world.search)
        # one delivery more makes the indexer run, and the store look
        await world.deliver(mail(20))
        await world.indexed(21)
        assert await world.find("needle") == (list(range(1, 22)), [])
        assert list(world.search.glob("*.grams"))

    run(stack, scenario)


def test_damage_that_a_search_meets_is_mended(stack: Stack) -> None:
    async def scenario(world: World) -> None:
        for number in range(20):
            await world.deliver(mail(number))
        await world.indexed(20)
        (texts,) = world.search.glob("*.text")
        texts.write_bytes(bytes(texts.stat().st_size))
        assert await world.find("needle") == ([], list(range(1, 21)))
        while (await world.find("needle")) != (list(range(1, 21)), []):
            await trio.sleep(0.02)

    run(stack, scenario)


def test_a_disk_that_takes_nothing_stops_no_search(stack: Stack) -> None:
    async def scenario(world: World) -> None:
        world.search.write_text("in the way")
        await world.deliver(mail(1))
        while not (status := await world.admin.admin.search_status()).failure:
            await trio.sleep(0.02)
        assert (status.indexed, status.tail) == (0, 1)
        assert await world.find("needle") == ([], [1])
        world.search.unlink()
        # whoever asks for a rebuild does not wait for the pause after the failure
        assert (await world.admin.admin.search_rebuild()).failure == ""
        await world.indexed(1)
        assert await world.find("needle") == ([1], [])

    run(stack, scenario)


def test_the_indexer_ends_with_the_store(stack: Stack) -> None:
    async def scenario(world: World) -> None:
        await world.deliver(mail(1))
        await world.admin.admin.search_rebuild()
        pid = await world.child()
        stack["store"].kill()
        while Path(f"/proc/{pid}").exists() and _state(pid) != "Z":
            await trio.sleep(0.02)
        stack["store"].start()
        await world.indexed(1)

    run(stack, scenario)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def test_a_restarted_store_knows_its_index(stack: Stack) -> None:
    async def before(world: World) -> None:
        for number in range(5):
            await world.deliver(mail(number))
        await world.indexed(5)

    async def after(world: World) -> None:
        status = await world.admin.admin.search_status()
        while status.indexed != 5:  # until the files were looked at
            status = await world.admin.admin.search_status()
        assert await world.find("needle") == ([1, 2, 3, 4, 5], [])

    run(stack, before)
    stack["store"].stop()
    stack["store"].start()
    run(stack, after)


@pytest.mark.parametrize("stack", [{"PILLARBOX_STORE__SEARCH_WAIT_SECONDS": "3600"}], indirect=True)
def test_few_wait_and_a_rebuild_does_not(stack: Stack) -> None:
    async def scenario(world: World) -> None:
        await world.deliver(mail(1))
        assert await world.find("needle") == ([], [1])
        begun = await world.admin.admin.search_rebuild()
        assert begun.rebuilding
        status = await world.indexed(1)
        assert status.rebuilds == begun.rebuilds + 1
        assert await world.find("needle") == ([1], [])

    run(stack, scenario)


@pytest.mark.parametrize("stack", [{"PILLARBOX_STORE__SEARCH_INDEX": "false"}], indirect=True)
def test_turned_off(stack: Stack) -> None:
    async def scenario(world: World) -> None:
        await world.deliver(mail(1))
        assert await world.find("needle") == ([], [1])
        assert not (await world.admin.admin.search_status()).enabled
        with pytest.raises(BadRequest):
            await world.admin.admin.search_rebuild()
        assert not world.search.exists()

    run(stack, scenario)


def test_hostile_contents_cost_a_bounded_time(stack: Stack) -> None:
    """HTML that opens everything and closes nothing, and characters that fold to eighteen: indexed, or left to who searches."""

    async def scenario(world: World) -> None:
        html = b"Content-Type: text/html; charset=utf-8\r\n\r\n" + b"<!--<script><a " * 150_000
        many = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "ﷺ".encode() * 700_000
        await world.deliver(html)
        await world.deliver(many)
        await world.deliver(mail(3))
        await world.indexed(2)
        assert await world.find("needle") == ([3], [])

    run(stack, scenario)
