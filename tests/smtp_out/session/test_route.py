"""Routing by real DNS answers: the table of what a domain may look like, and what it leads to."""

from __future__ import annotations

import random
from typing import Any

import attrs
import pytest
import trio

from services.smtp_out.options import Options, SmartHost, TlsPolicy
from services.smtp_out.outcome import Result
from services.smtp_out.plan import MAX_ADDRESSES
from services.smtp_out.route import Route, Router
from shared.contract.types import OutcomeKind
from shared.dns.resolver import Limits, Resolver
from shared.testing.dns_server import DnsServer, Trouble

ZONES: dict[str, Any] = {
    "plain.test": {"MX": ["20 mx2.plain.test.", "10 mx1.plain.test."]},
    "mx1.plain.test": {"A": ["127.0.0.11"], "AAAA": ["::1"]},
    "mx2.plain.test": {"A": ["127.0.0.12"]},
    "implicit.test": {"A": ["127.0.0.13"]},
    "null.test": {"MX": ["0 ."]},
    "alias.test": {"CNAME": ["plain.test."]},
    "mxalias.test": {"MX": ["10 name.mxalias.test."]},
    "name.mxalias.test": {"CNAME": ["mx2.plain.test."]},
    "noaddress.test": {"MX": ["10 nowhere.noaddress.test."]},
    "nothing.test": {"TXT": ["here"]},
    "servfail.test": Trouble.SERVFAIL,
    "halfbroken.test": {"MX": ["10 servfail.test.", "20 mx2.plain.test."]},
    "broken.test": {"MX": ["10 servfail.test."]},
    "us.test": {"MX": ["10 me.test.", "20 mx1.plain.test."]},
    "backup.test": {"MX": ["10 mx2.plain.test.", "20 me.test.", "30 mx1.plain.test."]},
    "evil.test": {"MX": ["10 zero.evil.test."]},
    "zero.evil.test": {"A": ["0.0.0.0", "224.0.0.1"]},
    "home.test": {"MX": ["10 router.home.test."]},
    "router.home.test": {"A": ["192.168.1.1"]},
    "mixed.test": {"MX": ["10 mixed.test."], "A": ["0.0.0.0", "127.0.0.14"]},
    "huge.test": {"MX": [f"10 h{i}.huge.test." for i in range(200)]},
    **{f"h{i}.huge.test": {"A": [f"127.0.1.{j}" for j in range(1, 9)]} for i in range(200)},
    "smart.test": {"A": ["127.0.0.15", "10.0.0.1"]},
}
OPTIONS = Options("me.test", allow_private=True, mx_port=2525)


@pytest.fixture(scope="module")
def dns() -> Any:
    with DnsServer(ZONES) as server:
        yield server


def route(dns: DnsServer, destination: str, options: Options = OPTIONS) -> Route | Result:
    async def main() -> Route | Result:
        resolver = Resolver([dns.address], Limits(timeout_seconds=1, rounds=1))
        return await Router(options, resolver, random.Random(1)).route(destination)

    return trio.run(main)


def relay_route(dns: DnsServer, relay: SmartHost) -> Route | Result:
    async def main() -> Route | Result:
        return await Router(attrs.evolve(OPTIONS, allow_private=False), Resolver([dns.address]), random.Random(1)).relay_route(relay)

    return trio.run(main)


@pytest.mark.parametrize(
    ("destination", "targets"),
    [
        ("plain.test", [("mx1.plain.test", "::1"), ("mx1.plain.test", "127.0.0.11"), ("mx2.plain.test", "127.0.0.12")]),
        ("implicit.test", [("implicit.test", "127.0.0.13")]),
        ("alias.test", [("mx1.plain.test", "::1"), ("mx1.plain.test", "127.0.0.11"), ("mx2.plain.test", "127.0.0.12")]),
        ("mxalias.test", [("name.mxalias.test", "127.0.0.12")]),
        ("halfbroken.test", [("mx2.plain.test", "127.0.0.12")]),
        ("backup.test", [("mx2.plain.test", "127.0.0.12")]),
        ("mixed.test", [("mixed.test", "127.0.0.14")]),
        ("[127.0.0.9]", [("127.0.0.9", "127.0.0.9")]),
    ],
)
def test_targets(dns: DnsServer, destination: str, targets: list[tuple[str, str]]) -> None:
    found = route(dns, destination)
    assert isinstance(found, Route)
    assert [(target.host, target.address) for target in found.targets] == targets
    assert {(target.port, target.tls) for target in found.targets} == {(2525, TlsPolicy.OPPORTUNISTIC)}


@pytest.mark.parametrize(
    ("destination", "kind", "enhanced"),
    [
        ("missing.test", OutcomeKind.FAILED, "5.1.2"),
        ("null.test", OutcomeKind.FAILED, "5.1.10"),
        ("noaddress.test", OutcomeKind.FAILED, "5.4.4"),
        ("nothing.test", OutcomeKind.FAILED, "5.4.4"),
        ("us.test", OutcomeKind.FAILED, "5.4.6"),
        ("evil.test", OutcomeKind.FAILED, "5.4.4"),
        ("[bad]", OutcomeKind.FAILED, "5.1.2"),
        ("servfail.test", OutcomeKind.DEFERRED, "4.4.3"),
        ("broken.test", OutcomeKind.DEFERRED, "4.4.3"),
    ],
)
def test_no_route(dns: DnsServer, destination: str, kind: OutcomeKind, enhanced: str) -> None:
    found = route(dns, destination)
    assert isinstance(found, Result)
    assert (found.kind, found.enhanced) == (kind, enhanced)


def test_private_addresses_need_the_setting(dns: DnsServer) -> None:
    assert isinstance(route(dns, "home.test"), Route)
    refused = route(dns, "home.test", attrs.evolve(OPTIONS, allow_private=False))
    assert isinstance(refused, Result)
    assert (refused.kind, refused.enhanced) == (OutcomeKind.FAILED, "5.4.4")
    assert "192.168.1.1" in refused.text


def test_a_huge_zone_costs_a_bounded_number_of_questions(dns: DnsServer) -> None:
    before = len(dns.queries)
    found = route(dns, "huge.test")
    assert isinstance(found, Route)
    assert len(found.targets) == MAX_ADDRESSES
    assert len(dns.queries) - before <= 2 + 2 * 16


def test_a_relay_without_tls_is_only_on_loopback(dns: DnsServer) -> None:
    for tls, addresses in ((TlsPolicy.REQUIRED, {"127.0.0.15", "10.0.0.1"}), (TlsPolicy.NONE, {"127.0.0.15"})):
        relay = SmartHost("smart.test", 587, tls)
        found = relay_route(dns, relay)
        assert isinstance(found, Route)
        assert {target.address for target in found.targets} == addresses
        assert {(target.host, target.port, target.tls) for target in found.targets} == {("smart.test", 587, tls)}
        assert found.relay == relay
    assert isinstance(relay_route(dns, SmartHost("missing.test", 587)), Result)
