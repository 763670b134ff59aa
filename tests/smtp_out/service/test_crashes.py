"""kill -9 and restarts at the nasty moments: nothing is lost, and at most the message in doubt comes twice."""

from __future__ import annotations

import collections
from pathlib import Path

import pytest

from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.smtp_peer import Gate, Say, SmtpPeer


def mail(number: int) -> bytes:
    return f"From: alice@example.test\r\nSubject: {number}\r\nMessage-ID: <{number}@x>\r\n\r\nbody\r\n".encode()


def arrived(peer: SmtpPeer) -> collections.Counter[str]:
    return collections.Counter(recipient for one in list(peer.messages) for recipient in one.recipients)


@pytest.mark.parametrize("step", ["CONNECT", "MAIL", "RCPT", "DATA"])
def test_killed_before_the_content_comes_once(world: OutboundWorld, step: str) -> None:
    gate = Gate()
    domain = f"{step.lower()}.test"
    with world.peer(domain, {step: [gate]}) as peer:
        world.submit(ALICE, [f"bob@{domain}"], mail(1))
        peer.wait_for(gate.reached.is_set)
        world.smtp_out.kill()
        gate.opened.set()
        world.smtp_out.restart()
        peer.wait_messages(1)
        world.wait_queue_empty()
        assert arrived(peer) == {f"bob@{domain}": 1}


def test_killed_between_the_dot_and_the_report_comes_at_most_twice(world: OutboundWorld) -> None:
    gate = Gate()
    with world.peer("b1.test", {"END": [gate]}) as peer:
        world.submit(ALICE, ["in-doubt@b1.test"], mail(1))
        peer.wait_for(gate.reached.is_set)
        world.submit_many([(ALICE, [f"r{i}@b1.test"], mail(i)) for i in range(20)])
        world.smtp_out.kill()
        gate.opened.set()
        world.smtp_out.restart()
        peer.wait_for(lambda: len(arrived(peer)) == 21 and arrived(peer)["in-doubt@b1.test"] == 2)
        world.wait_queue_empty()
        assert arrived(peer) == {"in-doubt@b1.test": 2, **{f"r{i}@b1.test": 1 for i in range(20)}}


def test_killed_under_load_loses_nothing_and_doubles_one_per_session(world: OutboundWorld) -> None:
    count = 120
    with world.peer("b2.test") as peer:
        world.submit_many([(ALICE, [f"r{i}@b2.test"], mail(i)) for i in range(count)])
        peer.wait_messages(20)
        world.smtp_out.kill()
        world.smtp_out.restart()
        peer.wait_for(lambda: len(arrived(peer)) == count)
        world.wait_queue_empty()
        doubled = sum(times - 1 for times in arrived(peer).values())
        assert max(arrived(peer).values()) <= 2
        assert doubled <= 20  # sessions to one destination


def test_the_store_killed_between_the_dot_and_the_report_doubles_nothing(world: OutboundWorld) -> None:
    gate = Gate()
    with world.peer("b3.test", {"END": [gate]}) as peer:
        world.submit(ALICE, ["bob@b3.test"], mail(1))
        peer.wait_for(gate.reached.is_set)
        world.stack["store"].kill()
        gate.opened.set()
        world.stack["store"].restart()
        world.wait_queue_empty()
        assert arrived(peer) == {"bob@b3.test": 1}


def test_the_store_killed_under_load_loses_and_doubles_nothing(world: OutboundWorld) -> None:
    count = 120
    bounces = len(world.inbox())
    with world.peer("b4.test", {"RCPT r7@b4.test": Say("550 5.1.1 nobody")}) as peer:
        world.submit_many([(ALICE, [f"r{i}@b4.test"], mail(i)) for i in range(count)])
        peer.wait_messages(20)
        world.stack["store"].kill()
        world.stack["store"].restart()
        peer.wait_messages(count - 1)
        world.wait_queue_empty()
        assert arrived(peer) == {f"r{i}@b4.test": 1 for i in range(count) if i != 7}
        assert len(world.inbox()) == bounces + 1


def test_drain_finishes_what_is_under_way_and_releases_the_rest(world: OutboundWorld) -> None:
    gate = Gate()
    with world.peer("b5.test", {"END": [gate]}) as peer:
        world.submit(ALICE, ["bob@b5.test"], mail(1))
        peer.wait_for(gate.reached.is_set)
        world.smtp_out.popen.terminate()
        world.smtp_out.wait_for_log("draining")
        gate.opened.set()
        assert world.smtp_out.popen.wait(10) == 0
        assert world.queue() == ()
        assert arrived(peer) == {"bob@b5.test": 1}
        assert peer.commands[-1] == "QUIT"
    world.smtp_out.restart()


def test_drain_cuts_off_after_the_grace_and_nothing_stays_leased(tmp_path: Path) -> None:
    gate = Gate()
    settings = {"PILLARBOX_SERVER__DRAIN_SECONDS": "2.5", "PILLARBOX_SMTP_OUT__LEASE_SECONDS": "600"}
    with OutboundWorld(tmp_path, settings) as world, world.peer("b.test", {"MAIL": gate}) as peer:
        world.submit_many([(ALICE, [f"r{i}@b.test"], mail(i)) for i in range(40)])
        # with such a lease it looks by itself once a minute only: the store's word woke it
        peer.wait_for(gate.reached.is_set)
        world.smtp_out.popen.terminate()
        assert world.smtp_out.popen.wait(12) == 0
        assert {item.leased_by for item in world.queue()} == {""}
        assert len(world.queue()) == 40
        peer.script({})
        gate.opened.set()
        world.smtp_out.restart()
        peer.wait_messages(40)
        world.wait_queue_empty()
        assert set(arrived(peer).values()) == {1}


def test_leases_are_kept_while_a_delivery_takes_long(world: OutboundWorld) -> None:
    gate = Gate()
    with world.peer("slow.test", {"END": [gate]}) as peer:
        world.submit(ALICE, ["bob@slow.test"], mail(1))
        peer.wait_for(gate.reached.is_set)
        # longer than the lease of 2.5 s: a lost lease would be taken up again and deliver a second time
        with pytest.raises(TimeoutError):
            peer.wait_for(lambda: peer.connections > 1, seconds=4)
        gate.opened.set()
        world.wait_queue_empty()
        assert arrived(peer) == {"bob@slow.test": 1}


def test_expired_mail_goes_back(tmp_path: Path) -> None:
    settings = {"PILLARBOX_SMTP_OUT__EXPIRE_SECONDS": "1"}
    with OutboundWorld(tmp_path, settings) as world, world.peer("b.test", {"RCPT": Say("450 4.2.0 full")}) as peer:
        world.submit(ALICE, ["bob@b.test"], mail(1))
        (bounce,) = world.wait_inbox(1)
        world.wait_queue_empty()
        assert b"Status: 5.4.7" in bounce
        assert b"full" in bounce
        assert sum(line.startswith("RCPT") for line in peer.commands) >= 2
