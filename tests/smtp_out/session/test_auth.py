"""AUTH at a relay over real TLS: the strongest mechanism it offers, refusals of one, servers that only pretend, never in the clear."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
import trio

from services.smtp_out.connector import Connector, NoHost
from services.smtp_out.options import Options, SmartHost, TlsPolicy
from services.smtp_out.route import Route, Target
from services.smtp_out.session import password_may_go
from shared.net.binding import end_point_value
from shared.testing.certificates import make_certificate
from shared.testing.smtp_auth import AuthOffer
from shared.testing.smtp_peer import Say, Script, SmtpPeer

OPTIONS = Options("me.test", allow_private=True, command_seconds=2, end_seconds=2, connect_timeout_seconds=2)


def log_in(tmp_path: Path, offer: AuthOffer, script: Script | None = None, password: str = "s3cret") -> tuple[str, list[str]]:
    """The mechanism that logged in, and those that were tried. Raises NoHost."""
    cert, key = make_certificate(tmp_path, "smart.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    value = end_point_value(ssl.PEM_cert_to_DER_cert(Path(cert).read_text()))
    offer = attrs.evolve(offer, binding=offer.binding or value or b"")

    async def main(peer: SmtpPeer) -> str:
        relay = SmartHost("smart.test", peer.port, TlsPolicy.REQUIRED, "user=,x", password, cert)
        with trio.fail_after(15):
            session = await Connector(OPTIONS).open(Route((Target("smart.test", "127.0.0.1", peer.port, relay.tls),), relay=relay))
            await session.close()
        return session.mechanism

    with SmtpPeer(script, tls=context, logins={"user=,x": "s3cret"}, auth=offer) as peer:
        try:
            mechanism = trio.run(main, peer)
        finally:
            tried = [line.split()[1] for line in peer.commands if line.startswith("AUTH")]
            assert not any(line.startswith("MAIL") for line in peer.commands)
        return mechanism, tried


PLUS, SCRAM = "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"


@pytest.mark.parametrize(
    ("offered", "used"),
    [
        (("PLAIN", "LOGIN"), "PLAIN"),
        (("LOGIN",), "LOGIN"),
        (("CRAM-MD5", "LOGIN"), "LOGIN"),
        (("CRAM-MD5",), "CRAM-MD5"),
        (("PLAIN", SCRAM), SCRAM),
        (("PLAIN", SCRAM, PLUS), PLUS),
    ],
)
def test_the_strongest_is_used(tmp_path: Path, offered: Sequence[str], used: str) -> None:
    assert log_in(tmp_path, AuthOffer(offered)) == (used, [used])


def test_a_mechanism_that_is_refused_is_followed_by_the_next(tmp_path: Path) -> None:
    script = {f"AUTH {SCRAM}": Say("504 5.5.4 not here"), "AUTH PLAIN": Say("534 5.7.9 too weak")}
    assert log_in(tmp_path, AuthOffer(("PLAIN", SCRAM, "LOGIN")), script) == ("LOGIN", [SCRAM, "PLAIN", "LOGIN"])


def test_another_binding_is_followed_by_scram_without(tmp_path: Path) -> None:
    assert log_in(tmp_path, AuthOffer((SCRAM, PLUS), binding=b"of another connection")) == (SCRAM, [PLUS, SCRAM])


@pytest.mark.parametrize("offered", ["PLAIN", "LOGIN", "CRAM-MD5", SCRAM])
def test_a_wrong_password_ends_it_and_is_never_shown(tmp_path: Path, offered: str) -> None:
    with pytest.raises(NoHost) as trouble:
        log_in(tmp_path, AuthOffer((offered, "LOGIN")), password="hunter2")
    assert (trouble.value.result.code, trouble.value.result.step) == (535, "AUTH")
    assert "hunter2" not in repr(trouble.value) + trouble.value.result.text


@pytest.mark.parametrize("offered", [SCRAM, PLUS])
def test_a_server_that_does_not_know_the_password_gets_no_mail(tmp_path: Path, offered: str) -> None:
    with pytest.raises(NoHost) as trouble:
        log_in(tmp_path, AuthOffer((offered,), forged=True))
    assert "signature is wrong" in trouble.value.result.text


def test_what_a_relay_offers_instead_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoHost) as trouble:
        log_in(tmp_path, AuthOffer(("XOAUTH2", "OAUTHBEARER")))
    assert "only: XOAUTH2 OAUTHBEARER" in trouble.value.result.text


def test_a_password_is_never_sent_without_tls() -> None:
    assert password_may_go(tls=True, peer_ip="192.0.2.1")
    assert password_may_go(tls=False, peer_ip="127.0.0.1")
    assert password_may_go(tls=False, peer_ip="::1")
    assert not password_may_go(tls=False, peer_ip="192.168.1.1")
    assert not password_may_go(tls=False, peer_ip="2001:db8::1")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("form", ["{0}", "535 5.7.8 what is {0}?", "{1}"])
def test_a_server_that_repeats_the_password_does_not_put_it_into_the_log(tmp_path: Path, mechanism: str, form: str) -> None:
    plain = b64encode(b"\0user=,x\0s3cret").decode() if mechanism == "PLAIN" else b64encode(b"s3cret").decode()
    text = form.format(plain, "s3cret")
    script = {f"AUTH {mechanism}": Say(text if text.startswith("535") else f"535 5.7.8 {text}")}
    with pytest.raises(NoHost) as trouble:
        log_in(tmp_path, AuthOffer((mechanism,)), script)
    told = str(trouble.value.result)
    assert "535" in told
    assert "s3cret" not in told
    assert plain not in told
