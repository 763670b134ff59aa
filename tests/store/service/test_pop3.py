"""Views, what DELE means, user names with a mailbox in them, and mail that goes after its download: over the real socket."""

import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from services.store import layout
from services.store.domain.pop3_view import decode, encode
from shared.config.paths import DataPaths
from shared.contract.device_types import DeviceUse
from shared.contract.pop3_types import Pop3Finished, Pop3State
from shared.contract.retention_types import RetentionRule
from shared.contract.types import LoginResult, Maildrop
from shared.errors import AuthenticationFailed, BadRequest, Forbidden, GrantExpired, NoSuchMailbox, NotFound
from shared.model.ids import MailboxId, Uid
from shared.model.packed import pack_u32, unpack_u32
from shared.model.pop3 import Dele
from shared.testing import trio_test
from shared.testing.mail_samples import plain_message
from shared.testing.pop3 import Pop3Stack
from shared.testing.stack import PASSWORD, Stack

KEEP_DAYS = 30


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {"PILLARBOX_POP3__KEEP_DAYS": str(KEEP_DAYS)}
    with Stack(tmp_path_factory.mktemp("pop3") / "data", services=(), settings=settings) as running:
        yield running


def rows(stack: Stack, statement: str, *values: Any) -> list[Any]:
    """What the database holds, or a change that only time would make."""
    connection = sqlite3.connect(layout.database_path(DataPaths(stack.data_dir)), timeout=20, isolation_level=None)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def views(stack: Stack, mailbox: int) -> dict[int, tuple[Any, Any]]:
    """Hidden and fetched spans of the devices of a mailbox."""
    found = rows(stack, "SELECT device_id, hidden, fetched FROM pop3_view WHERE mailbox_id = ?", mailbox)
    return {device: (decode(hidden), decode(fetched)) for device, hidden, fetched in found}


def age(stack: Stack, mailbox: int, days: int) -> None:
    """Have everything been seen so many days earlier."""
    for device, sets in views(stack, mailbox).items():
        older = [encode((first, last, day - days) for first, last, day in spans) for spans in sets]
        rows(
            stack,
            "UPDATE pop3_view SET hidden = ?, fetched = ?, hidden_since = max(0, hidden_since - ?) "
            "WHERE mailbox_id = ? AND device_id = ?",
            *older, days, mailbox, device,
        )  # fmt: skip


@attrs.frozen
class Device:
    """An app password that is logged in by POP3."""

    world: Any
    login: LoginResult
    password: str

    async def drop(self, mailbox: str = "INBOX", after: int = 0, limit: int = 100) -> Maildrop:
        return await self.world.pop3.messages.maildrop(self.login.grant, mailbox, Uid(after), limit)

    async def seen(self, mailbox: str = "INBOX") -> list[int]:
        return unpack_u32((await self.drop(mailbox)).uids).tolist()

    async def finish(
        self, fetched: tuple[int, ...] = (), deleted: tuple[int, ...] = (), messages: int = 9, mailbox: str = "INBOX"
    ) -> Pop3Finished:
        box = (await self.drop(mailbox)).mailbox_id
        return await self.world.pop3.pop3.finish(self.login.grant, box, pack_u32(fetched), pack_u32(deleted), messages)


async def device(w: Any, name: str) -> Device:
    added = await w.admin.devices.add(w.address, name, (DeviceUse.POP3,), (), ())
    return Device(w, await w.pop3.auth.login(w.address, added.password, "127.0.0.1"), added.password)


@asynccontextmanager
async def two_devices(world: Any, messages: int) -> AsyncIterator[tuple[Any, Device, Device]]:
    async with world() as w:
        for _ in range(messages):
            await w.deliver()
        yield w, await device(w, "phone"), await device(w, "laptop")


@trio_test
async def test_hide_is_for_one_device(world, stack: Stack) -> None:
    async with two_devices(world, 5) as (w, phone, laptop):
        await w.admin.pop3.set(w.address, Dele.HIDE, None)
        assert await phone.finish((1, 2, 3), (1, 2)) == Pop3Finished(2, False)
        assert (await phone.seen(), await laptop.seen()) == ([3, 4, 5], [1, 2, 3, 4, 5])
        await laptop.finish((5,), (5, 77))
        assert (await phone.seen(), await laptop.seen()) == ([3, 4, 5], [1, 2, 3, 4])
        main = Device(w, await w.pop3.auth.login(w.address, PASSWORD, "127.0.0.1"), PASSWORD)
        assert await main.seen() == [1, 2, 3, 4, 5]
        await main.finish((), (3,))
        assert await main.seen() == [1, 2, 4, 5]
        status = await w.imap.mailboxes.status(w.grant, "INBOX")
        assert status.messages == 5
        # what comes later is seen by all; a UID that nobody had yet was never seen
        await laptop.finish((6, 7), (6,))
        await w.deliver()
        assert (await phone.seen(), await laptop.seen()) == ([3, 4, 5, 6], [1, 2, 3, 4, 6])
        (hidden, fetched) = views(stack, w.inbox)[laptop.login.device.device_id]
        assert ([span[:2] for span in hidden], [span[:2] for span in fetched]) == ([(5, 5)], [(5, 5)])
        # a device takes its view with it, a mailbox all of them
        await w.admin.devices.remove(w.address, "phone")
        assert phone.login.device.device_id not in views(stack, w.inbox)
        with pytest.raises(GrantExpired):
            await phone.drop()
        again = await device(w, "phone")
        assert await again.seen() == [1, 2, 3, 4, 5, 6]
        await w.admin.admin.account_remove(w.address)
        assert views(stack, w.inbox) == {}
        assert rows(stack, "SELECT * FROM pop3_setting") == []


@trio_test
async def test_pages_step_over_what_is_hidden(world) -> None:
    async with two_devices(world, 12) as (w, phone, _):
        await w.admin.pop3.set(w.address, Dele.HIDE, None)
        await phone.finish((), (1, 2, 3, 4, 6, 8, 9, 10, 12))
        page = await phone.drop(limit=2)
        assert (unpack_u32(page.uids).tolist(), page.more, len(page.uidls)) == ([5, 7], True, 2)
        page = await phone.drop(after=7, limit=2)
        assert (unpack_u32(page.uids).tolist(), page.more) == ([11], False)
        for after in (4, 6, 10):
            page = await phone.drop(after=after, limit=1)
            assert unpack_u32(page.uids).tolist() == [after + 1]
        await phone.finish((), (5, 7, 11))
        page = await phone.drop(limit=1)
        assert (page.uids, page.more) == (b"", False)


@trio_test
async def test_delete_and_trash_are_for_everybody(world) -> None:
    async with two_devices(world, 4) as (w, phone, laptop):
        assert await phone.finish((), (1,)) == Pop3Finished(1, False)
        assert (await phone.seen(), await laptop.seen()) == ([2, 3, 4], [2, 3, 4])
        await w.admin.pop3.set(w.address, Dele.TRASH, None)
        uidls = (await phone.drop()).uidls
        await phone.finish((2,), (2, 1))
        assert (await phone.seen(), await laptop.seen()) == ([3, 4], [3, 4])
        assert await phone.seen("Trash") == [1]
        assert (await phone.drop("Trash")).uidls == uidls[:1]
        # in the trash itself, deleted is gone
        await phone.finish((), (1,), mailbox="Trash")
        assert await laptop.seen("Trash") == []
        # by its use, whatever it is called; made where there is none
        await w.imap.mailboxes.delete(w.grant, "Trash")
        await w.imap.mailboxes.create(w.grant, "Papierkorb", "\\Trash")
        await laptop.finish((), (3,))
        assert await phone.seen("Papierkorb") == [1]
        await w.imap.mailboxes.delete(w.grant, "Papierkorb")
        await laptop.finish((), (4,))
        assert await phone.seen("Trash") == [1]
        assert (await w.imap.mailboxes.status(w.grant, "Trash")).messages == 1


@trio_test
async def test_a_view_ends_with_its_uidvalidity(world, stack: Stack) -> None:
    async with two_devices(world, 2) as (w, phone, _):
        await w.admin.pop3.set(w.address, Dele.HIDE, None)
        await phone.finish((1, 2), (1, 2))
        await w.imap.messages.expunge(w.grant, w.inbox, None, False)
        rows(stack, "UPDATE mailbox SET uidvalidity = uidvalidity + 1, uid_next = 1 WHERE id = ?", w.inbox)
        rows(stack, "DELETE FROM tombstone WHERE mailbox_id = ?", w.inbox)
        await w.deliver()
        assert await phone.seen() == [1]
        await phone.finish((1,), ())
        (hidden, fetched) = views(stack, w.inbox)[phone.login.device.device_id]
        assert (hidden, [span[:2] for span in fetched]) == ((), [(1, 1)])


@trio_test
async def test_only_its_own_mailboxes_and_only_by_pop3(world) -> None:
    async with two_devices(world, 1) as (w, phone, _), world() as other:
        with pytest.raises(NoSuchMailbox):
            await w.pop3.pop3.finish(phone.login.grant, other.inbox, pack_u32([1]), b"", 1)
        with pytest.raises(Forbidden):
            await w.imap.pop3.finish(w.grant, w.inbox, b"", b"", 1)
        with pytest.raises(Forbidden):
            await w.pop3.messages.expunge(phone.login.grant, w.inbox, pack_u32([1]), False)
        with pytest.raises(BadRequest):
            await w.pop3.pop3.finish(phone.login.grant, w.inbox, b"123", b"", 1)


@trio_test
async def test_what_an_account_says(world) -> None:
    async with world() as w:
        api = w.admin.pop3
        assert await api.show(w.address) == Pop3State(w.address, Dele.DELETE, KEEP_DAYS, None, None)
        assert await api.set(w.address.upper(), None, 7) == Pop3State(w.address, Dele.HIDE, 7, None, 7)
        assert await api.set(w.address, Dele.TRASH, None) == Pop3State(w.address, Dele.TRASH, KEEP_DAYS, Dele.TRASH, None)
        for wrong in ((Dele.DELETE, 7), (None, -1), (None, 36_501)):
            with pytest.raises(BadRequest):
                await api.set(w.address, *wrong)
        with pytest.raises(NotFound):
            await api.set("nobody@example.test", None, None)
        with pytest.raises(NotFound):
            await api.show("nobody@example.test")


@trio_test
async def test_a_user_name_may_name_a_mailbox(world, stack: Stack) -> None:
    async with two_devices(world, 1) as (w, phone, _):
        local, _, domain = w.address.partition("@")
        await w.imap.mailboxes.create(w.grant, "Work/2024", "")

        async def mailbox(username: str, password: str = PASSWORD, by: Any = None) -> str:
            return (await (by or w.pop3).auth.login(username, password, "127.0.0.1")).mailbox

        assert await mailbox(w.address) == ""
        for username, expected in (
            (f"{local}+Work/2024@{domain}", "Work/2024"),
            (f"{w.address}+Work/2024", "Work/2024"),
            (f"{local.upper()}+inbox@{domain}", ""),
            (f"{w.address}+Gru\u0308ße", "Grüße"),
            (f"{w.address}+no such", "no such"),
        ):
            for _ in range(2):
                assert await mailbox(username) == expected
        for username in (f"{local}+Work@{domain}/phone", f"{w.address}/phone+Work"):
            found = await w.pop3.auth.login(username, phone.password, "127.0.0.1")
            assert (found.mailbox, found.device) == ("Work", phone.login.device)
            with pytest.raises(AuthenticationFailed):
                await w.pop3.auth.login(username, PASSWORD, "127.0.0.1")
        # an account that is called so comes first
        await w.admin.admin.account_add(f"{local}+work@{domain}", "another password")
        assert await mailbox(f"{local}+work@{domain}", "another password") == ""
        with pytest.raises(AuthenticationFailed):
            await mailbox(f"{local}+Work@{domain}")
        assert await mailbox(f"{w.address}+Work") == "Work"
        # a failure counts where the password was tried, and nothing else knows of mailboxes
        for username, by in ((f"{local}+x@{domain}", w.pop3), (f"{local}+x@{domain}", w.imap)):
            with pytest.raises(AuthenticationFailed):
                await mailbox(username, "wrong" if by is w.pop3 else PASSWORD, by)
        stack["store"].wait_for_log(re.escape(f'"user": "{local}+x@{domain}", "role": "imap"'))
        log = [line for line in stack["store"].log.splitlines() if '"login failed"' in line]
        assert f'"user": "{w.address}"' in log[-2]
        assert f'"user": "{local}+x@{domain}"' in log[-1]


@trio_test
async def test_downloaded_mail_goes_after_its_days(world, stack: Stack) -> None:
    async with two_devices(world, 7) as (w, phone, laptop):
        api = w.admin.retention
        rule = RetentionRule(w.address, "INBOX", downloaded_days=14)
        assert await api.set(rule) == rule
        assert rule in (await api.show()).rules
        with pytest.raises(BadRequest):
            await api.set(RetentionRule(w.address, "INBOX", downloaded_days=0))
        await phone.finish((1, 2, 6), ())
        age(stack, w.inbox, 14)
        await laptop.finish((2, 3), ())
        assert await due(w) == []
        assert await api.expire(w.inbox, True) == 0
        age(stack, w.inbox, 1)
        assert await due(w) == [(3, 3 * 20)]
        # what goes for two reasons is counted once
        await api.set(RetentionRule(w.address, "INBOX", messages=4, downloaded_days=14))
        assert await due(w) == [(4, 4 * 20)]
        assert await api.expire(w.inbox, False) == 4
        assert (await phone.seen(), await laptop.seen()) == ([4, 5, 7], [4, 5, 7])
        assert await due(w) == []
        await api.remove(w.address, "INBOX")


@trio_test
async def test_how_soon_messages_go(world) -> None:
    async with two_devices(world, 1) as (w, phone, _):
        api = w.admin.retention

        async def days() -> int:
            return (await phone.drop()).expire_days

        assert await days() == 0
        for rule, expected in (
            (RetentionRule(w.address, "", 60), 60),
            (RetentionRule(w.address, "INBOX", 60, downloaded_days=14), 14),
            (RetentionRule(w.address, "INBOX", messages=1000, downloaded_days=14), 1),
            (RetentionRule(w.address, "INBOX"), 0),
        ):
            await api.set(rule)
            assert await days() == expected
        await w.admin.pop3.set(w.address, Dele.HIDE, 7)
        assert await days() == 7
        await api.set(RetentionRule(w.address, "INBOX", 5))
        assert await days() == 5
        await api.remove(w.address, "INBOX")
        await api.remove(w.address, "")
        await w.admin.pop3.set(w.address, Dele.HIDE, None)
        assert await days() == KEEP_DAYS


async def due(w: Any) -> list[tuple[int, int]]:
    """Messages and octets that may go of an account."""
    found, after = [], MailboxId(0)
    while True:
        page = await w.admin.retention.due(after)
        found += [(each.messages, each.octets) for each in page.due if each.address == w.address]
        after = page.next
        if not after:
            return found


@pytest.mark.parametrize("kept_days", [None, 7])
def test_hidden_mail_goes_after_its_days_by_itself(tmp_path: Path, kept_days: int | None) -> None:
    """By the account's days, else by the settings'."""
    address = "a@example.test"
    settings = {
        "PILLARBOX_POP3__KEEP_DAYS": str(KEEP_DAYS), "PILLARBOX_POP3__DELE": "hide", "PILLARBOX_STORE__RETENTION_SECONDS": "1"
    }  # fmt: skip
    with Pop3Stack(tmp_path / "data", settings) as stack:
        stack.add_account(address)
        stack.deliver(address, [plain_message(f"{n}@example.test") for n in range(5)])
        if kept_days is not None:
            stack.administer(lambda store: store.pop3.set(address, None, kept_days))
        days = kept_days or KEEP_DAYS
        box = rows(stack, "SELECT id FROM mailbox WHERE name = 'INBOX'")[0][0]
        with stack.logged_in(address) as wire:
            for command in ("DELE 1", "DELE 3", "QUIT"):
                assert wire.command(command).startswith(b"+OK")
        age(stack, box, days)
        with stack.logged_in(address) as wire:
            for command in ("DELE 1", "QUIT"):
                assert wire.command(command).startswith(b"+OK")
        looked = stack.administer(lambda store: store.retention.show()).looked_at
        while stack.administer(lambda store: store.retention.show()).looked_at < looked + 2:
            pass  # two looks, so that one began after the ageing
        assert rows(stack, "SELECT count(*) FROM message")[0][0] == 5
        age(stack, box, 1)
        stack["store"].wait_for_log(rf'"hidden mail removed", "mailbox": {box}, "messages": 2')
        assert [uid for (uid,) in rows(stack, "SELECT uid FROM message")] == [2, 4, 5]
        assert stack.count(address) == 2
        assert [span[:2] for span in views(stack, box)[0][0]] == [(2, 2)]
