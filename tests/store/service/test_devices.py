"""App passwords in a real store: made once, right where they may be, ended with everything that they gave."""

import sqlite3

import pytest

from shared.contract.device_types import DeviceUse
from shared.contract.types import ContentSource, Delivery, LocalRecipient, RemoteRecipient
from shared.errors import (
    AlreadyExists,
    AuthenticationFailed,
    BadRequest,
    Forbidden,
    GrantExpired,
    LimitExceeded,
    NotFound,
    RecipientForbidden,
)
from shared.model.message_index import MessageIndex
from shared.sasl.scram import SCRAM, ScramServer
from shared.testing import trio_test
from shared.testing.scram_client import ScramClient
from shared.testing.stack import PASSWORD

ALL = tuple(DeviceUse)
INDEX = MessageIndex(20, b"envelope", b"structure", b"body", b"parts", b"summary")


async def scram(store, user: str, password: str):
    client, server = ScramClient(user, password), ScramServer(SCRAM, "server-nonce", {})
    name = server.first(client.first()).username
    known = await store.auth.scram_begin(name)
    given = server.final(client.final(server.challenge(known.salt, known.iterations)))
    result = await store.auth.scram_finish(name, given.auth_message, given.proof, "127.0.0.1")
    assert client.check(server.verdict(result.signature))
    return result.login


@trio_test
async def test_a_device_logs_in_with_its_own_password(world) -> None:
    async with world() as w:
        added = await w.admin.devices.add(w.address.upper(), " Anna's  phone", ALL, (), ())
        assert (added.device.account, added.device.name, added.device.uses) == (w.address, "Anna's phone", ALL)
        assert added.password not in repr(added)
        typed = added.password.replace("-", "").upper()
        for edge in (w.imap, w.pop3, w.smtp_in):
            for user in (w.address, f"{w.address}/anna's PHONE"):
                for password in (added.password, typed):
                    login = await edge.auth.login(user, password, "127.0.0.1")
                    assert (login.account_id, login.address) == (w.account, w.address)
                    assert login.device is not None
                    assert (login.device.device_id, login.device.name) == (added.device.device_id, "Anna's phone")
        assert (await w.imap.auth.login(w.address, PASSWORD, "x")).device is None
        wrong = added.password[:-1] + ("a" if added.password[-1] != "a" else "b")
        for user, password in (
            (w.address, wrong), (f"{w.address}/other", added.password), (f"{w.address}/anna's phone", PASSWORD),
            ("nobody@example.test", added.password),
        ):  # fmt: skip
            with pytest.raises(AuthenticationFailed):
                await w.imap.auth.login(user, password, "x")


@trio_test
async def test_uses_and_networks_are_enforced(world) -> None:
    async with world() as w:
        edges = {DeviceUse.IMAP: w.imap, DeviceUse.POP3: w.pop3, DeviceUse.SUBMISSION: w.smtp_in}
        for only in ALL:
            added = await w.admin.devices.add(w.address, only, (only,), ("10.0.0.0/8", "::1/128"), ())
            for use, edge in edges.items():
                for client in ("10.1.2.3", "::1", "192.0.2.1", "x"):
                    if use is only and client in ("10.1.2.3", "::1"):
                        # twice: the second one is answered from memory
                        for _ in range(2):
                            await edge.auth.login(w.address, added.password, client)
                    else:
                        with pytest.raises(AuthenticationFailed):
                            await edge.auth.login(w.address, added.password, client)


@trio_test
async def test_scram_names_the_device(world) -> None:
    async with world() as w:
        added = await w.admin.devices.add(w.address, "Laptop", (DeviceUse.IMAP,), (), ())
        login = await scram(w.imap, f"{w.address}/LAPTOP", added.password)
        assert login.device is not None
        assert login.device.device_id == added.device.device_id
        assert (await scram(w.imap, w.address, PASSWORD)).device is None
        # without the device in the name the main password is meant, with it the device's
        for user, password in (
            (w.address, added.password), (f"{w.address}/laptop", PASSWORD), (f"{w.address}/none", added.password),
        ):  # fmt: skip
            with pytest.raises(AuthenticationFailed):
                await scram(w.imap, user, password)
        with pytest.raises(AuthenticationFailed):
            await scram(w.pop3, f"{w.address}/laptop", added.password)
        nobody = await w.imap.auth.scram_begin(f"{w.address}/none")
        assert await w.imap.auth.scram_begin(f"{w.address.upper()}/NONE") == nobody
        assert nobody != await w.imap.auth.scram_begin(f"{w.address}/laptop")


@trio_test
async def test_removing_a_device_ends_its_grants(world) -> None:
    async with world() as w:
        added = await w.admin.devices.add(w.address, "tv", ALL, (), ())
        other = await w.admin.devices.add(w.address, "desk", ALL, (), ())
        gone = await w.imap.auth.login(w.address, added.password, "x")
        sender = await w.smtp_in.auth.login(w.address, added.password, "x")
        stays = await w.imap.auth.login(w.address, other.password, "x")
        await w.imap.mailboxes.status(gone.grant, "INBOX")
        await w.admin.devices.remove(w.address, "TV")
        with pytest.raises(GrantExpired):
            await w.imap.mailboxes.status(gone.grant, "INBOX")
        with pytest.raises(GrantExpired):
            await w.smtp_in.directory.may_send_as(sender.grant, w.address)
        content, index = b"Subject: x\r\n\r\n", MessageIndex(14, b"e", b"s", b"b", b"p", b"s")
        with pytest.raises(GrantExpired):
            await w.smtp_in.messages.deliver(
                Delivery(
                    "t", w.address, (LocalRecipient(w.account, w.address),), (),
                    ContentSource(len(content), content), index, device_id=added.device.device_id,
                )
            )  # fmt: skip
        with pytest.raises(AuthenticationFailed):
            await w.imap.auth.login(w.address, added.password, "x")
        for grant in (stays.grant, w.grant):
            await w.imap.mailboxes.status(grant, "INBOX")
        with pytest.raises(NotFound):
            await w.admin.devices.remove(w.address, "tv")
        # the same name again is another device
        again = await w.admin.devices.add(w.address, "tv", ALL, (), ())
        assert (again.device.device_id, again.password) != (added.device.device_id, added.password)
        with pytest.raises(GrantExpired):
            await w.imap.mailboxes.status(gone.grant, "INBOX")
        await w.admin.admin.account_remove(w.address)
        with pytest.raises(NotFound):
            await w.admin.devices.list(w.address)


@trio_test
async def test_what_cannot_be_a_device(world) -> None:
    async with world() as w:
        add = w.admin.devices.add
        await add(w.address, "Phone", ALL, (), ())
        with pytest.raises(AlreadyExists):
            await add(w.address, "PHONE", ALL, (), ())
        with pytest.raises(NotFound):
            await add("nobody@example.test", "phone", ALL, (), ())
        send = (DeviceUse.SUBMISSION,)
        for name, uses, networks, recipients in (
            ("a/b", ALL, (), ()), ("", ALL, (), ()), ("x", (), (), ()), ("x", ALL, ("home",), ()),
            ("x", ALL, (), ("example.org",)), ("x", send, (), ("not a domain",)), ("x", send, (), ("@example.org",)),
            ("x", send, (), tuple(f"d{number}.test" for number in range(33))),
        ):  # fmt: skip
            with pytest.raises(BadRequest):
                await add(w.address, name, uses, networks, recipients)
        for number in range(31):
            await add(w.address, f"phone {number}", ALL, (), ())
        with pytest.raises(LimitExceeded):
            await add(w.address, "one more", ALL, (), ())
        assert len(await w.admin.devices.list(w.address)) == 32
        with pytest.raises(Forbidden):
            await w.imap.devices.list(w.address)


@trio_test
async def test_the_last_use_is_told_and_the_password_is_nowhere(stack, world) -> None:
    async with world() as w:
        added = await w.admin.devices.add(w.address, "Phone", ALL, ("127.0.0.0/8",), ())
        (before,) = await w.admin.devices.list(w.address)
        assert before == added.device
        assert before.last_used_at is None
        await w.pop3.auth.login(w.address, added.password, "127.0.0.9")
        # a write of the same account behind it: the use was handed in before
        for _ in range(200):
            await w.deliver()
            (after,) = await w.admin.devices.list(w.address)
            if after.last_used_at is not None:
                break
        assert (after.last_used_from, after.last_used_by) == ("127.0.0.9", "pop3")
        await w.imap.auth.login(w.address, added.password, "127.0.0.8")
        await w.deliver()
        assert await w.admin.devices.list(w.address) == (after,)
        secret = added.password.replace("-", "")
        log = stack["store"].log
        assert secret not in log
        assert added.password not in log
        with sqlite3.connect(stack.data_dir / "store" / "pillarbox.db", timeout=20) as database:
            dump = "\n".join(database.iterdump())
        database.close()
        for text in (secret, added.password):
            assert text not in dump
            assert text.encode().hex().upper() not in dump


@trio_test
async def test_a_scanner_sends_to_its_recipients_only(world) -> None:
    """The store decides when the message is handed in, whatever the edge has said."""
    async with world() as w:
        some = ("Office.Test", "Boss@elsewhere.test")
        added = await w.admin.devices.add(w.address, "scanner", (DeviceUse.SUBMISSION,), ("10.0.0.0/8",), some)
        assert added.device.recipients == ("office.test", "boss@elsewhere.test")
        assert (await w.admin.devices.list(w.address))[0].recipients == added.device.recipients
        login = await w.smtp_in.auth.login(w.address, added.password, "10.0.0.1")
        assert login.device is not None
        assert login.device.restricted
        for edge, client in ((w.smtp_in, "192.0.2.1"), (w.imap, "10.0.0.1"), (w.pop3, "10.0.0.1")):
            with pytest.raises(AuthenticationFailed):
                await edge.auth.login(w.address, added.password, client)
        device = added.device.device_id

        async def send(*remote: RemoteRecipient, local: str = "") -> None:
            copies = (LocalRecipient(w.account, local),) if local else ()
            source = ContentSource(1, inline=b"x")
            await w.smtp_in.messages.deliver(
                Delivery("t", w.address, copies, remote, source, INDEX, account_id=w.account, device_id=device)
            )

        boss, other = RemoteRecipient("BOSS@elsewhere.test"), RemoteRecipient("other@elsewhere.test")
        await send(boss, local="me@office.test")
        # where an alias leads to is not the device's doing
        await send(RemoteRecipient("x@anywhere.test", "team@OFFICE.test"))
        for recipients, local in (((other,), ""), ((boss, other), ""), ((boss,), w.address), ((), "postmaster")):
            with pytest.raises(RecipientForbidden):
                await send(*recipients, local=local)
        ask = w.smtp_in.devices.may_send_to
        for address, allowed in (("a@office.test", True), ("boss@elsewhere.test", True), ("a@sub.office.test", False), ("x", False)):
            assert await ask(device, address) is allowed
        await w.admin.devices.remove(w.address, "scanner")
        with pytest.raises(GrantExpired):
            await ask(device, "a@office.test")
        with pytest.raises(GrantExpired):
            await send(boss)
