"""What the accounts of a domain hold together: exact however many write at once, refused and warned of at the domain's limit."""

import email
import email.policy
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from shared.contract.registry import Role
from shared.contract.sharing_types import AclChange, Quota
from shared.contract.types import ContentRange, ContentSource, Delivery, LocalRecipient
from shared.errors import NotFound, OverQuota
from shared.model.ids import Grant, MailboxId, Uid
from shared.model.message_index import MessageIndex
from shared.model.packed import pack_u32, unpack_u32
from shared.model.rights import ALL_RIGHTS_BITS
from shared.rpc.store_client import StoreClient
from shared.testing import trio_test
from shared.testing.stack import PASSWORD, Stack, open_client

INDEX = MessageIndex(20, b"envelope", b"structure", b"body", b"parts", b"summary")
WRITERS = 50
ROUNDS = 12


@asynccontextmanager
async def clients(stack: Stack) -> AsyncIterator[tuple[StoreClient, StoreClient, StoreClient]]:
    async with (
        open_client(stack.data_dir, Role.ADMIN) as admin,
        open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
        open_client(stack.data_dir, Role.IMAP) as imap,
    ):
        yield admin, smtp_in, imap


async def enter(admin: StoreClient, imap: StoreClient, address: str) -> tuple[int, Grant, MailboxId]:
    account = (await admin.admin.account_add(address, PASSWORD)).account_id
    grant = (await imap.auth.login(address, PASSWORD, "127.0.0.1")).grant
    return account, grant, (await imap.mailboxes.status(grant, "INBOX")).mailbox_id


async def append(imap: StoreClient, grant: Grant, inbox: MailboxId, content: bytes) -> None:
    await imap.messages.append(grant, inbox, (), None, ContentSource(len(content), inline=content), INDEX)


async def deliver(smtp_in: StoreClient, account: int, address: str, content: bytes) -> None:
    to = (LocalRecipient(account, address),)
    source = ContentSource(len(content), inline=content)
    await smtp_in.messages.deliver(Delivery("t", "s@far.test", to, (), source, INDEX))


def truth(stack: Stack, domain: str) -> tuple[int, int]:
    """Of the messages themselves."""
    connection = sqlite3.connect(stack.data_dir / "store" / "pillarbox.db")
    row = connection.execute(
        "SELECT count(*), coalesce(sum(m.octets), 0) FROM message m JOIN mailbox b ON b.id = m.mailbox_id "
        "JOIN account a ON a.id = b.account_id JOIN domain d ON d.id = a.domain_id WHERE d.name = ?",
        (domain,),
    ).fetchone()
    connection.close()
    return row[0], row[1]


@trio_test
async def test_a_domain_s_limit(stack: Stack) -> None:
    async with clients(stack) as (admin, smtp_in, imap):
        domain = "limit.test"
        await admin.admin.domain_add(domain)
        one, one_grant, one_inbox = await enter(admin, imap, f"one@{domain}")
        _, two_grant, two_inbox = await enter(admin, imap, f"two@{domain}")
        assert await admin.admin.quota_set(f"@{domain}", None, 100) == Quota(f"@{domain}", 0, 0, None, 100)
        await deliver(smtp_in, one, f"one@{domain}", b"x" * 60)

        async def room(name: str) -> int | None:
            return (await smtp_in.directory.resolve(f"{name}@{domain}")).room_octets

        assert [await room(name) for name in ("one", "two")] == [40, 40]
        with pytest.raises(OverQuota):
            await append(imap, two_grant, two_inbox, b"y" * 41)
        await append(imap, two_grant, two_inbox, b"y" * 40)
        with pytest.raises(OverQuota):
            await imap.messages.copy(two_grant, two_inbox, pack_u32([1]), two_inbox)
        with pytest.raises(OverQuota):
            await deliver(smtp_in, one, f"one@{domain}", b"z")
        assert [await room(name) for name in ("one", "two")] == [0, 0]
        # what a client is shown, without what the others hold
        assert await imap.sharing.quota(one_grant, "INBOX") == Quota(f"one@{domain}", 1, 60, None, 60)
        assert await admin.admin.quota_show(f"one@{domain}") == Quota(f"one@{domain}", 1, 60, None, None)
        # from one account of the domain to another: nothing more is held
        await imap.sharing.set_acl(two_grant, "INBOX", f"one@{domain}", AclChange.REPLACE, ALL_RIGHTS_BITS)
        await imap.messages.move(one_grant, one_inbox, pack_u32([1]), two_inbox)
        assert await admin.admin.quota_show(f"@{domain}") == Quota(f"@{domain}", 2, 100, None, 100)
        await admin.admin.account_remove(f"two@{domain}")
        assert await admin.admin.quota_show(f"@{domain}") == Quota(f"@{domain}", 0, 0, None, 100)
        assert await room("one") == 100
        await admin.admin.quota_set(f"@{domain}", None, None)
        assert await room("one") is None
        with pytest.raises(NotFound):
            await admin.admin.quota_show("@nowhere.test")
        await admin.admin.account_remove(f"one@{domain}")
        await admin.admin.domain_remove(domain)
        assert domain not in {quota.address for quota in await admin.admin.quota_domains()}


@trio_test
async def test_fifty_writers_count_to_the_octet(stack: Stack) -> None:
    """APPEND, COPY, MOVE, EXPUNGE and deliveries of five accounts, side by side, at a limit that many of them meet."""
    async with clients(stack) as (admin, smtp_in, imap):
        domain, limit = "many.test", 60_000
        await admin.admin.domain_add(domain)
        names = [f"u{number}@{domain}" for number in range(5)]
        people = [(name, *await enter(admin, imap, name)) for name in names]
        boxes = {name: (await imap.mailboxes.create(grant, "box", "")).mailbox_id for name, _, grant, _ in people}
        await admin.admin.quota_set(f"@{domain}", None, limit)
        await admin.admin.quota_set(names[0], 40, None)
        refused = 0

        async def work(number: int) -> None:
            nonlocal refused
            chance = random.Random(number)
            name, account, grant, inbox = people[number % len(people)]
            for _ in range(ROUNDS):
                content = chance.randbytes(chance.randint(1, 900))
                try:
                    match chance.randrange(5):
                        case 0 | 1:
                            await append(imap, grant, inbox, content)
                        case 2:
                            await deliver(smtp_in, account, name, content)
                        case 3:
                            page = await imap.messages.changes(grant, inbox, 0, 0, 100)
                            uids = unpack_u32(page.uids).tolist()
                            await imap.messages.copy(grant, inbox, pack_u32(uids[:3]), boxes[name])
                        case _:
                            page = await imap.messages.changes(grant, inbox, 0, 0, 100)
                            uids = unpack_u32(page.uids).tolist()
                            gone = sorted(chance.sample(uids, min(len(uids), 4)))
                            await imap.messages.expunge(grant, inbox, pack_u32(gone), False)
                except OverQuota:
                    refused += 1
                held = await admin.admin.quota_show(f"@{domain}")
                assert held.octets <= limit

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for number in range(WRITERS):
                    nursery.start_soon(work, number)
        assert refused, "nobody met the limit: this test is for those who do"
        held = await admin.admin.quota_show(f"@{domain}")
        assert (held.messages, held.octets) == truth(stack, domain)
        rooms = {(await smtp_in.directory.resolve(name)).room_octets for name in names[1:]}
        assert rooms == {limit - held.octets}
        for root in (*names, f"@{domain}"):
            recounted = await admin.admin.quota_recount(root)
            assert recounted.before == recounted.now
            assert recounted.mailboxes == 0
        assert (await admin.admin.quota_show(names[0])).messages <= 40


def spoil(data: Path, *statements: str) -> None:
    """What no version of ours writes."""
    connection = sqlite3.connect(data / "store" / "pillarbox.db", timeout=10)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@trio_test
async def test_wrong_counters_are_found_and_put_right(stack: Stack) -> None:
    async with clients(stack) as (admin, smtp_in, imap):
        domain = "wrong.test"
        await admin.admin.domain_add(domain)
        account, grant, inbox = await enter(admin, imap, f"a@{domain}")
        await deliver(smtp_in, account, f"a@{domain}", b"x" * 10)
        spoil(
            stack.data_dir,
            f"UPDATE mailbox SET messages = 7, octets = 70, unseen = 0 WHERE id = {inbox}",
            f"UPDATE account SET messages = 9, octets = 90 WHERE id = {account}",
            "UPDATE domain SET messages = 11, octets = 110 WHERE name = 'wrong.test'",
        )
        found = await admin.admin.quota_recount(f"a@{domain}")
        assert ((found.before.messages, found.now.messages, found.now.octets), found.mailboxes) == ((9, 1, 10), 1)
        state = await imap.mailboxes.status(grant, "INBOX")
        assert (state.messages, state.unseen, state.octets) == (1, 1, 10)
        found = await admin.admin.quota_recount(f"@{domain}")
        # the account's correction went off the domain's, too; the rest was the domain's own
        assert ((found.before.messages, found.before.octets), (found.now.messages, found.now.octets)) == ((3, 30), (1, 10))


async def inbox_count(imap: StoreClient, grant: Grant) -> int:
    return (await imap.mailboxes.status(grant, "INBOX")).messages


async def wait_for_messages(imap: StoreClient, grant: Grant, messages: int) -> None:
    """The warning comes with the commit after the one that it is for."""
    with trio.fail_after(10):
        while await inbox_count(imap, grant) != messages:
            await trio.sleep(0.01)


@trio_test
async def test_warnings_at_80_and_95_percent(stack: Stack) -> None:
    async with clients(stack) as (admin, smtp_in, imap):
        domain = "warn.test"
        await admin.admin.domain_add(domain)
        account, grant, inbox = await enter(admin, imap, f"a@{domain}")
        await enter(admin, imap, f"boss@{domain}")
        await admin.admin.quota_set(f"a@{domain}", None, 1_000_000)
        await deliver(smtp_in, account, f"a@{domain}", b"x" * 200_000)
        for letter in b"bcd":
            await deliver(smtp_in, account, f"a@{domain}", bytes([letter]) * 199_000)
        assert await inbox_count(imap, grant) == 4
        await deliver(smtp_in, account, f"a@{domain}", b"e" * 10_000)
        await wait_for_messages(imap, grant, 6)
        (content,) = await imap.messages.read(grant, inbox, (ContentRange(Uid(6)),))
        assert "80 %" in email.message_from_bytes(content or b"", policy=email.policy.default)["Subject"]
        await deliver(smtp_in, account, f"a@{domain}", b"f" * 150_000)
        await wait_for_messages(imap, grant, 8)
        # the same mark again is no news; what falls below may rise again
        await deliver(smtp_in, account, f"a@{domain}", b"g" * 10_000)
        await imap.messages.expunge(grant, inbox, pack_u32([1]), False)
        await deliver(smtp_in, account, f"a@{domain}", b"h" * 100_000)
        await wait_for_messages(imap, grant, 10)
        held = await admin.admin.quota_recount(f"a@{domain}")
        assert held.before == held.now
        # of a domain its postmaster hears
        _, boss, _ = await enter(admin, imap, f"other@{domain}")
        await admin.admin.alias_add(f"postmaster@{domain}", (f"other@{domain}",))
        await admin.admin.quota_set(f"@{domain}", None, held.now.octets + 10_000)
        await wait_for_messages(imap, boss, 1)
        assert await inbox_count(imap, grant) == 10


def test_a_warning_survives_a_restart(tmp_path: Path) -> None:
    """What was warned of is kept with the mail that warned: a new process does not begin anew."""
    data = tmp_path / "data"

    async def fill() -> int:
        async with open_client(data, Role.ADMIN) as admin, open_client(data, Role.IMAP) as imap:
            _, grant, inbox = await enter(admin, imap, "a@example.test")
            await admin.admin.quota_set("a@example.test", 100, None)
            for number in range(80):
                await append(imap, grant, inbox, b"%d" % number)
            await wait_for_messages(imap, grant, 81)
            return (await imap.mailboxes.status(grant, "INBOX")).messages

    async def again() -> int:
        async with open_client(data, Role.IMAP) as imap:
            grant = (await imap.auth.login("a@example.test", PASSWORD, "127.0.0.1")).grant
            inbox = (await imap.mailboxes.status(grant, "INBOX")).mailbox_id
            await append(imap, grant, inbox, b"one more")
            # a write after the one that would have warned
            await append(imap, grant, inbox, b"and one")
            return (await imap.mailboxes.status(grant, "INBOX")).messages

    with Stack(data, services=()):
        assert trio.run(fill) == 81
    with Stack(data, services=()):
        assert trio.run(again) == 83


def test_a_warning_that_a_crash_prevented_comes_at_the_start(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def fill() -> None:
        async with open_client(data, Role.ADMIN) as admin, open_client(data, Role.IMAP) as imap:
            _, grant, inbox = await enter(admin, imap, "a@example.test")
            for number in range(80):
                await append(imap, grant, inbox, b"%d" % number)

    async def wait() -> None:
        async with open_client(data, Role.IMAP) as imap:
            grant = (await imap.auth.login("a@example.test", PASSWORD, "127.0.0.1")).grant
            await wait_for_messages(imap, grant, 81)

    with Stack(data, services=()):
        trio.run(fill)
    spoil(data, "UPDATE account SET quota_messages = 100")
    with Stack(data, services=()):
        trio.run(wait)


def test_administrators_hear_of_a_domain_without_a_postmaster(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def fill() -> None:
        async with clients(stack) as (admin, _, imap):
            _, boss, _ = await enter(admin, imap, "boss@example.test")
            _, grant, inbox = await enter(admin, imap, "a@example.test")
            await append(imap, grant, inbox, bytes(250_000))
            await admin.admin.quota_set("@example.test", None, 262_500)
            await wait_for_messages(imap, boss, 1)

    with Stack(data, services=(), settings={"PILLARBOX_AUTH__ADMINISTRATORS": "boss@example.test"}) as stack:
        trio.run(fill)
