"""Rough treatment: arbitrary octets at every port, clients that vanish, smtp_in killed under load, several workers."""

import concurrent.futures
import random
import re
import smtplib
import threading
import time
from collections.abc import Callable
from typing import Any

from shared.testing.process import RunningService
from shared.testing.stack import Stack

Dial = Callable[..., Any]
Start = Callable[..., Stack]
Watch = Callable[[Stack], Any]
ALICE = "alice@example.test"

FRAGMENTS = [
    *[b"EHLO c\r\n", b"HELO \xff\xfe\r\n", b"MAIL FROM:<a@b.c>\r\n", b"RCPT TO:<alice@example.test>\r\n", b"DATA\r\n"],
    *[b"\r\n.\r\n", b".\r\n", b"\r", b"\n", b"\0", b"AUTH PLAIN\r\n", b"AUTH LOGIN =\r\n", b"*\r\n", b"RSET\r\n"],
    *[b"A" * 5000, b"\xff" * 300, b"Subject: x\r\n", b"Received: " * 50, b"STARTTLS\r\n", b"\x16\x03\x01\x02\x00\x01"],
]


def test_arbitrary_octets_harm_nobody(stack: Stack, dial: Dial) -> None:
    dice = random.Random(7)
    for _ in range(60):
        port = stack.port(dice.choice(["smtp", "submission", "submissions"]))
        with dial(port, greet=False) as client:
            try:
                for _ in range(dice.randint(1, 12)):
                    junk = dice.randbytes(dice.randint(1, 400))
                    client.send(dice.choice([*FRAGMENTS, junk]))
            except OSError:
                pass  # the server had enough
    service = stack["smtp_in"]
    assert service.running
    with dial(stack.port("smtp")) as client:
        client.begin(b"alice@example.test")
        client.send(b"Subject: after the storm\r\n\r\nx\r\n.\r\n")
        assert client.reply().startswith(b"250 2.0.0 ")
    for sign in ("a connection failed", "delivery failed", "a check failed", "Traceback"):
        assert sign not in service.log


def test_a_client_that_vanishes_leaves_nothing_behind(stack: Stack, eyes: Any, dial: Dial) -> None:
    service = stack["smtp_in"]
    before = len(re.findall('"reason": "lost"', service.log))
    for content in (b"Subject: half\r\n\r\nx", b"Subject: half\r\n\r\n" + b"x" * 1_000_000, b"x\r\n.\r"):
        with dial(stack.port("smtp")) as client:
            client.begin(b"alice@example.test")
            client.send(content)
    service.wait_for_log('connection ended.*"reason": "lost"', count=before + 3)
    assert not eyes.with_subject(ALICE, b"half")
    assert list((stack.data_dir / "spool" / "smtp_in").iterdir()) == []


def test_nothing_promised_is_lost_when_smtp_in_is_killed(start: Start, watch: Watch) -> None:
    with start() as stack:
        stack.add_account(ALICE)
        port = stack.port("smtp")
        promised: set[int] = set()
        doubtful: set[int] = set()
        back = threading.Event()

        def send(worker: int) -> None:
            for number in range(worker * 100, worker * 100 + 20):
                message = f"Subject: load\r\nX-Number: {number}\r\n\r\nhello\r\n"
                try:
                    with smtplib.SMTP("127.0.0.1", port) as client:
                        client.sendmail("s@elsewhere.test", [ALICE], message)
                    promised.add(number)
                except (smtplib.SMTPException, OSError):
                    # No promise was seen: it may be there or not, like with any server.
                    doubtful.add(number)
                    back.wait(20)

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            running = [pool.submit(send, worker) for worker in range(6)]
            stack["smtp_in"].wait_for_log("message accepted", count=40)
            stack["smtp_in"].kill()
            stack["smtp_in"].restart()
            back.set()
            for future in running:
                future.result(30)
        stored = [int(re.search(rb"X-Number: (\d+)", m)[1]) for m in watch(stack).mailbox(ALICE)]  # type: ignore[index]
        assert len(stored) == len(set(stored))
        assert promised <= set(stored)
        assert set(stored) <= promised | doubtful
        assert len(promised | doubtful) == 120


def test_workers_share_the_ports(start: Start, watch: Watch, dial: Dial) -> None:
    with start({"PILLARBOX_SMTP_IN__WORKERS": "2"}) as stack:
        stack.add_account(ALICE)
        first = stack["smtp_in"]
        second = RunningService("smtp_in", stack.data_dir, {**first.env, "PILLARBOX_SMTP_IN__PORT": str(first.port("smtp"))})
        with second:
            deadline = time.monotonic() + 20
            # The kernel spreads the connections over both.
            while not all("message accepted" in service.log for service in (first, second)):
                assert time.monotonic() < deadline
                with dial(first.port("smtp")) as client:
                    client.begin(ALICE.encode())
                    client.send(b"Subject: shared\r\n\r\nx\r\n.\r\n")
                    assert client.reply().startswith(b"250 ")
            first.kill()
            with dial(second.port("smtp")) as client:
                client.begin(ALICE.encode())


def test_chunks(stack, dial, eyes):
    """RFC 3030: in memory and from the spool's file; given up; broken off."""
    for subject, size in ((b"chunk-small", 10), (b"chunk-large", 700_000)):
        message = b"From: a@elsewhere.test\r\nSubject: " + subject + b"\r\n\r\n" + b"0123456789abcd\r\n" * (size // 16) + b".\r\n"
        with dial(stack.port("smtp")) as raw:
            assert raw.ask(b"EHLO client.test").startswith(b"250 ")
            raw.send(b"MAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<alice@example.test>\r\n")
            half = len(message) // 2
            raw.send(b"BDAT %d\r\n" % half + message[:half])
            raw.send(b"BDAT %d LAST\r\n" % (len(message) - half) + message[half:])
            assert [raw.reply()[:3] for _ in range(4)] == [b"250"] * 4
            raw.send(b"MAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<alice@example.test>\r\nBDAT 3\r\nabcRSET\r\nQUIT\r\n")
            assert [raw.reply()[:3] for _ in range(5)] == [b"250", b"250", b"250", b"250", b"221"]
        (content,) = eyes.with_subject("alice@example.test", subject)
        assert content.endswith(message)
    with dial(stack.port("smtp")) as raw:
        raw.ask(b"EHLO client.test")
        raw.send(b"MAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<alice@example.test>\r\nBDAT 100\r\nSubject: half\r\n\r\n")
        assert [raw.reply()[:3] for _ in range(2)] == [b"250", b"250"]
    assert eyes.with_subject("alice@example.test", b"half") == []
