"""Daily limits in the running store: decided with the submit, counted once, never exceeded side by side, told once a day."""

from collections.abc import Iterator

import pytest
import trio

from shared.contract.registry import Role
from shared.contract.sending_types import SendingAllowance, SendingLimit
from shared.contract.types import ContentSource, Delivery, RemoteRecipient
from shared.errors import BadRequest, GrantExpired, MessagesReached, NewRecipientsReached, NotFound, SendingLimitReached
from shared.model.ids import AccountId, EntryId, Grant
from shared.model.message_index import MessageIndex
from shared.rpc.store_client import StoreClient
from shared.testing import trio_test
from shared.testing.stack import PASSWORD, Stack, open_client

INDEX = MessageIndex(20, b"envelope", b"structure", b"body", b"parts", b"summary")
SETTINGS = {
    "PILLARBOX_LIMITS__MESSAGES_PER_DAY": "20",
    "PILLARBOX_LIMITS__NEW_RECIPIENTS_PER_DAY": "5",
    "PILLARBOX_SERVER__HOSTNAME": "mx.example.test",
}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("sending") / "data", services=(), settings=SETTINGS) as running:
        yield running


async def login(store: StoreClient, address: str) -> tuple[AccountId, Grant]:
    entered = await store.auth.login(address, PASSWORD, "127.0.0.1")
    return entered.account_id, entered.grant


async def submit(store: StoreClient, account: AccountId, *recipients: str) -> None:
    content = b"Subject: x\r\n\r\n" + " ".join(recipients).encode()
    remote = tuple(RemoteRecipient(address) for address in recipients)
    source = ContentSource(len(content), inline=content)
    await store.messages.deliver(Delivery("t", "s@example.test", (), remote, source, INDEX, account_id=account))


async def inbox(stack: Stack, address: str) -> int:
    async with open_client(stack.data_dir, Role.IMAP) as imap:
        _, grant = await login(imap, address)
        return (await imap.mailboxes.status(grant, "INBOX")).messages


@trio_test
async def test_submits_are_counted_and_refused(limited: Stack) -> None:
    async with open_client(limited.data_dir, Role.ADMIN) as admin, open_client(limited.data_dir, Role.SMTP_IN) as edge:
        address = "one@example.test"
        await admin.admin.account_add(address, PASSWORD)
        account, grant = await login(edge, address)
        assert await edge.sending.allowance(grant) == SendingAllowance(20, 5)
        await submit(edge, account, "a@x.test", "b@x.test", "c@x.test")
        assert await edge.sending.allowance(grant) == SendingAllowance(17, 2)
        asked = ("A@X.test", "d@x.test", "no address", "c@x.test")
        assert await edge.sending.known(grant, asked) == ("A@X.test", "c@x.test")
        assert await inbox(limited, address) == 0
        for _ in range(2):
            with pytest.raises(NewRecipientsReached):
                await submit(edge, account, "d@x.test", "e@x.test", "f@x.test")
        assert await edge.sending.allowance(grant) == SendingAllowance(17, 2)
        assert await inbox(limited, address) == 1
        for _ in range(17):
            await submit(edge, account, "a@x.test")
        with pytest.raises(MessagesReached):
            await submit(edge, account, "a@x.test")
        # one mail a day, whatever was reached
        await edge.sending.refused(grant, SendingLimit.MESSAGES)
        assert await inbox(limited, address) == 1
        state = await admin.sending.set(address, 25, None)
        assert (state.messages, state.most_messages, state.new_recipients, state.most_new_recipients) == (20, 25, 3, 5)
        await submit(edge, account, "a@x.test")
        assert (await admin.sending.show(address)).messages == 21
        with pytest.raises(BadRequest):
            await edge.sending.known(grant, ("a@x.test",) * 1001)
        with pytest.raises(NotFound):
            await admin.sending.show("nobody@example.test")
        with pytest.raises(BadRequest):
            await admin.sending.set(address, -1, None)
        await admin.admin.account_remove(address)
        with pytest.raises(GrantExpired):
            await edge.sending.allowance(grant)
        with pytest.raises(GrantExpired):
            await submit(edge, account, "a@x.test")


@trio_test
async def test_a_refusal_at_the_edge_is_told_too(limited: Stack) -> None:
    async with open_client(limited.data_dir, Role.ADMIN) as admin, open_client(limited.data_dir, Role.SMTP_IN) as edge:
        address = "edge@example.test"
        await admin.admin.account_add(address, PASSWORD)
        _, grant = await login(edge, address)
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(edge.sending.refused, grant, SendingLimit.NEW_RECIPIENTS)
        assert await inbox(limited, address) == 1
        told = [line for line in limited["store"].log.splitlines() if "daily sending limit reached" in line]
        assert len([line for line in told if address in line]) == 1


@trio_test
async def test_side_by_side_never_above_the_limit(limited: Stack) -> None:
    """Sixty submits at once through two connections: as many are taken as fit, and the counters say so."""
    async with (
        open_client(limited.data_dir, Role.ADMIN) as admin,
        open_client(limited.data_dir, Role.SMTP_IN) as one,
        open_client(limited.data_dir, Role.SMTP_IN) as two,
    ):
        address = "many@example.test"
        await admin.admin.account_add(address, PASSWORD)
        account, _ = await login(one, address)
        before = len(await admin.admin.queue_list(EntryId(0), 900))
        taken: list[int] = []
        refused: list[type[Exception]] = []

        async def send(number: int) -> None:
            # every other one to a recipient that many write to
            recipient = f"p{number}@x.test" if number % 2 else "all@x.test"
            try:
                await submit(one if number % 3 else two, account, recipient)
                taken.append(number)
            except SendingLimitReached as error:
                refused.append(type(error))

        async with trio.open_nursery() as nursery:
            for number in range(60):
                nursery.start_soon(send, number)
        state = await admin.sending.show(address)
        assert (len(taken), state.messages) == (20, 20)
        new = {number for number in taken if number % 2}
        assert state.new_recipients == len(new) + 1 == 5
        assert len(await admin.admin.queue_list(EntryId(0), 900)) == before + 20
        assert set(refused) == {MessagesReached, NewRecipientsReached}


@trio_test
async def test_the_day_survives_a_restart_and_a_repeat_counts_once(limited: Stack) -> None:
    """A store that stops in the middle: calls are repeated with their operation ids, and count once."""
    async with open_client(limited.data_dir, Role.ADMIN) as admin, open_client(limited.data_dir, Role.SMTP_IN) as edge:
        address = "again@example.test"
        await admin.admin.account_add(address, PASSWORD)
        account, grant = await login(edge, address)
        async with trio.open_nursery() as nursery:
            for number in range(15):
                nursery.start_soon(submit, edge, account, f"p{number % 3}@x.test")
            await trio.to_thread.run_sync(limited["store"].stop)
            await trio.to_thread.run_sync(limited["store"].start)
        assert await edge.sending.allowance(grant) == SendingAllowance(5, 2)
