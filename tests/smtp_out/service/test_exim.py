"""A real Exim as the receiver: with all that it offers and with less of it, and as a smart host that wants a password."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.testing.exim import Exim
from shared.testing.mail_samples import assert_intact, korean_message, large_message
from shared.testing.outbound import ALICE, OutboundWorld

LARGE = 20_000_000
WAYS: Mapping[str, Mapping[str, str]] = {
    "all": {},
    "no-chunking": {"chunking_advertise_hosts": ""},
    "no-pipelining": {"pipelining_advertise_hosts": ""},
    "neither": {"chunking_advertise_hosts": "", "pipelining_advertise_hosts": ""},
    "no-tls": {"tls_advertise_hosts": ""},
}
"""Further lines of Exim's configuration."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp().parent / "cache"


@pytest.mark.parametrize("way", WAYS)
def test_mail_reaches_exim_and_its_refusal_comes_back(world: OutboundWorld, cache: Path, way: str) -> None:
    domain = f"{way}.test"
    content = korean_message(f"{way}@example.test", f"carol@{domain}", ALICE)
    before = len(world.inbox())
    with Exim(cache, domain, main=WAYS[way], port=world.port) as exim:
        world.point(domain, exim.address)
        recipients = [f"carol@{domain}", f"nobody@{domain}", f"dave@{domain}"]
        world.submit(ALICE, recipients, content, eight_bit=True)
        bounce = world.wait_inbox(before + 1)[-1]
        world.wait_queue_empty()
        assert b"nobody@" + domain.encode() in bounce
        assert b"Action: failed" in bounce
        assert b"Unrouteable address" in bounce
        (line,) = world.smtp_out.wait_for_log(f"delivered.*carol@{domain}")
        assert ("TLSv1.3" in line) == (way != "no-tls")
        for user in ("carol", "dave"):
            assert_intact(exim.wait_message(user, f"{way}@example.test"), content)


def test_a_large_message_and_an_address_in_utf_8(world: OutboundWorld, cache: Path) -> None:
    with Exim(cache, "large.test", port=world.port, users=("carol", "캐롤")) as exim:
        world.point("large.test", exim.address)
        content = large_message("large@example.test", LARGE, ALICE)
        world.submit(ALICE, ["carol@large.test"], content)
        assert_intact(exim.wait_message("carol", "large@example.test"), content)
        content = korean_message("utf8@example.test", "캐롤@large.test", ALICE)
        world.submit(ALICE, ["캐롤@large.test"], content, eight_bit=True, smtputf8=True)
        assert_intact(exim.wait_message("캐롤", "utf8@example.test"), content)
        world.wait_queue_empty()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_exim_as_the_smart_host(tmp_path: Path, cache: Path, mechanism: str) -> None:
    secrets = ("$auth2", "$auth3") if mechanism == "PLAIN" else ("$auth1", "$auth2")
    prompts = ":" if mechanism == "PLAIN" else "Username:: : Password::"
    server = (
        f"server:\n  driver = plaintext\n  public_name = {mechanism}\n  server_prompts = {prompts}\n"
        f"  server_condition = ${{if and{{{{eq{{{secrets[0]}}}{{owner}}}}{{eq{{{secrets[1]}}}{{s3cret-pass}}}}}}}}\n"
        f"  server_set_id = {secrets[0]}\n  server_advertise_condition = ${{if def:tls_in_cipher}}\n"
    )
    password = tmp_path / "password"
    password.write_text("s3cret-pass\n")
    content = korean_message("relayed@example.test", "carol@exim.test", ALICE)
    with Exim(cache, authenticators=server) as exim:
        settings = {
            "PILLARBOX_SMTP_OUT__SMART_HOST": f"mx.exim.test:{exim.port}",
            "PILLARBOX_SMTP_OUT__SMART_HOST_USERNAME": "owner",
            "PILLARBOX_SMTP_OUT__SMART_HOST_PASSWORD_FILE": str(password),
            "PILLARBOX_SMTP_OUT__CA_FILE": str(exim.base / "cert.pem"),
        }
        with OutboundWorld(tmp_path, settings) as world:
            world.dns.set("mx.exim.test", {"A": [exim.address]})
            world.submit(ALICE, ["carol@exim.test", "dave@exim.test"], content, eight_bit=True)
            for user in ("carol", "dave"):
                assert_intact(exim.wait_message(user, "relayed@example.test"), content)
            world.wait_queue_empty()
            exim.wait_logged(r"<= alice@example\.test .*P=esmtpsa .*A=server:owner")
            assert "s3cret" not in world.smtp_out.log
