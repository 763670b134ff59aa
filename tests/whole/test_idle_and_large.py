"""Delivery wakes IDLE; a large message goes through every path without holding up the small ones."""

import threading
import time

from shared.testing import clients
from shared.testing.clients import Login
from shared.testing.mail_samples import assert_intact, large_message, plain_message
from shared.testing.world import Idle, World

LARGE = 20_000_000


def test_a_delivery_wakes_every_idle_session(world: World, bob: Login) -> None:
    with world.imap(bob) as one, world.imap(bob) as two:
        first, second = Idle(one), Idle(two)
        for number in range(1, 4):
            world.deliver(bob.address, plain_message(f"wake{number}@remote.test", bob.address))
            accepted = time.monotonic()
            for idle in (first, second):
                idle.wait(lambda seen, number=number: seen.exists == number)
            assert time.monotonic() - accepted < 1.0
        first.end()
        second.end()


def test_a_large_message_goes_in_and_out_by_every_protocol(world: World, alice: Login, bob: Login) -> None:
    sent = large_message("large@example.test", LARGE, alice.address)
    with world.imap(bob) as client:
        idle = Idle(client)
        sending = threading.Thread(target=world.submit, args=(alice, bob.address, sent))
        sending.start()
        # small mail passes meanwhile
        world.deliver(bob.address, plain_message("small@remote.test", bob.address))
        idle.wait(lambda seen: seen.exists >= 1)
        sending.join(30)
        idle.wait(lambda seen: seen.exists == 2)
        idle.end()
    arrived = next(message for message in world.imap_messages(bob) if len(message) > LARGE)
    assert_intact(arrived, sent)
    assert next(message for message in world.pop3_messages(bob) if len(message) > LARGE) == arrived


def test_a_large_message_is_appended_and_relayed(world: World, alice: Login) -> None:
    sent = large_message("large-out@example.test", LARGE, alice.address)
    with world.imap(alice) as client:
        status, said = client.append("Sent", r"(\Seen)", "", sent)
        assert status == "OK", said
    (stored,) = world.imap_messages(alice, "Sent")
    assert stored == sent
    clients.curl_send(world.stack.port("submissions"), "dave@remote.test", sent, alice)
    world.postfix.wait_for_log(r"message-id=<large-out@example\.test>")
    world.postfix.wait_for_log(r"to=<dave@remote\.test>.*status=sent")
