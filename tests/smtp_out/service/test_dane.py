"""DANE as a whole: the real process behind a real validating resolver (unbound) with signed zones, and real handshakes."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.testing.certificates import make_certificate
from shared.testing.dns_server import free_loopback_port
from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.smtp_peer import SmtpPeer
from shared.testing.unbound import Unbound, Zone

MAIL = b"Subject: x\r\n\r\nbody\r\n"
ADDRESSES = {
    "good.test": "127.60.0.1",
    "wrong.test": "127.60.0.2",
    "forged.test": "127.60.0.3",
    "useless.test": "127.60.0.4",
    "unsigned.test": "127.60.0.5",
}
SIGNED = [domain for domain in ADDRESSES if domain != "unsigned.test"]


class World:
    """The outbound world behind unbound; every domain has one MX host, all of them the same certificate."""

    def __init__(self, folder: Path) -> None:
        cert, key = make_certificate(folder / "cert", "whoever.test")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.port = free_loopback_port()
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(cert.read_text())).hexdigest()
        records = dict.fromkeys(ADDRESSES, f"3 0 1 {digest}")
        records |= {"wrong.test": f"3 0 1 {'00' * 32}", "unsigned.test": f"3 0 1 {'00' * 32}", "useless.test": f"1 0 1 {digest}"}
        zones = {domain: self._zone(domain, record) for domain, record in records.items()}
        self.resolver = Unbound(folder / "unbound", zones, SIGNED, [("forged.test", self._place, "TLSA")])
        settings = {
            "PILLARBOX_DNS__VALIDATING": "true",
            "PILLARBOX_DNS__RESOLVERS": self.resolver.setting,
            "PILLARBOX_SMTP_OUT__MX_PORT": str(self.port),
        }
        self.outbound = OutboundWorld(folder, settings)

    @property
    def _place(self) -> str:
        return f"_{self.port}._tcp.mx"

    def _zone(self, domain: str, record: str) -> Zone:
        return {"@": {"MX": ["10 mx"]}, "mx": {"A": [ADDRESSES[domain]]}, self._place: {"TLSA": [record]}}

    def peer(self, domain: str, *, tls: bool = True) -> SmtpPeer:
        context = self.context if tls else None
        return SmtpPeer(host=ADDRESSES[domain], port=self.port, name=f"mx.{domain}", tls=context)

    def trouble(self, domain: str) -> str:
        """What the first attempt to send to a domain says."""
        (entry,) = self.outbound.submit(ALICE, [f"bob@{domain}"], MAIL)
        self.outbound.wait(lambda: self.outbound.show(entry).attempts >= 1, "no attempt")
        return self.outbound.show(entry).history[-1].text


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("dane"))
    with made.resolver, made.outbound:
        yield made


@pytest.mark.parametrize(
    ("domain", "told"),
    [
        ("good.test", ", DANE-EE verified"),
        ("useless.test", ", DANE without a usable TLSA record: encrypted, not authenticated"),
        ("unsigned.test", ", certificate of mx.unsigned.test not verified: self-signed certificate"),
    ],
)
def test_mail_goes_out(world: World, domain: str, told: str) -> None:
    with world.peer(domain) as peer:
        world.outbound.submit(ALICE, [f"bob@{domain}"], MAIL)
        (mail,) = peer.wait_messages(1)
        assert mail.tls
        (line,) = world.outbound.smtp_out.wait_for_log(f"delivered.*bob@{domain}")
        assert told in line


@pytest.mark.parametrize(
    ("domain", "tls", "reason"),
    [
        ("wrong.test", True, "no TLSA record fits the certificate (DANE)"),
        ("good.test", False, "the server offers no STARTTLS, and TLS is required (DANE)"),
        ("useless.test", False, "the server offers no STARTTLS, and TLS is required (DANE)"),
        ("forged.test", True, "(TLSA) failed: the resolver answered SERVFAIL"),
    ],
)
def test_mail_waits(world: World, domain: str, tls: bool, reason: str) -> None:
    with world.peer(domain, tls=tls) as peer:
        assert reason in world.trouble(domain)
        assert not peer.messages
