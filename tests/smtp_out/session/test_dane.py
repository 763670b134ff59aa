"""DANE: which records hold for a route, asked of real DNS; what a real handshake makes of them."""

from __future__ import annotations

import hashlib
import random
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from services.smtp_out.connector import Connector, NoHost
from services.smtp_out.dane.finder import DaneFinder
from services.smtp_out.dane.judge import UNAUTHENTICATED, Dane
from services.smtp_out.dane.tlsa import usable_records
from services.smtp_out.mta_sts.policy import Mode, Policy
from services.smtp_out.options import Options, TlsPolicy
from services.smtp_out.outcome import Result
from services.smtp_out.route import Route, Router, Target
from shared.contract.types import OutcomeKind
from shared.contract.wishes_types import TlsWish
from shared.dns.resolver import Limits, Resolver
from shared.testing.certificates import Authority, make_certificate
from shared.testing.dns_server import DnsServer, Trouble
from shared.testing.smtp_peer import Drop, Say, SmtpPeer

OPTIONS = Options("me.test", allow_private=True, command_seconds=0.7, end_seconds=0.7, connect_timeout_seconds=2)
DIGEST = "3 1 1 " + "ab" * 32


def run(test: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        with trio.fail_after(15):
            return await test()

    return trio.run(main)


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer(ttl=0) as server:
        server.set("b.test", {"MX": ["10 mx.b.test."]})
        server.set("mx.b.test", {"A": ["127.0.0.1"]})
        server.set("_25._tcp.mx.b.test", {"TLSA": [DIGEST]})
        server.sign("b.test")
        yield server


def route(
    dns: DnsServer, destination: str = "b.test", policy: Policy | None = None, wish: TlsWish = TlsWish.ANY
) -> Route | Result:
    async def find(domain: str) -> Policy | None:
        return policy

    async def main() -> Route | Result:
        resolver = Resolver([dns.address], Limits(timeout_seconds=0.3, lifetime_seconds=0.5, rounds=1, cache_size=0))
        return await Router(OPTIONS, resolver, random.Random(1), find, DaneFinder(resolver)).route(destination, wish)

    found: Route | Result = run(main)
    return found


def dane_of(found: Route | Result) -> Dane | None:
    assert isinstance(found, Route)
    (target,) = found.targets
    assert (target.tls is TlsPolicy.DANE) == (target.dane is not None) == (target.promise == "DANE")
    return target.dane


def test_signed_records_hold(dns: DnsServer) -> None:
    assert dane_of(route(dns, "B.Test")) == Dane("mx.b.test", usable_records([DIGEST]), ("mx.b.test", "b.test"))


def test_a_domain_without_mx_is_its_own_host(dns: DnsServer) -> None:
    dns.set("b.test", {"A": ["127.0.0.1"]})
    dns.set("_25._tcp.b.test", {"TLSA": [DIGEST]})
    assert dane_of(route(dns)) == Dane("b.test", usable_records([DIGEST]), ("b.test",))


def test_what_a_sender_wants_of_tls_beside_dane(dns: DnsServer) -> None:
    """RFC 8689 §4.2.1: the signed zone vouches for the host's name, its TLSA records for the certificate."""
    found = route(dns, wish=TlsWish.REQUIRED)
    assert isinstance(found, Route)
    (target,) = found.targets
    assert (target.tls, target.promise, target.vouched) == (TlsPolicy.DANE, "REQUIRETLS", True)
    assert target.dane == Dane("mx.b.test", usable_records([DIGEST]), ("mx.b.test", "b.test"))
    assert found.require_tls
    # records without use authenticate nobody: the certificate has to verify by itself
    dns.set("_25._tcp.mx.b.test", {"TLSA": ["1 1 1 " + "ab" * 32]})
    found = route(dns, wish=TlsWish.REQUIRED)
    assert isinstance(found, Route)
    assert [(each.tls, each.vouched, each.dane) for each in found.targets] == [(TlsPolicy.REQUIRED, True, None)]
    # nothing vouches for a host that an unsigned zone names
    dns.set("c.test", {"MX": ["10 mx.b.test."]})
    refused = route(dns, "c.test", wish=TlsWish.REQUIRED)
    assert isinstance(refused, Result)
    assert (refused.kind, refused.enhanced) == (OutcomeKind.FAILED, "5.7.10")
    # TLS-Required: No (§4.2.2) asks nobody
    dns.set("_25._tcp.mx.b.test", Trouble.SERVFAIL)
    found = route(dns, wish=TlsWish.OPTIONAL)
    assert isinstance(found, Route)
    assert [(each.tls, each.dane) for each in found.targets] == [(TlsPolicy.OPPORTUNISTIC, None)]


def test_records_without_use_still_ask_for_encryption(dns: DnsServer) -> None:
    dns.set("_25._tcp.mx.b.test", {"TLSA": ["1 1 1 " + "ab" * 32]})
    found = dane_of(route(dns))
    assert found is not None
    assert found.records == ()


@pytest.mark.parametrize("fault", ["mx unsigned", "host unsigned", "records unsigned", "no records", "no name"])
def test_without_a_signature_or_records_there_is_no_dane(dns: DnsServer, fault: str) -> None:
    match fault:
        case "mx unsigned":
            dns.set("c.test", {"MX": ["10 mx.b.test."]})
        case "host unsigned":
            dns.set("b.test", {"MX": ["10 mx.c.test."]})
            dns.set("mx.c.test", {"A": ["127.0.0.1"]})
            dns.set("_25._tcp.mx.c.test", Trouble.SERVFAIL)  # not even asked
        case "records unsigned":
            dns.set("_25._tcp.mx.b.test", {"CNAME": ["tlsa.c.test."]})
            dns.set("tlsa.c.test", {"TLSA": [DIGEST]})
        case "no records":
            dns.set("_25._tcp.mx.b.test", {"TXT": ["x"]})
        case _:
            dns.remove("_25._tcp.mx.b.test")
    assert dane_of(route(dns, "c.test" if fault == "mx unsigned" else "b.test")) is None
    assert not dns.count("_25._tcp.mx.c.test")


def test_an_aliased_host(dns: DnsServer) -> None:
    dns.set("mx.b.test", {"CNAME": ["real.c.test."]})
    dns.set("real.c.test", {"A": ["127.0.0.1"]})
    dns.set("_25._tcp.real.c.test", {"TLSA": [DIGEST]})
    # RFC 7672 §2.2.2: the alias is signed, what it stands for is not
    found = dane_of(route(dns))
    assert found is not None
    assert found.base == "mx.b.test"
    dns.sign("c.test")
    found = dane_of(route(dns))
    assert found is not None
    assert found.base == "real.c.test"
    assert found.names == ("real.c.test", "mx.b.test", "b.test")
    dns.remove("_25._tcp.real.c.test")
    found = dane_of(route(dns))
    assert found is not None
    assert found.base == "mx.b.test"


def test_an_unsigned_alias_counts_for_nothing(dns: DnsServer) -> None:
    dns.set("b.test", {"MX": ["10 mx.c.test."]})
    dns.set("mx.c.test", {"CNAME": ["mx.b.test."]})
    assert dane_of(route(dns)) is None


def test_an_aliased_domain(dns: DnsServer) -> None:
    dns.set("www.b.test", {"CNAME": ["b.test."]})
    found = dane_of(route(dns, "www.b.test"))
    assert found is not None
    assert found.names == ("mx.b.test", "www.b.test", "b.test")


@pytest.mark.parametrize("trouble", [Trouble.SERVFAIL, Trouble.DROP, Trouble.GARBAGE])
def test_a_failed_lookup_never_means_that_there_are_none(dns: DnsServer, trouble: Trouble) -> None:
    dns.set("_25._tcp.mx.b.test", trouble)
    found = route(dns)
    assert isinstance(found, Result)
    assert (found.kind, found.enhanced) == (OutcomeKind.DEFERRED, "4.4.3")
    # another host is another way
    dns.set("b.test", {"MX": ["10 mx.b.test.", "20 second.b.test."]})
    dns.set("second.b.test", {"A": ["127.0.0.2"]})
    found = route(dns)
    assert isinstance(found, Route)
    assert [target.host for target in found.targets] == ["second.b.test"]


def test_the_question_for_the_alias_may_fail_too(dns: DnsServer) -> None:
    dns.set("mx.b.test", {"A": ["127.0.0.1"], "AAAA": Trouble.SERVFAIL})
    assert dane_of(route(dns)) is not None


def test_dane_goes_before_mta_sts(dns: DnsServer) -> None:
    policy = Policy(Mode.ENFORCE, 1000, ("other.b.test",))
    assert dane_of(route(dns, policy=policy)) is not None
    dns.remove("_25._tcp.mx.b.test")
    found = route(dns, policy=policy)
    assert isinstance(found, Result)
    assert "names none of its mail exchangers: mx.b.test" in found.text


# --- handshakes ---


def open_session(peer: SmtpPeer, *records: str) -> str:
    """What a session says of TLS under these records."""
    dane = Dane("mx.b.test", usable_records(records), ("mx.b.test", "b.test"))
    target = Target("mx.b.test", "127.0.0.1", peer.port, TlsPolicy.DANE, "DANE", dane=dane)

    async def main() -> str:
        session = await Connector(OPTIONS).open(Route((target,)))
        tls = session.tls
        await session.close()
        return tls

    told: str = run(main)
    return told


def self_signed(folder: Path, name: str = "mx.b.test") -> tuple[ssl.SSLContext, str]:
    """A context, and the digest of its certificate."""
    cert, key = make_certificate(folder, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, hashlib.sha256(ssl.PEM_cert_to_DER_cert(cert.read_text())).hexdigest()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_servers_own_certificate(tmp_path: Path, version: ssl.TLSVersion) -> None:
    context, digest = self_signed(tmp_path, "somebody.else.test")
    context.maximum_version = context.minimum_version = version
    asked: list[str] = []
    context.sni_callback = lambda connection, name, _: asked.append(name)
    with SmtpPeer(tls=context) as peer:
        assert open_session(peer, f"3 0 1 {digest}").endswith(", DANE-EE verified")
        assert asked == ["mx.b.test"]
        assert peer.connections == 1


@pytest.mark.parametrize("name", ["mx.b.test", "b.test", "c.test"])
def test_an_authority_of_the_zones_choice(tmp_path: Path, name: str) -> None:
    authority = Authority(tmp_path)
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(authority.ca_file.read_text())).hexdigest()
    with SmtpPeer(tls=authority.server_context(name, whole_chain=True)) as peer:
        if name != "c.test":
            assert open_session(peer, f"2 0 1 {digest}").endswith(", DANE-TA verified")
        else:
            with pytest.raises(NoHost) as trouble:
                open_session(peer, f"2 0 1 {digest}")
            assert "subjectAltName" in trouble.value.result.text


@pytest.mark.parametrize(
    ("fault", "enhanced", "reason"),
    [
        ("certificate", "4.7.5", "certificate not accepted: no TLSA record fits the certificate (DANE)"),
        ("plain", "4.7.4", "the server offers no STARTTLS, and TLS is required (DANE)"),
        ("refused", "4.7.4", "the server refused STARTTLS, and TLS is required (DANE)"),
        ("handshake", "4.7.5", "during the TLS handshake (DANE)"),
    ],
)
def test_no_mail_goes_out_otherwise(tmp_path: Path, fault: str, enhanced: str, reason: str) -> None:
    context, digest = self_signed(tmp_path)
    script = {"refused": {"STARTTLS": Say("454 4.7.0 no")}, "handshake": {"HANDSHAKE": Drop()}}.get(fault, {})
    with SmtpPeer(script, tls=None if fault == "plain" else context) as peer:
        with pytest.raises(NoHost) as trouble:
            open_session(peer, f"3 0 1 {'00' * 32 if fault == 'certificate' else digest}")
        result = trouble.value.result
        assert (result.kind, result.enhanced) == (OutcomeKind.DEFERRED, enhanced)
        assert result.text.endswith(reason)
        assert peer.connections == 1
        # nothing was said to whoever that was
        assert [line.split()[0] for line in peer.commands] == ["EHLO", *["STARTTLS"] * (fault != "plain")]


def test_without_usable_records_any_certificate_but_no_plain_text(tmp_path: Path) -> None:
    context, _ = self_signed(tmp_path, "somebody.else.test")
    with SmtpPeer(tls=context) as peer:
        assert open_session(peer, "1 1 1 00").endswith(f", {UNAUTHENTICATED}")
    with SmtpPeer() as peer, pytest.raises(NoHost):
        open_session(peer, "1 1 1 00")
