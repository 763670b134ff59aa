"""Finding the MTA-STS policy of a domain: real DNS, real HTTPS; and what a route makes of it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from services.smtp_out.mta_sts.cache import REFRESH_SECONDS
from services.smtp_out.mta_sts.finder import PolicyFinder, StsOptions
from services.smtp_out.mta_sts.policy import Mode, Policy
from services.smtp_out.options import Options, TlsPolicy
from services.smtp_out.outcome import Result
from services.smtp_out.route import Route, Router
from services.smtp_out.tls_reports.seen import Applied, Failure, Note, PolicyType, Seen, applied, note_nothing
from shared.contract.types import OutcomeKind
from shared.dns.resolver import Limits, Resolver
from shared.net.tls import verifying_client_context
from shared.observe.log import Level, Logger
from shared.testing.certificates import Authority
from shared.testing.dns_server import DnsServer, Trouble
from shared.testing.https_peer import HttpsPeer, Piece, http_answer


def policy_text(mode: str = "enforce", *mx: str, max_age: int = 604800) -> bytes:
    names = "".join(f"mx: {one}\n" for one in mx or ("mx.b.test",))
    return f"version: STSv1\nmode: {mode}\n{names}max_age: {max_age}\n".encode()


class Place:
    """DNS, HTTPS for mta-sts.b.test, a clock, a finder."""

    def __init__(self, folder: Path, dns: DnsServer, https: HttpsPeer, ca_file: Path) -> None:
        self.dns = dns
        self.https = https
        self.now = 1_800_000_000.0
        self.lines: list[str] = []
        self.options = StsOptions(folder / "mta-sts.json", https.port, 1.0, 10, allow_private=True)
        self.ca_file = ca_file
        self.record("1")
        dns.set("mta-sts.b.test", {"A": ["127.0.0.1"]})
        self.serve(http_answer(policy_text()))

    def record(self, identity: str) -> None:
        self.dns.set("_mta-sts.b.test", {"TXT": [f'"v=STSv1; id={identity};"']})

    def serve(self, pieces: list[Piece]) -> None:
        self.https.answer(pieces)

    def finder(self, note: Note = note_nothing, **changes: Any) -> PolicyFinder:
        resolver = Resolver([self.dns.address], Limits(timeout_seconds=0.3, lifetime_seconds=0.5, rounds=1, cache_size=0))
        log = Logger("smtp_out", Level.DEBUG, True, self.lines.append)
        context = verifying_client_context(self.ca_file)
        return PolicyFinder(attrs.evolve(self.options, **changes), resolver, context, log, lambda: self.now, note)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def place(tmp_path: Path, authority: Authority) -> Iterator[Place]:
    context = authority.server_context("mta-sts.b.test")
    with DnsServer(ttl=0) as dns, HttpsPeer(context) as https:
        yield Place(tmp_path / "kept", dns, https, authority.ca_file)


def run(test: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        with trio.fail_after(20):
            return await test()

    return trio.run(main)


FOUND = Policy(Mode.ENFORCE, 604800, ("mx.b.test",))


def test_a_policy_is_fetched_once_for_all_who_ask(place: Place) -> None:
    finder = place.finder()
    found: list[Policy | None] = []

    async def ask() -> None:
        found.append(await finder.find("B.test"))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
        await ask()

    run(main)
    assert found == [FOUND] * 21
    assert place.https.requests == [("mta-sts.b.test", "/.well-known/mta-sts.txt")]


@pytest.mark.parametrize("name", ["nothing.test", "[127.0.0.1]", "xn--a" + "b" * 80 + ".test", "a" * 64 + ".test", ""])
def test_domains_without_a_record_have_no_policy(place: Place, name: str) -> None:
    assert run(lambda: place.finder().find(name)) is None
    assert not place.https.requests


def test_a_new_id_fetches_anew(place: Place) -> None:
    finder = place.finder()
    assert run(lambda: finder.find("b.test")) == FOUND
    place.serve(http_answer(policy_text("testing")))
    assert run(lambda: finder.find("b.test")) == FOUND
    place.record("2")
    assert run(lambda: finder.find("b.test")) == attrs.evolve(FOUND, mode=Mode.TESTING)
    assert len(place.https.requests) == 2


@pytest.mark.parametrize("trouble", ["https down", "record gone", "DNS down", "no policy any more", "host gone"])
def test_a_policy_holds_to_its_end_whatever_happens(place: Place, trouble: str) -> None:
    finder = place.finder()
    assert run(lambda: finder.find("b.test")) == FOUND
    place.record("2")
    match trouble:
        case "https down":
            place.https.close()
        case "record gone":
            place.dns.remove("_mta-sts.b.test")
        case "DNS down":
            place.dns.set("_mta-sts.b.test", Trouble.SERVFAIL)
        case "no policy any more":
            place.serve(http_answer(b"", "404 Not Found"))
        case _:
            place.dns.set("mta-sts.b.test", Trouble.SERVFAIL)
    place.now += 604800 - 1
    assert run(lambda: finder.find("b.test")) == FOUND
    place.now += 1
    assert run(lambda: finder.find("b.test")) is None


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ("certificate", Failure.STS_WEBPKI_INVALID),
        ("text", Failure.STS_POLICY_INVALID),
        ("status", Failure.STS_FETCH_ERROR),
        ("address", Failure.STS_FETCH_ERROR),
    ],
)
def test_what_cannot_be_fetched_is_counted_for_the_domains_report(place: Place, fault: str, failure: Failure) -> None:
    match fault:
        case "certificate":
            place.dns.set("_mta-sts.c.test", {"TXT": ['"v=STSv1; id=1"']})
            place.dns.set("mta-sts.c.test", {"A": ["127.0.0.1"]})
        case "text":
            place.serve(http_answer(b"hello"))
        case "status":
            place.serve(http_answer(b"", "404 Not Found"))
        case _:
            place.dns.remove("mta-sts.b.test")
    domain = "c.test" if fault == "certificate" else "b.test"
    seen: list[Seen] = []
    assert run(lambda: place.finder(seen.append).find(domain)) is None
    assert seen == [Seen(domain, Applied(PolicyType.STS), failure)]


def test_a_policy_that_holds_is_named_with_the_failure(place: Place) -> None:
    seen: list[Seen] = []
    finder = place.finder(seen.append)
    assert run(lambda: finder.find("b.test")) == FOUND
    assert seen == []
    place.record("2")
    place.serve(http_answer(b"", "404 Not Found"))
    assert run(lambda: finder.find("b.test")) == FOUND
    assert seen == [Seen("b.test", applied(FOUND, "", None), Failure.STS_FETCH_ERROR)]


def test_a_failed_fetch_waits_but_for_a_new_id(place: Place) -> None:
    finder = place.finder()
    place.serve(http_answer(b"", "500 Internal Server Error"))

    async def main() -> None:
        assert await finder.find("b.test") is None
        assert await finder.find("b.test") is None
        assert len(place.https.requests) == 1
        place.record("2")
        place.serve(http_answer(policy_text()))
        assert await finder.find("b.test") == FOUND

    run(main)
    assert len(place.https.requests) == 2
    assert sum("MTA-STS policy not fetched" in line for line in place.lines) == 1


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        (http_answer(policy_text() + b"x: " + b"y" * 65536), "more than 65536 octets"),
        ([CHUNKED, *[b"1000\r\n" + b"x" * 4096 + b"\r\n"] * 100], "more than 65536 octets"),
        ([5.0], "within 1 s"),
        ([CHUNKED, *[b"1\r\nx\r\n", 0.05] * 100], "within 1 s"),
        (http_answer(policy_text(), "302 Found", "text/plain", "Location: https://mta-sts.b.test/x"), "answered 302"),
        (http_answer(policy_text(), "200 OK", "text/html"), "text/html instead of text/plain"),
        (http_answer(policy_text(), "200 OK", ""), "no type instead of text/plain"),
        (http_answer(policy_text(), "206 Partial Content"), "answered 206"),
        (http_answer(policy_text("enforce", "*")), "is no policy"),
        (http_answer(policy_text()[:-20]), "is no policy"),
    ],
)
def test_hostile_policies_are_bounded_and_none(place: Place, pieces: list[Piece], reason: str) -> None:
    place.serve(pieces)
    assert run(lambda: place.finder().find("b.test")) is None
    assert any(reason in line and "MTA-STS policy not fetched" in line for line in place.lines)
    assert len(place.https.requests) == 1


def test_a_wrong_certificate_gives_no_policy(place: Place, authority: Authority) -> None:
    for context in (authority.server_context("b.test"), authority.server_context("mta-sts.b.test", expired=True)):
        with HttpsPeer(context) as https:
            https.answer(http_answer(policy_text()))
            assert run(lambda https=https: place.finder(port=https.port).find("b.test")) is None  # type: ignore[misc]
            assert not https.requests


def test_private_addresses_are_not_asked(place: Place) -> None:
    assert run(lambda: place.finder(allow_private=False).find("b.test")) is None
    assert not place.https.requests


async def settle(finder: PolicyFinder, use: Callable[[], Awaitable[object]]) -> None:
    """Use a running finder and end it as the process does."""
    await finder.load()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(finder.run)
        await trio.testing.wait_all_tasks_blocked()
        await use()
        nursery.cancel_scope.cancel()


def test_policies_survive_a_restart(place: Place) -> None:
    first = place.finder()
    run(lambda: settle(first, lambda: first.find("b.test")))
    place.https.close()
    second = place.finder()
    found: list[Policy | None] = []

    async def ask() -> None:
        found.append(await second.find("b.test"))

    run(lambda: settle(second, ask))
    assert found == [FOUND]


def test_a_broken_file_is_passed_over_and_replaced(place: Place) -> None:
    path = place.options.shelf
    assert path is not None
    path.parent.mkdir()
    path.write_bytes(b"\xffnothing")
    finder = place.finder()
    run(lambda: settle(finder, lambda: finder.find("b.test")))
    assert b"b.test" in path.read_bytes()


def test_a_folder_that_cannot_be_used_is_told_and_no_more(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finder = place.finder(shelf=tmp_path / "file" / "mta-sts.json")
    run(lambda: settle(finder, lambda: finder.find("b.test")))
    assert sum("file of MTA-STS policies cannot be" in line for line in place.lines) == 2


def test_policies_are_refreshed_before_they_end(place: Place) -> None:
    finder = place.finder()

    async def main() -> None:
        await finder.find("b.test")
        await finder.refresh()
        assert len(place.https.requests) == 1
        place.now += REFRESH_SECONDS
        place.serve(http_answer(policy_text(max_age=86400)))
        await finder.refresh()
        assert len(place.https.requests) == 2
        assert await finder.find("b.test") == attrs.evolve(FOUND, max_age_seconds=86400)
        place.now += 86400 / 2
        place.serve(http_answer(b"", "404 Not Found"))
        await finder.refresh()
        await finder.refresh()  # not again so soon
        assert len(place.https.requests) == 3
        assert await finder.find("b.test") is not None
        place.now += 86400 / 2
        assert await finder.find("b.test") is None

    run(main)


@pytest.mark.parametrize(("max_age", "pauses"), [(604800, (3600, 4 * 3600)), (7200, (1500, 1801)), (600, (100, 301))])
def test_a_refresh_that_fails_is_repeated_in_time(place: Place, max_age: int, pauses: tuple[int, int]) -> None:
    """Not every few minutes while the policy holds, but before half of what is left of it is over, or in 5 minutes."""
    clock = trio.testing.MockClock(rate=1.0)
    finder = place.finder()
    place.serve(http_answer(policy_text(max_age=max_age)))

    async def main() -> list[int]:
        await finder.find("b.test")
        place.now += min(REFRESH_SECONDS, max_age / 2)
        place.serve(http_answer(b"", "404 Not Found"))
        await finder.refresh()
        counts = [len(place.https.requests)]
        start = trio.current_time()
        for pause in pauses:
            clock.jump(start + pause - trio.current_time())
            await finder.refresh()
            counts.append(len(place.https.requests))
        return counts

    assert trio.run(main, clock=clock) == [2, 2, 3]


# --- what a route makes of it ---

ZONES: dict[str, Any] = {
    "b.test": {"MX": ["10 mx.b.test.", "20 other.test.", "30 a.w.test."]},
    "mx.b.test": {"A": ["127.0.0.2"]},
    "other.test": {"A": ["127.0.0.3"]},
    "a.w.test": {"A": ["127.0.0.4"]},
    "alone.test": {"A": ["127.0.0.5"]},
}


def route(policy: Policy | None, destination: str = "b.test") -> Route | Result:
    async def find(_: str) -> Policy | None:
        return policy

    async def main() -> Route | Result:
        with DnsServer(ZONES) as dns:
            resolver = Resolver([dns.address], Limits(timeout_seconds=1, rounds=1))
            return await Router(Options("me.test", allow_private=True), resolver, random.Random(1), find).route(destination)

    return trio.run(main)


@pytest.mark.parametrize(
    ("mode", "patterns", "targets"),
    [
        ("enforce", ("mx.b.test",), [("mx.b.test", TlsPolicy.REQUIRED, "MTA-STS enforce")]),
        (
            "enforce", ("*.w.test", "mx.b.test"),
            [("mx.b.test", TlsPolicy.REQUIRED, "MTA-STS enforce"), ("a.w.test", TlsPolicy.REQUIRED, "MTA-STS enforce")],
        ),
        (
            "testing", ("mx.b.test",),
            [
                ("mx.b.test", TlsPolicy.OPPORTUNISTIC, "MTA-STS testing"),
                ("other.test", TlsPolicy.OPPORTUNISTIC, "MTA-STS testing (host not in the policy)"),
                ("a.w.test", TlsPolicy.OPPORTUNISTIC, "MTA-STS testing (host not in the policy)"),
            ],
        ),
        ("none", (), [(name, TlsPolicy.OPPORTUNISTIC, "") for name in ("mx.b.test", "other.test", "a.w.test")]),
    ],
)  # fmt: skip
def test_targets_under_a_policy(mode: str, patterns: tuple[str, ...], targets: list[tuple[str, TlsPolicy, str]]) -> None:
    found = route(Policy(Mode(mode), 60, patterns))
    assert isinstance(found, Route)
    assert [(target.host, target.tls, target.promise) for target in found.targets] == targets


def test_no_host_of_the_policy_defers_and_says_so() -> None:
    found = route(Policy(Mode.ENFORCE, 60, ("mail.b.test",)))
    assert isinstance(found, Result)
    assert (found.kind, found.enhanced) == (OutcomeKind.DEFERRED, "4.7.0")
    assert "MTA-STS policy of b.test (enforce) names none" in found.text
    assert "mx.b.test, other.test, a.w.test" in found.text


def test_a_domain_without_mx_is_its_own_host() -> None:
    found = route(Policy(Mode.ENFORCE, 60, ("alone.test",)), "alone.test")
    assert isinstance(found, Route)
    assert [target.host for target in found.targets] == ["alone.test"]


def test_address_literals_have_no_policy() -> None:
    found = route(Policy(Mode.ENFORCE, 60, ("mx.b.test",)), "[127.0.0.9]")
    assert isinstance(found, Route)
    assert found.targets[0].tls is TlsPolicy.OPPORTUNISTIC
