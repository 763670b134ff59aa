"""All mail through one smart host, with verified TLS and a password from a file; wrong settings stop the start."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.model.dialogue import unpack
from shared.testing.certificates import make_certificate
from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.process import RunningService
from shared.testing.smtp_peer import SmtpPeer

MAIL = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture
def smart_host(tmp_path: Path) -> Iterator[SmtpPeer]:
    cert, key = make_certificate(tmp_path / "tls", "smart.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with SmtpPeer(name="smart.test", tls=context, logins={"owner": "s3cret-pass"}) as peer:
        yield peer


def test_everything_goes_to_the_smart_host_in_one_transaction(tmp_path: Path, smart_host: SmtpPeer) -> None:
    password = tmp_path / "password"
    password.write_text("s3cret-pass\n")
    settings = {
        "PILLARBOX_SMTP_OUT__SMART_HOST": f"smart.test:{smart_host.port}",
        "PILLARBOX_SMTP_OUT__SMART_HOST_USERNAME": "owner",
        "PILLARBOX_SMTP_OUT__SMART_HOST_PASSWORD_FILE": str(password),
        "PILLARBOX_SMTP_OUT__CA_FILE": str(tmp_path / "tls" / "cert.pem"),
        "PILLARBOX_SMTP_OUT__ALLOW_PRIVATE": "false",
    }
    with OutboundWorld(tmp_path, settings) as world:
        world.dns.set("smart.test", {"A": ["127.0.0.1"]})
        world.submit(ALICE, ["bob@b.test", "eve@c.test"], MAIL)
        (mail,) = smart_host.wait_messages(1)
        world.wait_queue_empty()
        assert set(mail.recipients) == {"bob@b.test", "eve@c.test"}
        assert (mail.tls, mail.login) == (True, "owner")
        assert "s3cret" not in world.smtp_out.log
        (line, *_) = world.smtp_out.wait_for_log("delivered")
        assert "TLSv1." in line

        smart_host.logins["owner"] = "changed"
        smart_host.drop_all()
        (entry,) = world.submit(ALICE, ["bob@b.test"], MAIL)
        world.wait(lambda: world.show(entry).attempts >= 1, "no attempt")
        attempt = world.show(entry).history[0]
        assert attempt.code == 535
        said = [f"{line.way.value} {line.text}" for line in unpack(attempt.dialogue)]
        assert any(line.startswith("> AUTH ") and line.endswith("(secret)") for line in said)
        assert any(line.startswith("* TLSv1.") and "certificate of smart.test verified" in line for line in said)
        assert "s3cret-pass" not in str(said)
        assert b64encode(b"s3cret-pass").decode()[:12] not in str(said)
        smart_host.logins["owner"] = "s3cret-pass"
        smart_host.wait_messages(2)
        world.wait_queue_empty()


@pytest.mark.parametrize(
    ("variable", "words"), [("CA_FILE", "ca_file"), ("SMART_HOST_PASSWORD_FILE", "smart_host_password_file")]
)
def test_files_that_cannot_be_read_stop_the_start(tmp_path: Path, variable: str, words: str) -> None:
    settings = {
        "PILLARBOX_SMTP_OUT__SMART_HOST": "smart.test:587",
        "PILLARBOX_SMTP_OUT__SMART_HOST_USERNAME": "owner",
        "PILLARBOX_SMTP_OUT__SMART_HOST_PASSWORD_FILE": str(tmp_path / "missing"),
        f"PILLARBOX_SMTP_OUT__{variable}": str(tmp_path / "missing"),
    }
    service = RunningService("smtp_out", tmp_path / "data", settings)
    service.start(wait=False)
    try:
        service.wait_for_log(words)
        assert service.popen is not None
        assert service.popen.wait(10) == 1
    finally:
        service.kill()
