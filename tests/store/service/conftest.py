"""One store for the tests that only talk to it; each test makes accounts of its own."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import attrs
import pytest

from shared.contract.mailbox_types import ListScope, MailboxInfo
from shared.contract.registry import Role
from shared.contract.types import ContentSource, Delivery, DeliveryResult, LocalRecipient, RemoteRecipient
from shared.model.ids import AccountId, Grant, MailboxId
from shared.model.message_index import MessageIndex
from shared.rpc.store_client import StoreClient
from shared.testing.stack import PASSWORD, Stack, open_client

INDEX = MessageIndex(20, b"envelope", b"structure", b"body", b"parts", b"summary")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("store") / "data", services=()) as running:
        yield running


@attrs.frozen
class World:
    """An account that is logged in, and a client per role."""

    admin: StoreClient
    smtp_in: StoreClient
    smtp_out: StoreClient
    imap: StoreClient
    pop3: StoreClient
    account: AccountId
    address: str
    grant: Grant
    inbox: MailboxId

    async def deliver(
        self, content: bytes = b"Subject: x\r\n\r\ntext\r\n", *, remote: tuple[str, ...] = (), local: bool = True,
        sender: str = "sender@elsewhere.test", flags: tuple[str, ...] = (),
    ) -> DeliveryResult:
        recipients = (LocalRecipient(self.account, self.address, flags=flags),) if local else ()
        targets = tuple(RemoteRecipient(address) for address in remote)

        async def use(source: ContentSource) -> DeliveryResult:
            return await self.smtp_in.messages.deliver(
                Delivery("trace", sender, recipients, targets, source, INDEX)
            )

        return await self.smtp_in.with_content(content, use)

    async def listed(self, scope: ListScope = ListScope()) -> list[MailboxInfo]:  # noqa: B008
        """All pages."""
        infos, after = [], ""
        while True:
            page = await self.imap.mailboxes.list(self.grant, after, scope)
            infos += page.mailboxes
            after = page.next
            if not after:
                return infos

    async def mailbox(self, name: str) -> MailboxId:
        return (await self.imap.mailboxes.status(self.grant, name)).mailbox_id


@asynccontextmanager
async def open_world(stack: Stack) -> AsyncIterator[World]:
    async with (
        open_client(stack.data_dir, Role.ADMIN) as admin,
        open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
        open_client(stack.data_dir, Role.SMTP_OUT) as smtp_out,
        open_client(stack.data_dir, Role.IMAP) as imap,
        open_client(stack.data_dir, Role.POP3) as pop3,
    ):
        address = f"user{next(_numbers)}@{stack.domain}"
        await admin.admin.account_add(address, PASSWORD)
        login = await imap.auth.login(address, PASSWORD, "127.0.0.1")
        state = await imap.mailboxes.status(login.grant, "INBOX")
        yield World(
            admin, smtp_in, smtp_out, imap, pop3, login.account_id, address, login.grant, state.mailbox_id
        )


@pytest.fixture
def world(stack: Stack) -> Callable[[], AbstractAsyncContextManager[World]]:
    """`async with world() as w`: a fresh account."""
    return lambda: open_world(stack)
