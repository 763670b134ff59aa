"""SCRAM-SHA-256 in the store: who has keys and from when on; nobody learns who exists."""

import sqlite3

import pytest

from shared.errors import AuthenticationFailed, Forbidden
from shared.sasl.scram import SCRAM, ScramServer
from shared.testing import trio_test
from shared.testing.scram_client import ScramClient
from shared.testing.stack import PASSWORD


async def log_in(store, user: str, password: str):
    """An exchange over the store's calls; the grant."""
    client, server = ScramClient(user, password), ScramServer(SCRAM, "server-nonce", {})
    name = server.first(client.first()).username
    known = await store.auth.scram_begin(name)
    given = server.final(client.final(server.challenge(known.salt, known.iterations)))
    result = await store.auth.scram_finish(name, given.auth_message, given.proof, "127.0.0.1")
    assert client.check(server.verdict(result.signature))
    return result.login


def forget_keys(stack, account: int) -> None:
    """As in a database from before SCRAM."""
    with sqlite3.connect(stack.data_dir / "store" / "pillarbox.db", timeout=20) as database:
        assert database.execute("DELETE FROM scram WHERE account_id = ?", (account,)).rowcount == 1
    database.close()


@trio_test
async def test_a_proof_is_a_login(world) -> None:
    async with world() as w:
        for edge in (w.imap, w.pop3, w.smtp_in):
            login = await log_in(edge, w.address.upper(), PASSWORD)
            assert (login.account_id, login.address) == (w.account, w.address)
        await w.imap.mailboxes.status((await log_in(w.imap, w.address, PASSWORD)).grant, "INBOX")
        for user, password in ((w.address, "wrong"), ("nobody@example.test", PASSWORD), ("no address", PASSWORD)):
            with pytest.raises(AuthenticationFailed):
                await log_in(w.imap, user, password)
        with pytest.raises(Forbidden):
            await w.smtp_out.auth.scram_begin(w.address)


@trio_test
async def test_a_changed_password_has_new_keys(world) -> None:
    async with world() as w:
        before = await w.imap.auth.scram_begin(w.address)
        await w.admin.admin.account_passwd(w.address, "another 비밀")
        assert (await w.imap.auth.scram_begin(w.address)).salt != before.salt
        with pytest.raises(AuthenticationFailed):
            await log_in(w.imap, w.address, PASSWORD)
        await log_in(w.imap, w.address, "another 비밀")


@trio_test
async def test_a_removed_account_is_like_one_that_never_was(world) -> None:
    async with world() as w:
        await w.admin.admin.account_remove(w.address)
        assert (await w.imap.auth.scram_begin(w.address)).iterations
        with pytest.raises(AuthenticationFailed):
            await log_in(w.imap, w.address, PASSWORD)


@trio_test
async def test_an_old_account_gets_keys_with_its_next_login(stack, world) -> None:
    async with world() as w:
        forget_keys(stack, w.account)
        # a change of the directory makes the store read credentials again, as it does after its start
        await w.admin.admin.alias_add(f"void-{w.address}", (w.address,))
        unknown = await w.imap.auth.scram_begin(w.address)
        with pytest.raises(AuthenticationFailed):
            await log_in(w.imap, w.address, PASSWORD)
        with pytest.raises(AuthenticationFailed):
            await w.imap.auth.login(w.address, "wrong", "x")
        await w.imap.auth.login(w.address, PASSWORD, "x")
        # the same salt as before: whoever watches it does not see that there is an account
        assert await w.imap.auth.scram_begin(w.address) == unknown
        assert (await log_in(w.imap, w.address, PASSWORD)).account_id == w.account


@trio_test
async def test_names_without_an_account_have_a_lasting_salt(world) -> None:
    async with world() as w:
        begin = w.imap.auth.scram_begin
        nobody = await begin("nobody@example.test")
        assert await begin("Nobody@Example.TEST") == nobody
        assert await begin("somebody@example.test") != nobody
        real = await begin(w.address)
        assert (len(real.salt), real.iterations) == (len(nobody.salt), nobody.iterations)
