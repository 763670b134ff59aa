"""Directory, auth and admin, over the real socket."""

import statistics
import time

import pytest

from shared.contract.types import Resolution, ResolutionKind
from shared.errors import (
    AlreadyExists,
    AuthenticationFailed,
    BadRequest,
    Forbidden,
    GrantExpired,
    LimitExceeded,
    NotFound,
)
from shared.testing import trio_test
from shared.testing.stack import PASSWORD
from shared.version import VERSION

LOCAL = ResolutionKind.DELIVERABLE


@trio_test
async def test_who_is_behind_an_address(world) -> None:
    async with world() as w:
        local, domain = w.address.split("@")
        resolve = w.smtp_in.directory.resolve
        await w.admin.admin.alias_add(f"team-{local}@{domain}", (w.address, "Out@Else.Where"))
        await w.admin.admin.alias_add(f"all-{local}@{domain}", (f"team-{local}@{domain}", w.address))
        mine = Resolution(LOCAL, (w.account,))
        both = Resolution(LOCAL, (w.account,), ("out@else.where",))
        assert await resolve(w.address) == mine
        assert await resolve(w.address.upper()) == mine
        assert await resolve(f"{local}+tag@{domain}") == mine
        assert await resolve(f'"{local}"@{domain}') == mine
        assert await resolve(f"team-{local}+x@{domain}") == both
        assert await resolve(f"all-{local}@{domain}") == both
        assert await resolve(f"nobody-{local}@{domain}") == Resolution(ResolutionKind.UNKNOWN)
        assert await resolve("x@else.where") == Resolution(ResolutionKind.NOT_LOCAL)
        assert await resolve("not an address") == Resolution(ResolutionKind.UNKNOWN)
        assert await resolve("x@[192.0.2.1]") == Resolution(ResolutionKind.NOT_LOCAL)


@trio_test
async def test_changes_are_seen_at_once(world) -> None:
    async with world() as w:
        name = f"new-{w.address}"
        assert (await w.smtp_in.directory.resolve(name)).kind is ResolutionKind.UNKNOWN
        await w.admin.admin.alias_add(name, (w.address,))
        assert (await w.smtp_in.directory.resolve(name)).accounts == (w.account,)
        await w.admin.admin.alias_remove(name, ())
        assert (await w.smtp_in.directory.resolve(name)).kind is ResolutionKind.UNKNOWN


@trio_test
async def test_catch_all(world) -> None:
    async with world() as w:
        await w.admin.admin.domain_add("Catch.Test")
        await w.admin.admin.alias_add("@catch.test", (w.address,))
        await w.admin.admin.account_add("own@catch.test", PASSWORD)
        assert (await w.smtp_in.directory.resolve("anybody@catch.test")).accounts == (w.account,)
        assert (await w.smtp_in.directory.resolve("own@catch.test")).accounts != (w.account,)


@trio_test
async def test_international_domains(world) -> None:
    async with world() as w:
        added = await w.admin.admin.domain_add("Bücher.Example")
        assert added.name == "xn--bcher-kva.example"
        made = await w.admin.admin.account_add("전자우편@bücher.example", PASSWORD)
        assert made.address == "전자우편@xn--bcher-kva.example"
        assert (await w.smtp_in.directory.resolve("전자우편@xn--bcher-kva.example")).accounts == (made.account_id,)
        with pytest.raises(AlreadyExists):
            await w.admin.admin.domain_add("xn--bcher-kva.example")


@trio_test
async def test_who_may_send_as_whom(world) -> None:
    async with world() as w:
        login = await w.smtp_in.auth.login(w.address, PASSWORD, "127.0.0.1")
        await w.admin.admin.alias_add(f"alias-{w.address}", (w.address,))
        may = w.smtp_in.directory.may_send_as
        assert await may(login.grant, w.address.upper())
        assert await may(login.grant, f"alias-{w.address}")
        assert not await may(login.grant, "postmaster@example.test")
        assert not await may(login.grant, "x@elsewhere.test")
        with pytest.raises(Forbidden):
            await may(w.grant, w.address)


@trio_test
async def test_login(world) -> None:
    async with world() as w:
        assert (await w.imap.auth.login(w.address.upper(), PASSWORD, "x")).account_id == w.account
        for user, password in (
            (w.address, "wrong"), (w.address, ""), (w.address, "x" * 5000), ("nobody@example.test", PASSWORD),
            ("no address", PASSWORD), ("", ""), (w.address, PASSWORD + "\0"),
        ):  # fmt: skip
            with pytest.raises(AuthenticationFailed):
                await w.imap.auth.login(user, password, "x")


@trio_test
async def test_a_changed_password_counts_at_once(world) -> None:
    async with world() as w:
        await w.imap.auth.login(w.address, PASSWORD, "x")
        await w.admin.admin.account_passwd(w.address, "another")
        with pytest.raises(AuthenticationFailed):
            await w.imap.auth.login(w.address, PASSWORD, "x")
        await w.imap.auth.login(w.address, "another", "x")
        # grants given before stay valid
        await w.imap.mailboxes.status(w.grant, "INBOX")


@trio_test
async def test_nobody_learns_who_exists_from_the_clock(world) -> None:
    async with world() as w:
        async def spent(user: str) -> float:
            start = time.perf_counter()
            with pytest.raises(AuthenticationFailed):
                await w.imap.auth.login(user, "wrong", "x")
            return time.perf_counter() - start

        known = statistics.median([await spent(w.address) for _ in range(5)])
        unknown = statistics.median([await spent("nobody@example.test") for _ in range(5)])
        assert 0.4 < known / unknown < 2.5


@trio_test
async def test_a_removed_account_is_gone(world) -> None:
    async with world() as w:
        await w.deliver()
        await w.admin.admin.account_remove(w.address)
        with pytest.raises(GrantExpired):
            await w.imap.mailboxes.status(w.grant, "INBOX")
        with pytest.raises(AuthenticationFailed):
            await w.imap.auth.login(w.address, PASSWORD, "x")
        assert (await w.smtp_in.directory.resolve(w.address)).kind is ResolutionKind.UNKNOWN
        again = await w.admin.admin.account_add(w.address, PASSWORD)
        assert again.account_id != w.account
        with pytest.raises(GrantExpired):
            await w.imap.mailboxes.status(w.grant, "INBOX")


@trio_test
async def test_domains_accounts_aliases(world) -> None:
    async with world() as w:
        admin = w.admin.admin
        await admin.domain_add("other.test")
        with pytest.raises(AlreadyExists):
            await admin.domain_add("OTHER.test")
        for name in ("", "a..b", "a b", "x" * 300, "-a.test"):
            with pytest.raises(BadRequest):
                await admin.domain_add(name)
        made = await admin.account_add("Carol@Other.Test", PASSWORD)
        with pytest.raises(AlreadyExists):
            await admin.account_add("carol@other.test", PASSWORD)
        with pytest.raises(NotFound):
            await admin.account_add("carol@unknown.test", PASSWORD)
        for address, password in (("carol", PASSWORD), ("d@other.test", ""), ("d@other.test", "x" * 2000)):
            with pytest.raises(BadRequest):
                await admin.account_add(address, password)
        with pytest.raises(AlreadyExists):
            await admin.alias_add("carol@other.test", (w.address,))
        alias = await admin.alias_add("info@other.test", ("carol@other.test",))
        assert alias.targets == ("carol@other.test",)
        assert (await admin.alias_add("info@other.test", ("x@far.test",))).targets == ("carol@other.test", "x@far.test")
        with pytest.raises(AlreadyExists):
            await admin.account_add("info@other.test", PASSWORD)
        await admin.alias_add("sales@other.test", ("info@other.test",))
        for targets in (("sales@other.test",), ("info@other.test",), ()):
            with pytest.raises(BadRequest):
                await admin.alias_add("info@other.test", targets)
        with pytest.raises(LimitExceeded):
            await admin.alias_add("info@other.test", tuple(f"u{number}@far.test" for number in range(200)))
        with pytest.raises(BadRequest):
            await admin.domain_remove("other.test")
        listed = {info.name: info for info in await admin.domain_list()}
        assert (listed["other.test"].accounts, listed["other.test"].aliases) == (1, 2)
        accounts = await admin.account_list("carol@other.tes")
        assert accounts[0].account_id == made.account_id
        assert [info.address for info in await admin.alias_list("info@other.tes")][:2] == ["info@other.test", "sales@other.test"]
        await admin.alias_remove("info@other.test", ("x@far.test",))
        with pytest.raises(NotFound):
            await admin.alias_remove("info@other.test", ("x@far.test",))
        for address in ("info@other.test", "sales@other.test"):
            await admin.alias_remove(address, ())
        await admin.account_remove("carol@other.test")
        await admin.domain_remove("other.test")
        for call in (admin.domain_remove("other.test"), admin.account_remove("carol@other.test"),
                     admin.account_passwd("carol@other.test", "x"), admin.alias_remove("info@other.test", ())):  # fmt: skip
            with pytest.raises(NotFound):
                await call


@trio_test
async def test_status(world) -> None:
    async with world() as w:
        await w.deliver(b"x" * 1000)
        status = await w.admin.admin.status()
        assert status.version == VERSION
        assert status.messages >= 1
        assert status.octets >= 1000
        assert status.disk_octets > 0
        assert {"admin", "imap", "smtp_in"} <= {connection.role for connection in status.connections}
