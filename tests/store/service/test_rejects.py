"""Refused messages that are kept for a while: in their own mailbox, within bounds, and gone after their days."""

import sqlite3
from collections.abc import Iterator

import pytest
import trio

from shared.contract.registry import Role
from shared.contract.reject_types import Rejected
from shared.contract.types import ContentSource
from shared.errors import BadRequest, NoSuchMailbox
from shared.model.ids import AccountId, Grant
from shared.model.message_index import MessageIndex
from shared.model.packed import unpack_u32
from shared.rpc.store_client import StoreClient
from shared.testing import trio_test
from shared.testing.stack import PASSWORD, Stack, open_client

INDEX = MessageIndex(20, b"envelope", b"structure", b"body", b"parts", b"summary")
DAY = 86_400
SETTINGS = {
    "PILLARBOX_SMTP_IN__KEEP_REJECTS_DAYS": "3",
    "PILLARBOX_STORE__REJECTS_MESSAGES": "3",
    "PILLARBOX_STORE__REJECTS_OCTETS": "65536",
    "PILLARBOX_STORE__RETENTION_SECONDS": "0.1",
}


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("rejects") / "data", services=(), settings=SETTINGS) as running:
        yield running


async def keep(edge: StoreClient, content: bytes, *accounts: AccountId) -> int:
    source = ContentSource(len(content), inline=content)
    return await edge.messages.keep_rejected(Rejected("t", accounts, source, INDEX))


async def lying(imap: StoreClient, grant: Grant, name: str = "Rejects") -> list[int]:
    state = await imap.mailboxes.status(grant, name)
    page = await imap.messages.changes(grant, state.mailbox_id, 0, 0, 100)
    return unpack_u32(page.uids).tolist()


@trio_test
async def test_the_newest_are_kept(keeping: Stack) -> None:
    async with (
        open_client(keeping.data_dir, Role.ADMIN) as admin,
        open_client(keeping.data_dir, Role.SMTP_IN) as edge,
        open_client(keeping.data_dir, Role.IMAP) as imap,
    ):
        one = (await admin.admin.account_add("one@example.test", PASSWORD)).account_id
        two = (await admin.admin.account_add("two@example.test", PASSWORD)).account_id
        grant = (await imap.auth.login("one@example.test", PASSWORD, "x")).grant
        with pytest.raises(NoSuchMailbox):
            await imap.mailboxes.status(grant, "Rejects")
        assert await keep(edge, b"first", one, two, one, AccountId(999)) == 2
        box = await imap.mailboxes.status(grant, "Rejects")
        page = await imap.messages.changes(grant, box.mailbox_id, 0, 0, 100)
        assert (page.keywords, box.unseen) == (("$Rejected",), 1)
        # what its owner files there is not ours to count or to take away
        own = ContentSource(3, inline=b"own")
        await imap.messages.append(grant, box.mailbox_id, (), None, own, INDEX)
        for number in range(4):
            assert await keep(edge, b"more %d" % number, one) == 1
        assert await lying(imap, grant) == [2, 4, 5, 6]
        assert await keep(edge, b"x" * 65_000, one) == 1
        assert await lying(imap, grant) == [2, 5, 6, 7]
        assert await keep(edge, b"y" * 65_000, one) == 1
        assert await lying(imap, grant) == [2, 8]
        assert await keep(edge, b"z" * 65_537, one) == 0
        # never over a quota, whoever else has room
        await admin.admin.quota_set("one@example.test", 2, None)
        assert await keep(edge, b"no room", one, two) == 1
        recounted = await admin.admin.quota_recount("one@example.test")
        assert recounted.before == recounted.now
        assert recounted.mailboxes == 0
        for accounts in ((), tuple(AccountId(number) for number in range(1, 23))):
            with pytest.raises(BadRequest):
                await keep(edge, b"x", *accounts)


@trio_test
async def test_they_go_after_their_days(keeping: Stack) -> None:
    async with (
        open_client(keeping.data_dir, Role.ADMIN) as admin,
        open_client(keeping.data_dir, Role.SMTP_IN) as edge,
        open_client(keeping.data_dir, Role.IMAP) as imap,
    ):
        account = (await admin.admin.account_add("old@example.test", PASSWORD)).account_id
        grant = (await imap.auth.login("old@example.test", PASSWORD, "x")).grant
        assert await keep(edge, b"to be renamed", account) == 1
        await imap.mailboxes.rename(grant, "Rejects", "mine")
        for text in (b"old", b"new"):
            assert await keep(edge, text, account) == 1
        box = (await imap.mailboxes.status(grant, "Rejects")).mailbox_id
        own = ContentSource(3, inline=b"own")
        await imap.messages.append(grant, box, (), None, own, INDEX)
        # age: all but the new one came long ago
        connection = sqlite3.connect(keeping.data_dir / "store" / "pillarbox.db", timeout=10)
        with connection:
            connection.execute(
                "UPDATE message SET saved_date = saved_date - ? WHERE NOT (mailbox_id = ? AND uid = 2) AND mailbox_id IN "
                "(SELECT id FROM mailbox WHERE account_id = ?)",
                (3 * DAY + 10, box, account),
            )
        connection.close()
        with trio.fail_after(10):
            while await lying(imap, grant) != [2, 3]:
                await trio.sleep(0.02)
        # renamed, it is its owner's mailbox
        assert await lying(imap, grant, "mine") == [1]
