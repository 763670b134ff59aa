"""A restart keeps grants, watches and waiting callers; a drain loses nothing."""

import itertools
from collections.abc import Iterator

import pytest
import trio

from shared.contract.registry import Role
from shared.contract.types import ContentSource, Delivery, LocalRecipient
from shared.model.message_index import MessageIndex
from shared.testing.stack import PASSWORD, Stack, open_client

INDEX = MessageIndex(1, b"", b"", b"", b"", b"")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("restart") / "data", services=()) as running:
        yield running


_numbers = itertools.count(1)


@pytest.fixture
def address(own: Stack) -> str:
    """A fresh account."""
    made = f"user{next(_numbers)}@example.test"
    own.add_account(made)
    return made


def test_grants_and_watches_survive(own: Stack, address: str) -> None:
    async def main() -> None:
        with trio.fail_after(25):
            async with (
                open_client(own.data_dir, Role.IMAP) as imap,
                open_client(own.data_dir, Role.SMTP_IN) as smtp_in,
            ):
                login = await imap.auth.login(address, PASSWORD, "x")
                state = await imap.mailboxes.status(login.grant, "INBOX")
                async with imap.watch_mailbox(login.grant, state.mailbox_id) as watch:
                    await watch.wait()
                    own["store"].stop()
                    own["store"].start()
                    recipients = (LocalRecipient(login.account_id, address),)
                    content = ContentSource(1, inline=b"x")
                    await smtp_in.messages.deliver(Delivery("t", "", recipients, (), content, INDEX))
                    while watch.modseq <= state.highest_modseq:
                        await watch.wait()
                assert (await imap.mailboxes.status(login.grant, "INBOX")).messages == 1

    trio.run(main)


def test_a_drain_answers_what_is_under_way(own: Stack, address: str) -> None:
    """SIGTERM while deliveries run: the callers wait for the next process and get one answer each."""

    async def main() -> None:
        with trio.fail_after(25):
            async with (
                open_client(own.data_dir, Role.IMAP) as imap,
                open_client(own.data_dir, Role.SMTP_IN) as smtp_in,
            ):
                login = await imap.auth.login(address, PASSWORD, "x")
                recipients = (LocalRecipient(login.account_id, address),)
                uids: list[int] = []

                async def deliver(count: int) -> None:
                    for _ in range(count):
                        content = ContentSource(100, inline=b"x" * 100)
                        result = await smtp_in.messages.deliver(Delivery("t", "", recipients, (), content, INDEX))
                        uids.append(result.copies[0].uid)

                async with trio.open_nursery() as nursery:
                    for _ in range(20):
                        nursery.start_soon(deliver, 20)
                    while len(uids) < 40:
                        await trio.sleep(0.001)
                    await trio.to_thread.run_sync(own["store"].stop)
                    own["store"].start()
                assert sorted(uids) == list(range(1, 401))
                assert (await imap.mailboxes.status(login.grant, "INBOX")).messages == 400

    trio.run(main)
    assert "error" not in {line.split('"level": "')[1].split('"')[0] for line in own["store"].lines if '"level"' in line}


def test_watches_tell_of_everything(own: Stack, address: str) -> None:
    async def main() -> None:
        with trio.fail_after(25):
            async with open_client(own.data_dir, Role.IMAP) as imap:
                login = await imap.auth.login(address, PASSWORD, "x")
                state = await imap.mailboxes.status(login.grant, "INBOX")
                async with (
                    imap.watch_mailbox(login.grant, state.mailbox_id) as inbox,
                    imap.watch_account(login.grant) as account,
                ):
                    await inbox.wait()
                    await account.wait()
                    for _ in range(3):
                        result = await imap.messages.append(
                            login.grant, state.mailbox_id, (), None, ContentSource(1, inline=b"x"), INDEX
                        )
                        while inbox.modseq < result.modseq:
                            await inbox.wait()
                        await account.wait()
                    await imap.mailboxes.create(login.grant, "new", "")
                    await account.wait()

    trio.run(main)


@pytest.mark.parametrize("octets", [31, 33])
def test_a_key_of_another_length_stops_the_start(own: Stack, octets: int) -> None:
    own["store"].stop()
    (own.data_dir / "keys/imap/key").write_bytes(bytes(octets))
    with pytest.raises(Exception, match=r"32 octets|failed"):
        own["store"].start()
    (own.data_dir / "keys/imap/key").write_bytes(bytes(32))
    own["store"].start()
