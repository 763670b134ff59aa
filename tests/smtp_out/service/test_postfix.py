"""A real Postfix as the receiver: TLS as it offers it, pipelining, BDAT, its refusals, what it does not offer; and as a smart host."""

from __future__ import annotations

import email
import email.policy
from pathlib import Path

import pytest

from shared.testing.dovecot import PASSWORD, USER, Dovecot
from shared.testing.mail_samples import assert_intact, korean_message, large_message
from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.postfix import Postfix

LARGE = 20_000_000


def test_mail_reaches_postfix_over_tls_and_its_refusal_comes_back(tmp_path: Path) -> None:
    content = korean_message("k1@example.test", to="carol@remote.test")
    with Postfix() as postfix, OutboundWorld(tmp_path, {"PILLARBOX_SMTP_OUT__MX_PORT": str(postfix.port)}) as world:
        world.point("remote.test", postfix.address)
        world.submit(ALICE, ["carol@remote.test", "nobody@remote.test", "dave@remote.test"], content, eight_bit=True)
        for user in ("carol", "dave"):
            received = postfix.wait_message(user, "k1@example.test")
            assert content.replace(b"\r\n", b"\n") in received.replace(b"\r\n", b"\n")
        (bounce,) = world.wait_inbox(1)
        world.wait_queue_empty()
        assert b"Status: 5.1.1" in bounce
        assert b"nobody@remote.test" in bounce
        (line,) = world.smtp_out.wait_for_log("delivered.*carol")
        assert "TLSv1." in line


NARROW = """From: 김 <alice@example.test>\r
To: carol@remote.test\r
Subject: 제목, and more\r
Message-ID: <{}@example.test>\r
Date: Sat, 28 Nov 2026 14:00:00 +0000\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="--b"\r
Content-Transfer-Encoding: 8bit\r
\r
----b\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: 8bit\r
Content-Disposition: attachment; filename="첨부.txt"\r
\r
안녕하세요\r
.\r
--b\r
\r
----b\r
Content-Type: message/rfc822\r
Content-Transfer-Encoding: 8bit\r
\r
Subject: inner é\r
\r
A long line, mostly ASCII but for one é at its end, so that quoted-printable is the shorter of the two encodings é\r
\r
----b--\r
"""


@pytest.mark.parametrize(
    ("without", "seven_bit", "chunks"),
    [
        ("", False, True),
        ("chunking", False, False),
        ("smtputf8", False, True),
        ("8bitmime, smtputf8", True, True),
        ("8bitmime, smtputf8, chunking", True, False),
    ],
)
def test_what_postfix_does_not_offer(tmp_path: Path, without: str, seven_bit: bool, chunks: bool) -> None:
    with (
        Postfix(settings={"smtpd_discard_ehlo_keywords": without}) as postfix,
        OutboundWorld(tmp_path, {"PILLARBOX_SMTP_OUT__MX_PORT": str(postfix.port)}) as world,
    ):
        world.point("remote.test", postfix.address)
        content = NARROW.format("narrow").encode()
        world.submit(ALICE, ["carol@remote.test"], content, eight_bit=True, smtputf8=True)
        received = postfix.wait_message("carol", "narrow@example.test")
        sent = received[received.index(b"From: ") :]
        world.wait_queue_empty()
        large = content.replace(b"narrow@", b"large@").replace("안녕하세요\r\n".encode(), "큰 메일\r\n".encode() * 40_000)
        world.submit(ALICE, ["carol@remote.test"], large, eight_bit=True, smtputf8=True)
        assert "큰 메일" in parts_of(postfix.wait_message("carol", "large@example.test"))[0]
        world.wait_queue_empty()
        line = postfix.wait_for_log("disconnect from.* mail=")[0]
        assert ("bdat=" in line) == chunks
    assert (sent == content) == (not without or without == "chunking")
    assert sent.isascii() == seven_bit
    header = email.message_from_bytes(sent, policy=email.policy.default)
    assert header["subject"] == "제목, and more"
    # raw UTF-8 comes as surrogates
    assert header["from"].addresses[0].display_name.encode("utf-8", "surrogateescape").decode() == "김"
    assert parts_of(sent) == parts_of(content)


def parts_of(content: bytes) -> list[str]:
    message = email.message_from_bytes(content)
    leaves = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    return [leaf.decode().replace("\r\n", "\n") for leaf in leaves if isinstance(leaf, bytes)]


def test_postfix_as_the_smart_host(tmp_path: Path) -> None:
    """Dovecot knows the passwords, as in a usual installation; without the right one Postfix takes nothing."""
    password = tmp_path / "password"
    password.write_text("wrong\n")
    with Dovecot() as dovecot:
        wanting = {
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": f"inet:127.0.0.1:{dovecot.auth_port}",
            "smtpd_sasl_security_options": "noanonymous",
            "smtpd_tls_auth_only": "yes",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
        }
        with Postfix(settings=wanting) as postfix:
            settings = {
                "PILLARBOX_SMTP_OUT__SMART_HOST": f"mx.remote.test:{postfix.port}",
                "PILLARBOX_SMTP_OUT__SMART_HOST_USERNAME": USER,
                "PILLARBOX_SMTP_OUT__SMART_HOST_PASSWORD_FILE": str(password),
                "PILLARBOX_SMTP_OUT__CA_FILE": str(postfix.base / "cert.pem"),
            }
            with OutboundWorld(tmp_path, settings) as world:
                world.dns.set("mx.remote.test", {"A": [postfix.address]})
                content = korean_message("wrong@example.test", "carol@remote.test")
                (entry,) = world.submit(ALICE, ["carol@remote.test"], content, eight_bit=True)
                world.wait(lambda: world.show(entry).attempts >= 1, "no attempt")
                assert world.show(entry).history[0].code == 535
                password.write_text(PASSWORD + "\n")
                world.smtp_out.stop()
                world.smtp_out.restart()
                assert_intact(postfix.wait_message("carol", "wrong@example.test"), content)
                large = large_message("large@example.test", LARGE, ALICE)
                world.submit(ALICE, ["carol@remote.test", "dave@remote.test"], large)
                assert_intact(postfix.wait_message("carol", "large@example.test"), large)
                world.wait_queue_empty()
                postfix.wait_for_log(rf"sasl_method=PLAIN, sasl_username={USER}")
