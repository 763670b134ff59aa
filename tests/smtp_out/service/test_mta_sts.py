"""MTA-STS as a whole: the real process, real DNS, HTTPS and SMTP with certificates of a test authority."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.testing.certificates import Authority
from shared.testing.https_peer import HttpsPeer, http_answer
from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.smtp_peer import SmtpPeer

MAIL = b"Subject: x\r\n\r\nbody\r\n"


class World:
    """The outbound world with a web server for policies."""

    def __init__(self, outbound: OutboundWorld, https: HttpsPeer, authority: Authority) -> None:
        self.outbound = outbound
        self.https = https
        self.authority = authority

    def promise(self, domain: str, mode: str, *mx: str, identity: str = "1") -> None:
        """The domain publishes a policy; its MX host is mx.<domain>."""
        names = "".join(f"mx: {one}\n" for one in mx or (f"mx.{domain}",))
        host = f"mta-sts.{domain}"
        self.https.add(host, self.authority.server_context(host))
        self.https.answer(http_answer(f"version: STSv1\nmode: {mode}\n{names}max_age: 86400\n".encode()), host)
        self.outbound.dns.set(host, {"A": ["127.0.0.1"]})
        self.outbound.dns.set(f"_mta-sts.{domain}", {"TXT": [f'"v=STSv1; id={identity}"']})

    def last_text(self, entry: Any, attempts: int = 1) -> str:
        """What the last of `attempts` attempts said."""
        self.outbound.wait(lambda: self.outbound.show(entry).attempts >= attempts, "no attempt")
        text: str = self.outbound.show(entry).history[-1].text
        return text


@contextmanager
def make_world(folder: Path) -> Iterator[World]:
    authority = Authority(folder / "authority")
    with HttpsPeer(authority.server_context("somebody.test")) as https:
        settings = {
            "PILLARBOX_SMTP_OUT__CA_FILE": str(authority.ca_file),
            "PILLARBOX_SMTP_OUT__MTA_STS_PORT": str(https.port),
            "PILLARBOX_SMTP_OUT__MTA_STS_SECONDS": "2",
        }
        with OutboundWorld(folder, settings) as outbound:
            yield World(outbound, https, authority)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with make_world(tmp_path_factory.mktemp("mta-sts")) as one:
        yield one


def test_enforce_delivers_to_a_host_that_verifies(world: World) -> None:
    with world.outbound.peer("good.test", tls=world.authority.server_context("mx.good.test")) as peer:
        world.promise("good.test", "enforce")
        world.outbound.submit(ALICE, ["bob@good.test"], MAIL)
        (mail,) = peer.wait_messages(1)
        assert mail.tls
        (line,) = world.outbound.smtp_out.wait_for_log("delivered.*bob@good.test")
        assert "MTA-STS enforce, certificate of mx.good.test verified" in line
        assert peer.connections == 1
        world.outbound.wait_queue_empty()
        told = world.outbound.stack.administer(lambda store: store.history.find("bob@good.test", 1))
        assert line.partition('"tls": "')[2].partition('"')[0] in [passage.tls for passage in told.passages]


def wrong_context(world: World, domain: str, fault: str, folder: Path) -> ssl.SSLContext | None:
    match fault:
        case "name":
            return world.authority.server_context("mx.other.test")
        case "expired":
            return world.authority.server_context(f"mx.{domain}", expired=True)
        case "subject":
            return world.authority.server_context(f"mx.{domain}", alternative=False)
        case "authority":
            return Authority(folder).server_context(f"mx.{domain}")
        case "plain":
            return None
    return world.authority.server_context(f"mx.{domain}")


FAULTS = {
    "name": "certificate not accepted: Hostname mismatch",
    "subject": "certificate not accepted: Hostname mismatch",
    "expired": "certificate not accepted: certificate has expired",
    "authority": "certificate not accepted: unable to get local issuer certificate",
    "plain": "the server offers no STARTTLS",
    "mx": "names none of its mail exchangers: mx.enforce-mx.test",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_enforce_refuses_what_does_not_fit_and_waits(world: World, fault: str, tmp_path: Path) -> None:
    domain = f"enforce-{fault}.test"
    with world.outbound.peer(domain, tls=wrong_context(world, domain, fault, tmp_path)) as peer:
        world.promise(domain, "enforce", "mail.other.test" if fault == "mx" else f"mx.{domain}")
        (entry,) = world.outbound.submit(ALICE, [f"bob@{domain}"], MAIL)
        text = world.last_text(entry)
        assert FAULTS[fault] in text
        assert "MTA-STS" in text
        assert "enforce" in text
        assert not peer.messages
        assert not any(line.startswith("MAIL") for line in peer.commands)
        # the owner gives up the policy: the record's new id is seen, and the mail leaves
        world.promise(domain, "none", identity="2")
        peer.wait_messages(1)
        world.outbound.wait_queue_empty()


@pytest.mark.parametrize("fault", FAULTS)
def test_testing_delivers_and_writes_down(world: World, fault: str, tmp_path: Path) -> None:
    domain = f"testing-{fault}.test"
    with world.outbound.peer(domain, tls=wrong_context(world, domain, fault, tmp_path)) as peer:
        world.promise(domain, "testing", "mail.other.test" if fault == "mx" else f"mx.{domain}")
        world.outbound.submit(ALICE, [f"bob@{domain}"], MAIL)
        (mail,) = peer.wait_messages(1)
        assert mail.tls is (fault != "plain")
        (line,) = world.outbound.smtp_out.wait_for_log(f"delivered.*bob@{domain}")
        written = {"plain": "no TLS, MTA-STS testing", "mx": "MTA-STS testing (host not in the policy)"}
        assert written.get(fault, f"MTA-STS testing, certificate of mx.{domain} not verified: ") in line


def test_the_next_host_is_tried_when_one_does_not_verify(world: World) -> None:
    addresses = [world.outbound.new_address() for _ in range(2)]
    contexts = [world.authority.server_context(name) for name in ("wrong.test", "mx2.two.test")]
    port = world.outbound.port
    with (
        SmtpPeer(host=addresses[0], port=port, tls=contexts[0]) as first,
        SmtpPeer(host=addresses[1], port=port, tls=contexts[1]) as second,
    ):
        world.outbound.dns.set("two.test", {"MX": ["10 mx1.two.test.", "20 mx2.two.test."]})
        for number, address in enumerate(addresses, 1):
            world.outbound.dns.set(f"mx{number}.two.test", {"A": [address]})
        world.promise("two.test", "enforce", "*.two.test")
        world.outbound.submit(ALICE, ["bob@two.test"], MAIL)
        second.wait_messages(1)
        world.outbound.wait_queue_empty()
        assert not first.messages


def test_a_slow_web_server_delays_its_own_domain_only(world: World) -> None:
    with world.outbound.peer("slow.test") as slow, world.outbound.peer("quick.test") as quick:
        world.promise("slow.test", "enforce")
        world.https.answer([10.0], "mta-sts.slow.test")
        asked = len(world.https.requests)
        world.outbound.submit(ALICE, ["bob@slow.test"], MAIL)
        world.https.wait_requests(asked + 1)
        world.outbound.submit(ALICE, ["bob@quick.test"], MAIL)
        quick.wait_messages(1)
        slow.wait_messages(1)  # without a policy, as before
        world.outbound.wait_queue_empty()
        world.outbound.smtp_out.wait_for_log("MTA-STS policy not fetched.*slow.test")


def test_what_is_known_survives_a_restart_without_the_web_server(tmp_path: Path) -> None:
    with make_world(tmp_path) as world:
        context = world.authority.server_context("mx.kept.test")
        with world.outbound.peer("kept.test", tls=context) as peer:
            world.promise("kept.test", "enforce")
            world.outbound.submit(ALICE, ["bob@kept.test"], MAIL)
            peer.wait_messages(1)
            world.outbound.wait_queue_empty()
            world.outbound.smtp_out.stop()
            world.outbound.smtp_out.restart()
            world.https.close()
            world.outbound.dns.remove("_mta-sts.kept.test")
            peer.drop_all()
            peer.tls = None  # somebody in the middle takes STARTTLS away
            (entry,) = world.outbound.submit(ALICE, ["bob@kept.test"], MAIL)
            assert "offers no STARTTLS, and TLS is required (MTA-STS enforce)" in world.last_text(entry)
            peer.tls = context
            peer.wait_messages(2)
            world.outbound.wait_queue_empty()
