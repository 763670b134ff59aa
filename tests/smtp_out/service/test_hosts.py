"""The real service: a host that is busy is passed over while another one of its domain serves."""

from __future__ import annotations

import pytest

from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.smtp_peer import Close, Say, SmtpPeer

MAIL = b"Subject: x\r\n\r\nbody\r\n"


@pytest.mark.parametrize(
    ("domain", "script"),
    [
        ("greets.test", {"CONNECT": Say("421 too many connections", then_close=True)}),
        ("hello.test", {"EHLO": Say("450 not now")}),
        ("mail.test", {"MAIL": Say("452 no room")}),
        ("says421.test", {"MAIL": Say("421 too busy", then_close=True)}),
    ],
)
def test_a_busy_host_rests_while_another_serves(world: OutboundWorld, domain: str, script: dict[str, Say | Close]) -> None:
    first, second = world.new_address(), world.new_address()
    with (
        SmtpPeer(script, host=first, port=world.port, name=f"mx1.{domain}") as busy,
        SmtpPeer(host=second, port=world.port, name=f"mx2.{domain}") as other,
    ):
        world.dns.set(f"mx1.{domain}", {"A": [first]})
        world.dns.set(f"mx2.{domain}", {"A": [second]})
        world.dns.set(domain, {"MX": [f"10 mx1.{domain}.", f"20 mx2.{domain}."]})
        world.submit(ALICE, [f"one@{domain}"], MAIL)
        other.wait_messages(1)
        asked = busy.connections
        assert asked == 1
        other.drop_all()
        world.submit(ALICE, [f"two@{domain}"], MAIL)
        other.wait_messages(2)
        world.wait_queue_empty()
        assert busy.connections == asked
