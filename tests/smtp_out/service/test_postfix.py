"""A real Postfix as the receiver: TLS as it offers it, pipelining, its refusals; and as a smart host that wants a password."""

from __future__ import annotations

from pathlib import Path

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
