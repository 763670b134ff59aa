"""TLS towards the next hop: opportunistic for MX hosts, verified for the smart host, log-in only behind it."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from services.smtp_out.connector import Connector, NoHost
from services.smtp_out.options import Options, SmartHost, TlsPolicy
from services.smtp_out.route import Route, Target
from services.smtp_out.session import Session
from shared.testing.certificates import make_certificate
from shared.testing.smtp_peer import Drop, Hang, Raw, Say, SmtpPeer

OPTIONS = Options("me.test", allow_private=True, command_seconds=0.7, end_seconds=0.7, connect_timeout_seconds=2)


def server_context(folder: Path, name: str = "smart.test") -> tuple[ssl.SSLContext, Path]:
    cert, key = make_certificate(folder, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


def run(test: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        with trio.fail_after(15):
            return await test()

    return trio.run(main)


async def open_and_close(options: Options, peer: SmtpPeer, policy: TlsPolicy) -> tuple[str, Session]:
    route = Route((Target("smart.test", "127.0.0.1", peer.port, policy),), relay=options.smart_host)
    session = await Connector(options).open(route)
    tls = session.tls
    await session.close()
    return tls, session


def smart(peer: SmtpPeer, policy: TlsPolicy, ca_file: Path | None = None, **fields: str) -> Options:
    return attrs.evolve(OPTIONS, smart_host=SmartHost("smart.test", peer.port, policy, ca_file=ca_file, **fields))


def test_opportunistic_takes_any_certificate(tmp_path: Path) -> None:
    context, _ = server_context(tmp_path, "somebody.else.test")
    with SmtpPeer(tls=context) as peer:
        tls, _ = run(lambda: open_and_close(OPTIONS, peer, TlsPolicy.OPPORTUNISTIC))
        assert tls.startswith("TLSv1.")
        assert tls.endswith(", certificate of smart.test not verified: self-signed certificate")
        assert [line.split()[0] for line in peer.commands] == ["EHLO", "STARTTLS", "EHLO", "STARTTLS", "EHLO", "QUIT"]


def test_a_certificate_that_does_not_verify_costs_one_connection_a_day(tmp_path: Path) -> None:
    context, _ = server_context(tmp_path)
    with SmtpPeer(tls=context) as peer:

        async def main() -> list[str]:
            connector = Connector(OPTIONS)
            route = Route((Target("smart.test", "127.0.0.1", peer.port, TlsPolicy.OPPORTUNISTIC),))
            told = []
            for _ in range(3):
                session = await connector.open(route)
                told.append(session.tls)
                await session.close()
            return told

        told = run(main)
        assert len(set(told)) == 1
        assert "not verified: self-signed certificate" in told[0]
        assert peer.connections == 4


def test_opportunistic_says_that_a_certificate_verified(tmp_path: Path) -> None:
    context, cert = server_context(tmp_path)
    with SmtpPeer(tls=context) as peer:
        options = attrs.evolve(OPTIONS, ca_file=cert)
        tls, _ = run(lambda: open_and_close(options, peer, TlsPolicy.OPPORTUNISTIC))
        assert tls.endswith(", certificate of smart.test verified")
        assert peer.connections == 1


def promised(peer: SmtpPeer, policy: TlsPolicy, ca_file: Path | None) -> str:
    """Open a session for a domain with a policy, and what it says of TLS."""

    async def main() -> str:
        route = Route((Target("smart.test", "127.0.0.1", peer.port, policy, "MTA-STS test"),))
        session = await Connector(attrs.evolve(OPTIONS, ca_file=ca_file)).open(route)
        tls = session.tls
        await session.close()
        return tls

    told: str = run(main)
    return told


def test_a_promise_that_is_kept_is_told(tmp_path: Path) -> None:
    context, cert = server_context(tmp_path)
    with SmtpPeer(tls=context) as peer:
        for policy in (TlsPolicy.REQUIRED, TlsPolicy.OPPORTUNISTIC):
            assert promised(peer, policy, cert).endswith(", MTA-STS test, certificate of smart.test verified")


@pytest.mark.parametrize(
    ("fault", "enhanced", "reason"),
    [
        ("name", "4.7.5", "certificate not accepted: Hostname mismatch"),
        ("authority", "4.7.5", "certificate not accepted: self-signed certificate"),
        ("plain", "4.7.4", "offers no STARTTLS"),
    ],
)
def test_a_promise_that_is_not_kept(tmp_path: Path, fault: str, enhanced: str, reason: str) -> None:
    context, cert = server_context(tmp_path, "other.test" if fault == "name" else "smart.test")
    with SmtpPeer(tls=None if fault == "plain" else context) as peer:
        ca_file = None if fault == "authority" else cert
        with pytest.raises(NoHost) as trouble:
            promised(peer, TlsPolicy.REQUIRED, ca_file)
        result = trouble.value.result
        assert result.enhanced == enhanced
        assert reason in result.text
        assert result.text.endswith("(MTA-STS test)")
        assert peer.connections == 1
        told = promised(peer, TlsPolicy.OPPORTUNISTIC, ca_file)
        assert ("no TLS, MTA-STS test" if fault == "plain" else ", MTA-STS test, certificate of smart.test not verified: ") in told


@pytest.mark.parametrize(
    "script",
    [
        {"HANDSHAKE": Drop()},
        {"HANDSHAKE": Raw(b"this is not TLS at all, not even a little\r\n" * 3)},
        {"HANDSHAKE": Hang()},
        {"STARTTLS": Say("454 4.7.0 not now")},
        {"STARTTLS": Say("502 5.5.1 never")},
    ],
)
def test_opportunistic_falls_back_to_plain(tmp_path: Path, script: dict[str, Any]) -> None:
    context, _ = server_context(tmp_path)
    with SmtpPeer(script, tls=context) as peer:
        tls, _ = run(lambda: open_and_close(OPTIONS, peer, TlsPolicy.OPPORTUNISTIC))
        assert tls == ""
        assert peer.commands[-1] == "QUIT"


def test_plaintext_injected_behind_starttls_is_never_read(tmp_path: Path) -> None:
    context, _ = server_context(tmp_path)
    with SmtpPeer({"STARTTLS": [Say("220 go\n250 2.0.0 injected")]}, tls=context) as peer:
        tls, _ = run(lambda: open_and_close(OPTIONS, peer, TlsPolicy.OPPORTUNISTIC))
        assert tls == ""
        assert peer.connections == 2


@pytest.mark.parametrize("policy", [TlsPolicy.REQUIRED, TlsPolicy.IMPLICIT])
def test_required_verifies_and_logs_in(tmp_path: Path, policy: TlsPolicy) -> None:
    context, cert = server_context(tmp_path)
    implicit = policy is TlsPolicy.IMPLICIT
    with SmtpPeer(tls=context, implicit_tls=implicit, logins={"user": "secret"}) as peer:
        options = smart(peer, policy, cert, username="user", password="secret")
        tls, _ = run(lambda: open_and_close(options, peer, policy))
        assert tls.startswith("TLSv1.")
        assert any(line.startswith("AUTH PLAIN") for line in peer.commands)


@pytest.mark.parametrize("policy", [TlsPolicy.REQUIRED, TlsPolicy.IMPLICIT])
@pytest.mark.parametrize("fault", ["name", "authority", "handshake"])
def test_required_never_goes_on_without(tmp_path: Path, policy: TlsPolicy, fault: str) -> None:
    context, cert = server_context(tmp_path, "other.test" if fault == "name" else "smart.test")
    script = {"HANDSHAKE": Drop()} if fault == "handshake" else {}
    implicit = policy is TlsPolicy.IMPLICIT
    with SmtpPeer(script, tls=context, implicit_tls=implicit, logins={"user": "secret"}) as peer:
        ca_file = None if fault == "authority" else cert
        options = smart(peer, policy, ca_file, username="user", password="secret")
        with pytest.raises(NoHost) as trouble:
            run(lambda: open_and_close(options, peer, policy))
        assert trouble.value.result.enhanced == "4.7.5"
        assert not any(line.startswith(("AUTH", "MAIL")) for line in peer.commands)
        assert peer.connections == 1


@pytest.mark.parametrize("script", [{}, {"STARTTLS": Say("454 4.7.0 not now")}])
def test_required_needs_starttls(tmp_path: Path, script: dict[str, Any]) -> None:
    context, cert = server_context(tmp_path)
    with SmtpPeer(script, tls=context if script else None, logins={"user": "secret"}) as peer:
        options = smart(peer, TlsPolicy.REQUIRED, cert, username="user", password="secret")
        with pytest.raises(NoHost) as trouble:
            run(lambda: open_and_close(options, peer, TlsPolicy.REQUIRED))
        assert trouble.value.result.enhanced == "4.7.4"
        assert not any(line.startswith(("AUTH", "MAIL")) for line in peer.commands)


def test_a_wrong_password_defers_and_is_never_shown(tmp_path: Path) -> None:
    context, cert = server_context(tmp_path)
    with SmtpPeer(tls=context, logins={"user": "right"}) as peer:
        options = smart(peer, TlsPolicy.REQUIRED, cert, username="user", password="hunter2-wrong")
        with pytest.raises(NoHost) as trouble:
            run(lambda: open_and_close(options, peer, TlsPolicy.REQUIRED))
        assert trouble.value.result.enhanced == "4.7.8"
        assert "hunter2" not in repr(trouble.value) + repr(options) + trouble.value.result.text
