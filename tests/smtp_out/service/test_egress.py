"""Automatic egress and rules with real processes: who refuses us is reached through the relay; nothing bounces, nothing is lost."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.contract.relay_types import ANYWHERE, DIRECT, LearnedWay, RelayConfig, RelayRule
from shared.testing.certificates import make_certificate
from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.smtp_auth import AuthOffer
from shared.testing.smtp_peer import Gate, Say, SmtpPeer

MAIL = b"Subject: x\r\n\r\nbody\r\n"
LISTED = Say("554 5.7.1 Service unavailable; client [127.0.0.1] blocked using zen.spamhaus.org")
SMART = "smart.test"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    cert, key = make_certificate(tmp_path_factory.mktemp("tls"), SMART)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


def relay_peer(tls: tuple[ssl.SSLContext, Path]) -> SmtpPeer:
    return SmtpPeer(name=SMART, tls=tls[0], logins={"owner": "s3cret-pass"}, auth=AuthOffer(("SCRAM-SHA-256",)))


@pytest.fixture
def world(tmp_path: Path, tls: tuple[ssl.SSLContext, Path]) -> Iterator[OutboundWorld]:
    settings = {"PILLARBOX_SMTP_OUT__CA_FILE": str(tls[1]), "PILLARBOX_SMTP_OUT__MTA_STS": "false"}
    with OutboundWorld(tmp_path, settings) as one:
        one.dns.set(SMART, {"A": ["127.0.0.1"]})
        yield one


def add_relay(world: OutboundWorld, name: str, peer: SmtpPeer, *, fallback: bool = False, cap: int = 0) -> None:
    config = RelayConfig(SMART, peer.port, username="owner", daily_cap=cap, fallback=fallback)
    world.stack.administer(lambda store: store.relays.add(name, config, "s3cret-pass"))


def use(world: OutboundWorld, *rules: RelayRule) -> None:
    for rule in rules:
        world.stack.administer(lambda store, rule=rule: store.relays.use(rule))


def ways(world: OutboundWorld) -> dict[str, LearnedWay]:
    known = world.stack.administer(lambda store: store.relays.ways())
    return {way.destination: way for way in known}


def test_two_relays_and_direct_by_rules(world: OutboundWorld, tls: tuple[ssl.SSLContext, Path]) -> None:
    with relay_peer(tls) as a, relay_peer(tls) as b, world.peer("b.test") as direct:
        add_relay(world, "a", a)
        add_relay(world, "b", b)
        use(
            world,
            RelayRule("example.test", "", "a"),
            RelayRule("other.test", "", "b"),
            RelayRule("example.test", "b.test", DIRECT),
        )
        world.submit(ALICE, ["x@b.test", "y@c.test", "z@d.test"], MAIL)
        world.submit("me@other.test", ["x@b.test", "y@c.test"], MAIL)
        (one,), (two,), (three,) = (peer.wait_messages(1) for peer in (direct, a, b))
        world.wait_queue_empty()
        assert (set(one.recipients), one.login) == ({"x@b.test"}, "")
        assert (set(two.recipients), two.sender, two.login, two.tls) == ({"y@c.test", "z@d.test"}, ALICE, "owner", True)
        assert (set(three.recipients), three.sender) == ({"x@b.test", "y@c.test"}, "me@other.test")
        world.smtp_out.wait_for_log("via relay a")
        world.smtp_out.wait_for_log("via relay b")
        assert "s3cret" not in world.smtp_out.log


def test_who_refuses_us_is_reached_through_the_relay_and_that_outlives_kills(
    world: OutboundWorld, tls: tuple[ssl.SSLContext, Path]
) -> None:
    with relay_peer(tls) as relay, world.peer("b.test", {"RCPT": LISTED}) as listed, world.peer("c.test") as good:
        add_relay(world, "a", relay, fallback=True)
        world.submit(ALICE, ["x@b.test"], MAIL)
        relay.wait_messages(1)
        world.submit(ALICE, ["y@c.test"], MAIL)
        good.wait_messages(1)
        world.wait_queue_empty()
        assert world.inbox() == []
        known = ways(world)
        assert set(known) == {"b.test"}
        assert (known["b.test"].way, "spamhaus" in known["b.test"].reason) == ("a", True)
        world.smtp_out.wait_for_log("mail goes another way")
        tried = listed.connections

        for name in ("smtp_out", "store"):
            world.stack[name].kill()
        world.stack["store"].start()
        world.smtp_out.start()
        world.submit(ALICE, ["z@b.test"], MAIL)
        relay.wait_messages(2)
        world.wait_queue_empty()
        assert listed.connections == tried
        world.smtp_out.wait_for_log(r"delivered.*z@b\.test.*via relay a")


def test_a_kill_between_the_refusal_and_the_relay_loses_nothing(world: OutboundWorld, tls: tuple[ssl.SSLContext, Path]) -> None:
    gate = Gate(then=LISTED)
    with relay_peer(tls) as relay, world.peer("b.test", {"RCPT": gate}):
        add_relay(world, "a", relay, fallback=True)
        (entry,) = world.submit(ALICE, ["x@b.test"], MAIL)
        assert gate.reached.wait(20)
        world.smtp_out.kill()
        gate.opened.set()
        world.smtp_out.start()
        relay.wait_messages(1)
        world.wait_queue_empty()
        assert world.inbox() == []
        assert len(relay.messages) == 1
        assert entry


def test_without_a_fallback_and_by_rule_a_refusal_bounces(world: OutboundWorld, tls: tuple[ssl.SSLContext, Path]) -> None:
    with relay_peer(tls) as relay, world.peer("b.test", {"RCPT": LISTED}), world.peer("c.test", {"RCPT": LISTED}):
        add_relay(world, "a", relay)
        world.submit(ALICE, ["x@b.test"], MAIL)
        world.wait_inbox(1)
        world.stack.administer(
            lambda store: store.relays.set("a", RelayConfig(SMART, relay.port, username="owner", fallback=True), None)
        )
        use(world, RelayRule("", "c.test", DIRECT))
        world.submit(ALICE, ["x@c.test"], MAIL)
        world.wait_inbox(2)
        assert ways(world) == {}
        assert relay.messages == []


def test_the_last_relays_refusal_bounces(world: OutboundWorld, tls: tuple[ssl.SSLContext, Path]) -> None:
    with relay_peer(tls) as relay, world.peer("b.test", {"RCPT": LISTED}):
        relay.script({"RCPT": Say("550 5.1.1 no such user")})
        add_relay(world, "a", relay, fallback=True)
        world.submit(ALICE, ["x@b.test"], MAIL)
        (bounce,) = world.wait_inbox(1)
        assert b"Status: 5.1.1" in bounce
        world.wait_queue_empty()


def test_who_refuses_us_over_ipv6_gets_mail_over_ipv4(world: OutboundWorld, tls: tuple[ssl.SSLContext, Path]) -> None:
    no_ptr = Say("550 5.7.1 [::1] does not meet IPv6 sending guidelines regarding PTR records")
    address = world.new_address()
    with (
        relay_peer(tls) as relay,
        SmtpPeer({"MAIL": no_ptr}, host="::1", port=world.port, name="mx.b.test") as over_ipv6,
        SmtpPeer(host=address, port=world.port, name="mx.b.test") as over_ipv4,
    ):
        world.dns.set("mx.b.test", {"A": [address], "AAAA": ["::1"]})
        world.dns.set("b.test", {"MX": ["10 mx.b.test."]})
        add_relay(world, "a", relay, fallback=True)
        world.submit(ALICE, ["x@b.test"], MAIL)
        over_ipv4.wait_messages(1)
        world.wait_queue_empty()
        assert ways(world)["b.test"].way == "ipv4"
        world.submit(ALICE, ["y@b.test"], MAIL)
        over_ipv4.wait_messages(2)
        assert over_ipv6.connections == 1
        assert relay.messages == []
        assert world.inbox() == []


def test_a_closed_port_25_moves_everything(world: OutboundWorld, tls: tuple[ssl.SSLContext, Path]) -> None:
    with relay_peer(tls) as relay:
        add_relay(world, "a", relay, fallback=True)
        for number in range(3):
            world.point(f"d{number}.test", world.new_address())
        world.submit_many([(ALICE, [f"x@d{number}.test"], MAIL) for number in range(3)])
        relay.wait_messages(3)
        world.wait_queue_empty()
        known = ways(world)
        assert set(known) == {"d0.test", "d1.test", "d2.test", ANYWHERE}
        assert all(way.unreachable for way in known.values())
        # the next destination takes the relay at once
        world.point("d3.test", world.new_address())
        world.submit(ALICE, ["x@d3.test"], MAIL)
        relay.wait_messages(4)
        world.wait_queue_empty()
        assert set(ways(world)) == set(known)


def test_a_cap_holds_and_what_is_over_waits(world: OutboundWorld, tls: tuple[ssl.SSLContext, Path]) -> None:
    with relay_peer(tls) as relay, world.peer("b.test") as direct:
        add_relay(world, "a", relay, cap=3)
        use(world, RelayRule("", "", "a"))
        world.submit(ALICE, [f"x{number}@b.test" for number in range(5)], MAIL)
        (mail,) = relay.wait_messages(1)
        assert len(mail.recipients) == 3
        world.wait(lambda: len(world.queue()) == 2 and all(item.attempts for item in world.queue()), "nothing waits")
        assert all("daily cap" in item.last_text for item in world.queue())
        assert direct.messages == []
        world.smtp_out.wait_for_log("daily cap reached")
        world.stack.administer(
            lambda store: store.relays.set("a", RelayConfig(SMART, relay.port, username="owner", daily_cap=9), None)
        )
        world.retry_now()
        relay.wait_messages(2)
        world.wait_queue_empty()
        (told,) = world.stack.administer(lambda store: store.relays.list()).relays
        assert told.sent_today == 5


def test_what_a_relay_did_not_take_is_not_counted(world: OutboundWorld, tls: tuple[ssl.SSLContext, Path]) -> None:
    with relay_peer(tls) as relay:
        relay.script({"RCPT x@b.test": Say("550 5.1.1 no"), "RCPT y@b.test": [Say("450 4.2.0 later")]})
        add_relay(world, "a", relay, cap=5)
        use(world, RelayRule("", "", "a"))
        world.submit(ALICE, ["x@b.test", "y@b.test", "z@b.test"], MAIL)
        relay.wait_messages(2)
        world.wait_queue_empty()
        (told,) = world.stack.administer(lambda store: store.relays.list()).relays
        assert told.sent_today == 2


def test_a_full_fallback_gives_way_to_the_next(world: OutboundWorld, tls: tuple[ssl.SSLContext, Path]) -> None:
    with relay_peer(tls) as a, relay_peer(tls) as b, world.peer("b.test", {"RCPT": LISTED}):
        add_relay(world, "a", a, fallback=True, cap=1)
        add_relay(world, "b", b, fallback=True)
        world.submit(ALICE, ["x@b.test"], MAIL)
        a.wait_messages(1)
        world.submit(ALICE, ["y@b.test"], MAIL)
        b.wait_messages(1)
        world.wait_queue_empty()
        assert len(a.messages) == 1


def test_a_forged_server_gets_nothing(world: OutboundWorld, tls: tuple[ssl.SSLContext, Path]) -> None:
    with relay_peer(tls) as relay:
        relay.auth.forged = True
        add_relay(world, "a", relay)
        use(world, RelayRule("", "", "a"))
        (entry,) = world.submit(ALICE, ["x@b.test"], MAIL)
        world.wait(lambda: world.show(entry).attempts >= 1, "no attempt")
        (first, *_) = world.show(entry).history
        assert "signature is wrong" in first.text
        assert "via relay a" in first.remote
        assert relay.messages == []


def test_fixed_egress_learns_nothing(tmp_path: Path, tls: tuple[ssl.SSLContext, Path]) -> None:
    settings = {"PILLARBOX_SMTP_OUT__CA_FILE": str(tls[1]), "PILLARBOX_SMTP_OUT__EGRESS": "fixed"}
    with OutboundWorld(tmp_path, settings) as world, relay_peer(tls) as relay, world.peer("b.test", {"RCPT": LISTED}):
        world.dns.set(SMART, {"A": ["127.0.0.1"]})
        add_relay(world, "a", relay, fallback=True)
        world.submit(ALICE, ["x@b.test"], MAIL)
        world.wait_inbox(1)
        assert ways(world) == {}
