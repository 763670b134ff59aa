"""A real Postfix as the smart host, which lets only who logs in relay: with Dovecot's SASL, every mechanism, over STARTTLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.contract.relay_types import RelayConfig, RelayRule
from shared.testing.dovecot import PASSWORD, USER, Dovecot
from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.postfix import Postfix

MAIL = b"Subject: x\r\nMessage-ID: <%d@example.test>\r\n\r\nbody\r\n"
MECHANISMS = ("scram-sha-256", "plain", "login", "cram-md5")


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_mail_leaves_through_a_postfix_that_asks_for_a_login(tmp_path: Path, mechanism: str) -> None:
    number = MECHANISMS.index(mechanism)
    with Dovecot(mechanisms=mechanism) as sasl:
        settings = {
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": f"inet:127.0.0.1:{sasl.auth_port}",
            "smtpd_tls_auth_only": "yes",
            "mynetworks": "192.0.2.0/24",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
        }
        with Postfix(settings=settings) as postfix:
            variables = {"PILLARBOX_SMTP_OUT__CA_FILE": str(postfix.base / "cert.pem")}
            with OutboundWorld(tmp_path, variables) as world:
                world.dns.set("mx.remote.test", {"A": [postfix.address]})
                config = RelayConfig("mx.remote.test", postfix.port, username=USER)
                world.stack.administer(lambda store: store.relays.add("postfix", config, PASSWORD))
                world.stack.administer(lambda store: store.relays.use(RelayRule("", "", "postfix")))
                world.submit(ALICE, ["carol@remote.test"], MAIL % number)
                postfix.wait_message("carol", f"{number}@example.test")
                world.wait_queue_empty()
                assert "via relay postfix" in world.smtp_out.wait_for_log("delivered")[0]
                postfix.wait_for_log(f"sasl_method={mechanism.upper()}, sasl_username={USER}")
