"""The checks at the door with the real process: strangers are 127.0.x.y, each test from networks of its own."""

import base64
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.testing.dns_server import DnsServer
from shared.testing.stack import PASSWORD, Stack

Dial = Callable[..., Any]
ALICE = "alice@example.test"
DELAY_SECONDS = 0.3
LISTED, ALLOWED = "127.0.5.1", "127.0.5.2"

ZONES = {
    "1.5.0.127.block.test": {"A": ["127.0.0.4"]},
    "2.5.0.127.block.test": {"A": ["127.0.0.4"]},
    "2.5.0.127.allow.test": {"A": ["127.0.0.2"]},
}


@pytest.fixture(scope="module")
def door(start: Callable[..., Stack]) -> Iterator[Stack]:
    with DnsServer(ZONES) as dns:
        settings = {
            "PILLARBOX_DNS__RESOLVERS": dns.setting,
            "PILLARBOX_AUTHENTICITY__UNCHECKED_NETWORKS": "127.0.9.0/24",
            "PILLARBOX_SMTP_IN__BANNER_DELAY_SECONDS": str(DELAY_SECONDS),
            "PILLARBOX_SMTP_IN__CONNECTIONS_PER_MINUTE": "6",
            "PILLARBOX_SMTP_IN__NETWORK_CONNECTIONS_PER_MINUTE": "8",
            "PILLARBOX_SMTP_IN__MESSAGES_PER_MINUTE": "2",
            "PILLARBOX_SMTP_IN__RECIPIENTS_PER_HOUR": "12",
            "PILLARBOX_SMTP_IN__TARPIT_AFTER": "2",
            "PILLARBOX_SMTP_IN__TARPIT_SECONDS": "0.2",
            "PILLARBOX_SMTP_IN__DNS_BLOCKLISTS": "block.test=127.0.0.2-11",
            "PILLARBOX_SMTP_IN__DNS_ALLOWLISTS": "allow.test",
        }
        with start(settings) as stack:
            stack.add_accounts({ALICE: PASSWORD})
            stack.add_alias("postmaster@example.test", ALICE)
            yield stack


def metrics(stack: Stack) -> str:
    host, port = stack["smtp_in"].metrics_address()
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def begin(client: Any, recipient: bytes = b"alice@example.test") -> bytes:
    """The reply to RCPT."""
    client.ask(b"EHLO client.test")
    assert client.ask(b"MAIL FROM:<sender@elsewhere.test>").startswith(b"250 ")
    reply: bytes = client.ask(b"RCPT TO:<" + recipient + b">")
    return reply


def test_who_speaks_before_the_greeting(door: Stack, dial: Dial) -> None:
    with dial(door.port("smtp"), greet=False, source="127.0.1.1") as client:
        client.send(b"EHLO client.test\r\nMAIL FROM:<sender@elsewhere.test>\r\n")
        assert client.reply() == b"554 5.5.1 Protocol error: you spoke before the greeting"
        assert client.at_end()
    assert door["smtp_in"].wait_for_log(r"client turned away.*127\.0\.1\.1")
    assert 'smtp_in_door_total{reason="early"} 1' in metrics(door)


def test_the_greeting_comes_late_once(door: Stack, dial: Dial) -> None:
    started = time.monotonic()
    with dial(door.port("smtp"), source="127.0.2.1") as client:
        assert time.monotonic() - started >= DELAY_SECONDS
        client.ask(b"QUIT")
    # a patient client may send at once from now on, and so may submissions and known networks
    for port, source in (("smtp", "127.0.2.1"), ("submission", "127.0.2.2"), ("smtp", "127.0.9.1")):
        with dial(door.port(port), greet=False, source=source) as client:
            client.send(b"EHLO client.test\r\n")
            assert client.reply().startswith(b"220 ")
            assert client.reply().startswith(b"250 ")


def test_who_is_allowed_need_not_wait(door: Stack, dial: Dial) -> None:
    with dial(door.port("smtp"), source=ALLOWED) as client:
        assert begin(client).startswith(b"250 ")


def test_who_is_listed_reaches_the_postmaster_only(door: Stack, dial: Dial, watch: Callable[[Stack], Any]) -> None:
    with dial(door.port("smtp"), source=LISTED) as client:
        refusal = b"550 5.7.1 Client [127.0.5.1] is listed by block.test; <postmaster> can be reached"
        assert begin(client) == refusal
        assert client.ask(b"RCPT TO:<Postmaster@example.test>").startswith(b"250 ")
        assert client.ask(b"RCPT TO:<alice@example.test>") == refusal
        assert client.ask(b"DATA").startswith(b"354 ")
        client.send(b"Subject: please unlist\r\n\r\n.\r\n")
        assert client.reply().startswith(b"250 ")
    assert len(watch(door).with_subject(ALICE, b"please unlist")) == 1
    assert 'smtp_in_dns_lists_total{list="block.test",answer="listed"} 1' in metrics(door)


def test_connections_beyond_the_rate(door: Stack, dial: Dial) -> None:
    for source, count in (("127.0.3.1", 6), ("127.0.3.2", 2)):
        for _ in range(count):
            with dial(door.port("smtp"), source=source):
                pass
        with dial(door.port("smtp"), greet=False, source=source) as client:
            assert client.reply().startswith(b"421 4.7.0 Too many connections in a short time")
            assert client.at_end()
    with dial(door.port("submission"), source="127.0.3.1"):
        pass


def test_messages_and_recipients_beyond_the_rate(door: Stack, dial: Dial) -> None:
    with dial(door.port("smtp"), source="127.0.4.1") as client:
        for _ in range(2):
            assert begin(client).startswith(b"250 ")
            assert client.ask(b"RSET").startswith(b"250 ")
        assert client.ask(b"MAIL FROM:<sender@elsewhere.test>").startswith(b"450 4.7.1 ")
    with dial(door.port("smtp"), source="127.0.4.2") as client:
        assert begin(client).startswith(b"250 ")
        for _ in range(11):
            assert client.ask(b"RCPT TO:<alice@example.test>").startswith(b"250 ")
        assert client.ask(b"RCPT TO:<alice@example.test>").startswith(b"450 4.7.1 ")
        # what was taken before goes its way
        assert client.ask(b"DATA").startswith(b"354 ")
        client.send(b"Subject: many\r\n\r\n.\r\n")
        assert client.reply().startswith(b"250 ")


def test_guessed_recipients_are_answered_late(door: Stack, dial: Dial) -> None:
    with dial(door.port("smtp"), source="127.0.6.1") as client:
        assert begin(client, b"a@example.test").startswith(b"550 5.1.1 ")
        assert client.ask(b"RCPT TO:<b@example.test>").startswith(b"550 5.1.1 ")
        started = time.monotonic()
        for guess in (b"c", b"d"):
            assert client.ask(b"RCPT TO:<" + guess + b"@example.test>").startswith(b"550 5.1.1 ")
        assert time.monotonic() - started >= 0.4
        assert client.ask(b"RCPT TO:<alice@example.test>").startswith(b"250 ")
    assert 'smtp_in_door_total{reason="tarpitted"} 2' in metrics(door)


def test_the_drain_waits_for_nobody_who_waits(start: Callable[..., Stack], dial: Dial) -> None:
    settings = {
        "PILLARBOX_AUTHENTICITY__UNCHECKED_NETWORKS": "",
        "PILLARBOX_SMTP_IN__BANNER_DELAY_SECONDS": "30",
        "PILLARBOX_SERVER__DRAIN_SECONDS": "25",
    }
    with start(settings) as stack, dial(stack.port("smtp"), greet=False, source="127.0.7.1") as client:
        assert any('connections_open{listener="smtp"} 1' in metrics(stack) for _ in range(1000))
        said: list[bytes] = []
        reader = threading.Thread(target=lambda: said.extend((client.reply(), client.reply())))
        reader.start()
        started = time.monotonic()
        assert stack["smtp_in"].stop() == 0
        reader.join()
        assert time.monotonic() - started < 15
        assert said[0].startswith(b"220 ")
        assert said[1].startswith(b"421 4.3.2 ")


def test_greylisting_outlives_a_restart(start: Callable[..., Stack], dial: Dial) -> None:
    with DnsServer({"good.test": {"TXT": ['"v=spf1 ip4:127.0.0.0/8 -all"']}}) as dns:
        settings = {
            "PILLARBOX_DNS__RESOLVERS": dns.setting,
            "PILLARBOX_AUTHENTICITY__UNCHECKED_NETWORKS": "",
            "PILLARBOX_SMTP_IN__BANNER_DELAY_SECONDS": "0",
            "PILLARBOX_SMTP_IN__GREYLIST": "true",
            "PILLARBOX_SMTP_IN__GREYLIST_SECONDS": "1",
        }
        with start(settings) as stack:
            stack.add_accounts({ALICE: PASSWORD})
            with dial(stack.port("smtp"), source="127.0.8.1") as client:
                assert begin(client) == b"451 4.7.1 Not seen before, try again in 1 seconds (greylisting)"
                # an unknown recipient is told so at once, and an SPF pass goes through
                assert client.ask(b"RCPT TO:<nobody@example.test>").startswith(b"550 5.1.1 ")
                assert client.ask(b"RSET").startswith(b"250 ")
                assert client.ask(b"MAIL FROM:<sender@good.test>").startswith(b"250 ")
                assert client.ask(b"RCPT TO:<alice@example.test>").startswith(b"250 ")
            # to whom an account has written may answer at once
            with dial(stack.port("submissions"), tls=True) as client:
                token = base64.b64encode(f"\0{ALICE}\0{PASSWORD}".encode())
                assert client.ask(b"EHLO client.test").startswith(b"250 ")
                assert client.ask(b"AUTH PLAIN " + token).startswith(b"235 ")
                assert client.ask(b"MAIL FROM:<alice@example.test>").startswith(b"250 ")
                assert client.ask(b"RCPT TO:<friend@plain.test>").startswith(b"250 ")
                assert client.ask(b"DATA").startswith(b"354 ")
                client.send(b"From: alice@example.test\r\nSubject: hello\r\n\r\n.\r\n")
                assert client.reply().startswith(b"250 ")
            with dial(stack.port("smtp"), source="127.0.10.1") as client:
                assert client.ask(b"EHLO client.test").startswith(b"250 ")
                for sender, code in ((b"friend@plain.test", b"250 "), (b"other@plain.test", b"451 ")):
                    assert client.ask(b"MAIL FROM:<" + sender + b">").startswith(b"250 ")
                    assert client.ask(b"RCPT TO:<alice@example.test>").startswith(code)
                    assert client.ask(b"RSET").startswith(b"250 ")
            time.sleep(1)  # the delay itself, on the wall's clock
            stack["smtp_in"].stop()
            stack["smtp_in"].restart()
            with dial(stack.port("smtp"), source="127.0.8.2") as client:
                assert begin(client).startswith(b"250 ")
