"""Bans over the real socket: all services count together, lifting works at once, a restart keeps what holds."""

import itertools
import json
import re
import sqlite3
import statistics
import time
import urllib.request
from collections.abc import Iterator

import pytest
import trio

from shared.contract.bans_types import BanKind
from shared.contract.registry import Role
from shared.errors import AuthenticationFailed, BadRequest, Banned, Forbidden
from shared.rpc.store_client import StoreClient
from shared.sasl.scram import SCRAM, ScramServer
from shared.testing.scram_client import ScramClient
from shared.testing.stack import PASSWORD, Stack, open_client

SETTINGS = {
    "PILLARBOX_BANS__FAILURES": "4",
    "PILLARBOX_BANS__NETWORK_FAILURES": "12",
    "PILLARBOX_BANS__ACCOUNT_FAILURES": "6",
    "PILLARBOX_BANS__NEVER_NETWORKS": "127.0.0.0/8",
    "PILLARBOX_BANS__DELAY_SECONDS": "0",
    "PILLARBOX_AUTH__HASHES_AT_ONCE": "2",
}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("bans") / "data", services=(), settings=SETTINGS) as running:
        yield running


class Clients:
    """One of each role, an account, and addresses that no other test uses."""

    def __init__(self, admin: StoreClient, imap: StoreClient, pop3: StoreClient, smtp_in: StoreClient, address: str):
        self.admin, self.imap, self.pop3, self.smtp_in = admin, imap, pop3, smtp_in
        self.address = address
        self.number = next(_numbers)

    def ip(self, host: int, network: int = 0) -> str:
        return f"10.{self.number}.{network}.{host}"

    async def fail(self, client: str, times: int = 1, name: str = "", edge: StoreClient | None = None) -> None:
        for _ in range(times):
            with pytest.raises(AuthenticationFailed):
                await (edge or self.imap).auth.login(name or self.address, f"wrong {next(_numbers)}", client)

    async def banned(self, client: str, name: str = "", password: str = PASSWORD) -> None:
        with pytest.raises(Banned):
            await self.imap.auth.login(name or self.address, password, client)

    async def enter(self, client: str, name: str = "") -> None:
        await self.imap.auth.login(name or self.address, PASSWORD, client)

    async def scram(self, client: str, password: str, name: str = "") -> None:
        user, server = ScramClient(name or self.address, password), ScramServer(SCRAM, "server-nonce", {})
        who = server.first(user.first()).username
        known = await self.pop3.auth.scram_begin(who)
        given = server.final(user.final(server.challenge(known.salt, known.iterations)))
        await self.pop3.auth.scram_finish(who, given.auth_message, given.proof, client)

    async def listed(self) -> dict[str, BanKind]:
        mine = f"10.{self.number}."
        bans = await self.admin.admin.bans_list("")
        return {ban.subject: ban.kind for ban in bans if ban.subject.startswith(mine) or ban.subject == self.address}


def use(stack: Stack, test) -> None:
    """Run `test(clients)` with a fresh account."""
    address = f"user{next(_numbers)}@example.test"
    stack.add_account(address)

    async def main() -> None:
        with trio.fail_after(60):
            async with (
                open_client(stack.data_dir, Role.ADMIN) as admin,
                open_client(stack.data_dir, Role.IMAP) as imap,
                open_client(stack.data_dir, Role.POP3) as pop3,
                open_client(stack.data_dir, Role.SMTP_IN) as smtp_in,
            ):
                await test(Clients(admin, imap, pop3, smtp_in, address))

    trio.run(main)


def test_all_services_count_together_and_are_shut_together(own: Stack) -> None:
    async def main(c: Clients) -> None:
        client = c.ip(7)
        for edge in (c.imap, c.pop3, c.smtp_in):
            await c.fail(client, edge=edge)
        with pytest.raises(AuthenticationFailed):
            await c.scram(client, "wrong")
        await c.banned(client)
        with pytest.raises(Banned):
            await c.scram(client, PASSWORD)
        with pytest.raises(Banned):
            await c.smtp_in.auth.login("nobody@example.test", "x", client)
        assert await c.listed() == {client: BanKind.ADDRESS}
        await c.enter(c.ip(8))

    use(own, main)


def test_lifting_works_at_once_and_a_ban_says_why(own: Stack) -> None:
    async def main(c: Clients) -> None:
        client = c.ip(7)
        await c.fail(client, 3)
        await c.fail(client, name="Who@Else.TEST")
        await c.banned(client)
        (ban,) = [ban for ban in await c.admin.admin.bans_list("") if ban.subject == client]
        assert (ban.failures, ban.times, ban.tried, ban.manual) == (4, 1, (c.address, "who@else.test"), False)
        assert ban.until - ban.since == 600
        assert await c.admin.admin.bans_lift(client) == 1
        await c.enter(client)
        assert await c.listed() == {}
        assert await c.admin.admin.bans_lift(client) == 0

    use(own, main)
    log = own["store"].log
    banned = [line for line in log.splitlines() if "banned" in line and "who@else.test" in line]
    assert banned
    assert "ban lifted" in log
    assert "wrong " not in log


def test_a_known_address_is_never_locked_out(own: Stack) -> None:
    async def main(c: Clients) -> None:
        home = c.ip(1)
        await c.enter(home)
        await c.fail(home, 10)
        # banned for others, open for the one who is at home there
        await c.banned(home, name="other@example.test")
        await c.enter(home)
        await c.scram(home, PASSWORD)

    use(own, main)


def test_guesses_from_many_addresses_shut_the_account_but_not_to_its_owner(own: Stack) -> None:
    async def main(c: Clients) -> None:
        home, away = c.ip(1), c.ip(1, network=200)
        await c.enter(home)
        for number in range(6):
            await c.fail(c.ip(1, network=10 + number))
        assert await c.listed() == {c.address: BanKind.ACCOUNT}
        await c.banned(away)  # the right password
        await c.enter(home)
        with pytest.raises(Banned):
            await c.scram(away, PASSWORD)
        assert await c.admin.admin.bans_lift(c.address.upper()) == 1
        await c.enter(away)

    use(own, main)


def test_an_account_that_is_at_home_nowhere_lets_its_password_in(own: Stack) -> None:
    async def main(c: Clients) -> None:
        for number in range(6):
            await c.fail(c.ip(1, network=10 + number))
        await c.banned(c.ip(1, network=99), password="a guess")
        await c.enter(c.ip(1, network=200))
        await c.banned(c.ip(1, network=201))

    use(own, main)


def test_a_banned_name_does_not_tell_who_exists(own: Stack) -> None:
    async def main(c: Clients) -> None:
        nobody = f"nobody{c.number}@example.test"
        await c.enter(c.ip(1))
        for name, network in ((c.address, 10), (nobody, 20)):
            for number in range(6):
                await c.fail(c.ip(1, network=network + number), name=name)

        async def spent(name: str, number: int) -> float:
            start = time.perf_counter()
            await c.banned(c.ip(number, network=100 + number), name=name, password=f"guess {number}")
            return time.perf_counter() - start

        known = statistics.median([await spent(c.address, number) for number in range(1, 6)])
        unknown = statistics.median([await spent(nobody, number) for number in range(11, 16)])
        assert 0.4 < known / unknown < 2.5

    use(own, main)


def test_the_right_password_at_a_banned_account_takes_as_long_as_a_wrong_one(own: Stack) -> None:
    async def main(c: Clients) -> None:
        await c.enter(c.ip(1))
        for number in range(6):
            await c.fail(c.ip(1, network=10 + number))

        async def spent(number: int, password: str) -> float:
            await c.enter(c.ip(1))  # so that it is remembered as right
            start = time.perf_counter()
            await c.banned(c.ip(number, network=100 + number), password=password)
            return time.perf_counter() - start

        right = statistics.median([await spent(number, PASSWORD) for number in range(1, 6)])
        wrong = statistics.median([await spent(number, f"guess {number}") for number in range(11, 16)])
        assert 0.4 < right / wrong < 2.5

    use(own, main)


def test_neighbours_ban_their_network(own: Stack) -> None:
    async def main(c: Clients) -> None:
        for host in range(12):
            await c.fail(c.ip(host), name=f"name{host}@example.test")
        assert await c.listed() == {c.ip(0) + "/24": BanKind.NETWORK}
        await c.banned(c.ip(200))
        assert await c.admin.admin.bans_lift(c.ip(200)) == 1
        await c.enter(c.ip(200))

    use(own, main)


def test_one_wrong_password_again_and_again_counts_once(own: Stack) -> None:
    async def main(c: Clients) -> None:
        home = c.ip(1)
        await c.enter(home)
        for _ in range(8):
            with pytest.raises(AuthenticationFailed):
                await c.imap.auth.login(c.address, "the old one", home)
        assert await c.listed() == {}

    use(own, main)


def test_the_administrators_bans(own: Stack) -> None:
    async def main(c: Clients) -> None:
        await c.enter(c.ip(1))
        ban = await c.admin.admin.bans_add(f"{c.ip(9)}/16", 3600.0)
        assert (ban.subject, ban.kind, ban.manual) == (f"10.{c.number}.0.0/16", BanKind.NETWORK, True)
        await c.banned(c.ip(1))
        await c.banned(c.ip(1, network=50))
        assert await c.admin.admin.bans_lift(ban.subject) == 1
        await c.enter(c.ip(1))
        for network, seconds in (("no network", 60.0), ("127.0.0.5", 60.0), (c.ip(1), 0.0), (c.ip(1), 1e12)):
            with pytest.raises(BadRequest):
                await c.admin.admin.bans_add(network, seconds)
        with pytest.raises(Forbidden):
            await c.imap.admin.bans_list("")

    use(own, main)


def test_who_is_never_banned(own: Stack) -> None:
    async def main(c: Clients) -> None:
        for client in ("127.0.0.1", "x", ""):
            await c.fail(client, 8)
            await c.enter(client)

    use(own, main)


def test_a_changed_password_forgets_where_the_account_was_at_home(own: Stack) -> None:
    async def main(c: Clients) -> None:
        home = c.ip(1)
        await c.enter(home)
        await c.fail(home, 4)
        await c.enter(home)
        await c.admin.admin.account_passwd(c.address, PASSWORD)
        await c.banned(home)
        # and an account that logged in can be removed
        await c.admin.admin.bans_lift(home)
        await c.enter(home)
        await c.admin.admin.account_remove(c.address)

    use(own, main)


def test_a_restart_keeps_bans_and_known_addresses(own: Stack) -> None:
    """Stopped, everything; killed, what was answered, which is the administrator's."""

    async def main(c: Clients) -> None:
        home, stranger, lifted = c.ip(1), c.ip(7), c.ip(8)
        await c.enter(home)
        await c.fail(home, 4)
        await c.fail(stranger, 4, name="somebody@example.test")
        await c.fail(lifted, 4, name="somebody-else@example.test")
        await c.admin.admin.bans_lift(lifted)
        await trio.to_thread.run_sync(own["store"].stop)
        await trio.to_thread.run_sync(own["store"].start)
        await c.banned(stranger)
        await c.banned(home, name="other@example.test")
        await c.enter(home)
        await c.enter(lifted)
        await c.admin.admin.bans_add(c.ip(99), 60.0)
        await trio.to_thread.run_sync(own["store"].kill)
        await trio.to_thread.run_sync(own["store"].start)
        await c.banned(c.ip(99))
        await c.banned(stranger)
        assert await c.admin.admin.bans_lift_all() >= 3
        await c.enter(stranger)
        assert await c.admin.admin.bans_list("") == ()

    use(own, main)
    with sqlite3.connect(own.data_dir / "store" / "pillarbox.db", timeout=20) as database:
        assert database.execute("SELECT count(*) FROM ban").fetchone() == (0,)
    database.close()


def test_metrics_tell(own: Stack) -> None:
    async def main(c: Clients) -> None:
        await c.fail(c.ip(7), 4)
        await c.banned(c.ip(7))

    use(own, main)
    host, port = own["store"].metrics_address()
    text = urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10).read().decode()
    assert 'pillarbox_store_bans_total{kind="address"} ' in text
    assert 'pillarbox_store_logins_refused_total{kind="address"} ' in text
    assert re.search(r"^pillarbox_store_bans [1-9]", text, re.MULTILINE)
    lines = [json.loads(line) for line in own["store"].log.splitlines() if line.startswith("{")]
    assert {"kind", "subject", "until", "failures", "times", "tried"} <= set(
        next(line for line in reversed(lines) if "banned" in line.values())
    )
