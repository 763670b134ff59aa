"""The real service: whose mail goes first, and how fast it goes."""

from __future__ import annotations

import time
from pathlib import Path

from shared.model.ids import AccountId
from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.smtp_peer import Gate

MAIL = b"Subject: x\r\n\r\nbody\r\n"
ALICES = AccountId(1)


def test_one_accounts_many_messages_delay_no_other(tmp_path: Path) -> None:
    settings = {
        "PILLARBOX_SMTP_OUT__CONNECTIONS_PER_DESTINATION": "1",
        "PILLARBOX_SMTP_OUT__HELD": "60",
        "PILLARBOX_SMTP_OUT__BATCH": "30",
    }
    gate = Gate()
    with OutboundWorld(tmp_path, settings) as world, world.peer("big.test", {"RCPT r0@big.test": gate}) as peer:
        world.submit(ALICE, ["r0@big.test"], MAIL, account_id=ALICES)
        world.submit_many([(ALICE, [f"r{number}@big.test"], MAIL) for number in range(1, 200)], account_id=ALICES)
        assert gate.reached.wait(10)
        world.submit("joe@x.test", ["forwarded@big.test"], MAIL)
        gate.opened.set()
        peer.wait_messages(201)
        world.wait_queue_empty()
        order = [mail.recipients[0] for mail in peer.messages]
    # it may come behind what was on its way already, not behind what waits
    assert order.index("forwarded@big.test") < 10


def test_a_destination_has_its_pace(tmp_path: Path) -> None:
    settings = {"PILLARBOX_SMTP_OUT__RATE_PER_DESTINATION": "120"}
    with OutboundWorld(tmp_path, settings) as world, world.peer("slow.test") as slow, world.peer("other.test") as other:
        started = time.monotonic()
        world.submit_many([(ALICE, [f"r{number}@slow.test"], MAIL) for number in range(14)], account_id=ALICES)
        world.submit(ALICE, ["bob@other.test"], MAIL, account_id=ALICES)
        other.wait_messages(1)
        slow.wait_messages(10)  # five seconds' worth at once
        slow.wait_messages(14)
        assert time.monotonic() - started >= 4 * 0.5
        world.wait_queue_empty()


def test_an_account_has_its_pace_and_others_go_past(tmp_path: Path) -> None:
    settings = {"PILLARBOX_SMTP_OUT__RATE_PER_ACCOUNT": "60"}
    with OutboundWorld(tmp_path, settings) as world, world.peer("b.test") as peer:
        started = time.monotonic()
        world.submit_many([(ALICE, [f"r{number}@b.test"], MAIL) for number in range(8)], account_id=ALICES)
        peer.wait_messages(5)
        world.submit("joe@x.test", ["forwarded@b.test"], MAIL)
        peer.wait_messages(9)
        assert time.monotonic() - started >= 3
        assert peer.messages[-1].recipients[0].startswith("r")
        world.wait_queue_empty()
