"""The resolver against a real server on loopback: answers, negative answers, trouble, cache, one packet per burst."""

from __future__ import annotations

import pathlib
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from shared.dns.answers import DnsAnswer, DnsFailure, DnsStatus, MxRecord
from shared.dns.resolver import Limits, Resolver, system_servers
from shared.testing.dns_server import DnsServer, Trouble, free_loopback_port

ZONES = {
    "example.test": {"MX": ["20 mx2.example.test.", "10 MX1.example.test."], "TXT": ['"v=spf1 " "-all"']},
    "mx1.example.test": {"A": ["127.0.0.1"], "AAAA": ["::1"]},
    "null.test": {"MX": ["0 ."]},
    "alias.test": {"CNAME": ["example.test."]},
    "dangling.test": {"CNAME": ["nowhere.test."]},
    "loop.test": {"CNAME": ["loop.test."]},
    "below.only.test": {"A": ["127.0.0.2"]},
    "big.test": {"A": [f"10.0.{i}.{j}" for i in range(4) for j in range(120)]},
    "servfail.test": Trouble.SERVFAIL,
    "refused.test": Trouble.REFUSED,
    "drop.test": Trouble.DROP,
    "garbage.test": Trouble.GARBAGE,
    "half.test": {"AAAA": Trouble.SERVFAIL, "A": ["127.0.0.3"]},
    "1.0.0.127.in-addr.arpa": {"PTR": ["mx1.example.test."]},
}
FAST = Limits(timeout_seconds=0.2, rounds=1)


def ask(test: Callable[[DnsServer, Resolver], Awaitable[None]], limits: Limits = FAST) -> None:
    async def main() -> None:
        await test(server, Resolver([server.address], limits))

    with DnsServer(ZONES) as server:
        trio.run(main)


@pytest.mark.parametrize(
    ("name", "rdtype", "status", "records"),
    [
        ("Example.Test.", "MX", DnsStatus.FOUND, {"20 mx2.example.test", "10 mx1.example.test"}),
        ("example.test", "TXT", DnsStatus.FOUND, {"v=spf1 -all"}),
        ("null.test", "MX", DnsStatus.FOUND, {"0 "}),
        ("alias.test", "MX", DnsStatus.FOUND, {"20 mx2.example.test", "10 mx1.example.test"}),
        ("dangling.test", "MX", DnsStatus.NO_NAME, set()),
        ("missing.test", "MX", DnsStatus.NO_NAME, set()),
        ("example.test", "A", DnsStatus.NO_DATA, set()),
        ("only.test", "A", DnsStatus.NO_DATA, set()),
        ("1.0.0.127.in-addr.arpa", "PTR", DnsStatus.FOUND, {"mx1.example.test"}),
        ("a" * 64 + ".test", "A", DnsStatus.NO_NAME, set()),
        ("double..dot", "A", DnsStatus.NO_NAME, set()),
    ],
)
def test_answers(name: str, rdtype: str, status: DnsStatus, records: set[str]) -> None:
    async def check(_: DnsServer, resolver: Resolver) -> None:
        answer = await resolver.resolve(name, rdtype)
        assert answer.status is status
        assert set(answer.records) == records

    ask(check)


def test_cname_gives_the_canonical_name() -> None:
    async def check(_: DnsServer, resolver: Resolver) -> None:
        assert (await resolver.resolve("alias.test", "MX")).canonical_name == "example.test"

    ask(check)


def test_mx_parses() -> None:
    async def check(_: DnsServer, resolver: Resolver) -> None:
        _, records = await resolver.mx("example.test")
        assert set(records) == {MxRecord(10, "mx1.example.test"), MxRecord(20, "mx2.example.test")}
        _, records = await resolver.mx("null.test")
        assert records == (MxRecord(0, ""),)

    ask(check)


@pytest.mark.parametrize("name", ["servfail.test", "refused.test", "drop.test", "garbage.test", "loop.test"])
def test_trouble_is_temporary(name: str) -> None:
    async def check(_: DnsServer, resolver: Resolver) -> None:
        with pytest.raises(DnsFailure):
            await resolver.resolve(name, "A")
        assert resolver.statistics()["in_flight"] == 0

    ask(check)


def test_a_dead_server_is_passed_over() -> None:
    async def check(server: DnsServer, _: Resolver) -> None:
        resolver = Resolver([("127.0.0.1", free_loopback_port()), server.address], FAST)
        assert (await resolver.resolve("mx1.example.test", "A")).records == ("127.0.0.1",)

    ask(check)


def test_big_answer_comes_by_tcp_and_is_bounded() -> None:
    async def check(server: DnsServer, resolver: Resolver) -> None:
        answer = await resolver.resolve("big.test", "A")
        assert len(answer.records) == 256
        assert [q.transport for q in server.queries] == ["udp", "tcp"]

    ask(check, Limits(timeout_seconds=2))


def test_addresses_are_ipv6_first_and_half_an_answer_is_enough() -> None:
    async def check(_: DnsServer, resolver: Resolver) -> None:
        assert await resolver.addresses("mx1.example.test") == ("::1", "127.0.0.1")
        assert await resolver.addresses("half.test") == ("127.0.0.3",)
        assert await resolver.addresses("missing.test") == ()
        with pytest.raises(DnsFailure):
            await resolver.addresses("servfail.test")

    ask(check)


def test_cache_answers_until_the_ttl_is_over() -> None:
    async def main() -> None:
        now = 0.0
        resolver = Resolver([server.address], FAST, clock=lambda: now)
        for _ in range(3):
            await resolver.resolve("mx1.example.test", "A")
            await resolver.resolve("missing.test", "A")
        assert server.count("mx1.example.test") == 1
        assert server.count("missing.test") == 1
        now = 61.0
        await resolver.resolve("mx1.example.test", "A")
        assert server.count("mx1.example.test") == 2

    with DnsServer(ZONES, ttl=60) as server:
        trio.run(main)


def test_a_burst_is_one_question() -> None:
    async def check(server: DnsServer, resolver: Resolver) -> None:
        answers: list[DnsAnswer] = []

        async def one() -> None:
            answers.append(await resolver.resolve("mx1.example.test", "A"))

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(one)
        assert len(answers) == 50
        assert server.count("mx1.example.test") == 1

    ask(check)


def test_a_cancelled_asker_hands_over() -> None:
    async def check(server: DnsServer, resolver: Resolver) -> None:
        answers: list[DnsAnswer] = []

        async def second() -> None:
            answers.append(await resolver.resolve("drop.test", "A"))

        async with trio.open_nursery() as nursery:
            first = trio.CancelScope()

            async def leader() -> None:
                with first:
                    await resolver.resolve("drop.test", "A")

            nursery.start_soon(leader)
            await trio.to_thread.run_sync(server.wait_query, "drop.test")
            nursery.start_soon(second)
            await trio.testing.wait_all_tasks_blocked()
            server.set("drop.test", {"A": ["127.0.0.9"]})
            first.cancel()
        assert answers[0].records == ("127.0.0.9",)

    ask(check, Limits(timeout_seconds=5, rounds=1))


def test_system_servers(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("# comment\nnameserver 192.0.2.1\nsearch x\nnameserver ::1\nnameserver\n")
    assert system_servers(path) == (("192.0.2.1", 53), ("::1", 53))
    assert system_servers(tmp_path / "none") == (("127.0.0.1", 53),)
