"""What sessions say of TLS for the reports: real handshakes; and the day's end with real DNS."""

from __future__ import annotations

import random
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from services.smtp_out.connector import Connector, NoHost
from services.smtp_out.dane.finder import DaneFinder
from services.smtp_out.dane.judge import Dane
from services.smtp_out.dane.tlsa import usable_records
from services.smtp_out.mta_sts.policy import Mode, Policy
from services.smtp_out.options import Options, TlsPolicy
from services.smtp_out.route import Route, Router, Target
from services.smtp_out.tls_reports.seen import Applied, Failure, PolicyType, Seen, applied
from shared.dns.resolver import Limits, Resolver
from shared.testing.certificates import Authority
from shared.testing.dns_server import DnsServer, Trouble
from shared.testing.smtp_peer import Drop, Say, SmtpPeer

OPTIONS = Options("me.test", allow_private=True, command_seconds=0.7, end_seconds=0.7, connect_timeout_seconds=2)
ENFORCE = Policy(Mode.ENFORCE, 86400, ("mx.b.test",))
TESTING = Policy(Mode.TESTING, 86400, ("mx.b.test",))
ELSEWHERE = Policy(Mode.TESTING, 86400, ("mx.c.test",))
WRONG = Dane("mx.b.test", usable_records(["3 1 1 " + "ab" * 32]), ())
USELESS = Dane("mx.b.test", (), ())


def run(test: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        with trio.fail_after(15):
            return await test()

    return trio.run(main)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def tls_of(policy: Policy | None, dane: Dane | None) -> TlsPolicy:
    if dane is not None:
        return TlsPolicy.DANE
    return TlsPolicy.REQUIRED if policy is ENFORCE else TlsPolicy.OPPORTUNISTIC


def noted(
    peer: SmtpPeer, ca_file: Path | None, policy: Policy | None = None, dane: Dane | None = None, domain: str = "b.test"
) -> list[Seen]:
    """What one attempt to open a session leaves."""
    seen: list[Seen] = []
    target = Target("mx.b.test", "127.0.0.1", peer.port, tls_of(policy, dane), dane=dane)

    async def main() -> None:
        connector = Connector(attrs.evolve(OPTIONS, ca_file=ca_file), note=seen.append)
        try:
            session = await connector.open(Route((target,), domain, policy))
        except NoHost:
            return
        await session.close()

    run(main)
    return seen


def context(authority: Authority, kind: str) -> ssl.SSLContext | None:
    match kind:
        case "plain":
            return None
        case "name":
            return authority.server_context("mx.c.test")
        case "expired":
            return authority.server_context("mx.b.test", expired=True)
        case _:
            return authority.server_context("mx.b.test")


@pytest.mark.parametrize(
    ("server", "policy", "dane", "failure"),
    [
        ("good", None, None, None),
        ("good", ENFORCE, None, None),
        ("good", TESTING, None, None),
        ("good", ELSEWHERE, None, Failure.VALIDATION_FAILURE),
        ("untrusted", None, None, None),
        ("untrusted", ENFORCE, None, Failure.CERTIFICATE_NOT_TRUSTED),
        ("untrusted", TESTING, None, Failure.CERTIFICATE_NOT_TRUSTED),
        ("name", ENFORCE, None, Failure.CERTIFICATE_HOST_MISMATCH),
        ("expired", TESTING, None, Failure.CERTIFICATE_EXPIRED),
        ("plain", None, None, Failure.STARTTLS_NOT_SUPPORTED),
        ("plain", ENFORCE, None, Failure.STARTTLS_NOT_SUPPORTED),
        ("plain", TESTING, None, Failure.STARTTLS_NOT_SUPPORTED),
        ("plain", None, WRONG, Failure.STARTTLS_NOT_SUPPORTED),
        ("good", None, WRONG, Failure.VALIDATION_FAILURE),
        ("good", ENFORCE, USELESS, Failure.TLSA_INVALID),
    ],
)
def test_sessions(authority: Authority, server: str, policy: Policy | None, dane: Dane | None, failure: Failure | None) -> None:
    with SmtpPeer(tls=context(authority, server)) as peer:
        (seen,) = noted(peer, None if server == "untrusted" else authority.ca_file, policy, dane)
    expected = Seen("b.test", applied(policy, "mx.b.test", dane), failure)
    assert seen == (attrs.evolve(expected, host="mx.b.test", address="127.0.0.1") if failure else expected)


@pytest.mark.parametrize("policy", [None, ENFORCE, TESTING])
def test_a_broken_handshake(authority: Authority, policy: Policy | None) -> None:
    with SmtpPeer({"HANDSHAKE": Drop()}, tls=authority.server_context("mx.b.test")) as peer:
        (seen,) = noted(peer, authority.ca_file, policy)
    assert seen.failure is Failure.VALIDATION_FAILURE


def test_what_has_nothing_to_do_with_tls_is_not_counted(authority: Authority) -> None:
    with SmtpPeer({"CONNECT": Say("554 no")}) as peer:
        assert noted(peer, authority.ca_file, ENFORCE) == []
    with SmtpPeer({"EHLO": Drop(), "HELO": Drop()}) as peer:
        assert noted(peer, authority.ca_file, ENFORCE) == []
    with SmtpPeer() as peer:
        assert noted(peer, authority.ca_file, domain="") == []


def test_routes_without_a_session() -> None:
    seen: list[Seen] = []

    async def find(domain: str) -> Policy | None:
        return ENFORCE if domain == "named.test" else None

    async def main() -> None:
        resolver = Resolver([dns.address], Limits(timeout_seconds=0.3, lifetime_seconds=0.5, rounds=1, cache_size=0))
        router = Router(OPTIONS, resolver, random.Random(1), find, DaneFinder(resolver), seen.append)
        await router.route("Signed.test")
        await router.route("named.test")
        await router.route("[127.0.0.1]")

    with DnsServer(ttl=0) as dns:
        dns.sign("signed.test")
        for domain in ("signed.test", "named.test"):
            dns.set(domain, {"MX": [f"10 mx.{domain}."]})
            dns.set(f"mx.{domain}", {"A": ["127.0.0.1"]})
        dns.set("_25._tcp.mx.signed.test", Trouble.SERVFAIL)
        run(main)
    assert seen == [
        Seen("signed.test", Applied(PolicyType.TLSA, (), ("mx.signed.test",)), Failure.DNSSEC_INVALID, "mx.signed.test"),
        Seen("named.test", applied(ENFORCE, "", None), Failure.VALIDATION_FAILURE, "mx.named.test"),
    ]
