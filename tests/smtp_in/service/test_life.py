"""What happens around a session: the store goes away, the service stops, clients are many, silent or greedy."""

import concurrent.futures
import re
import smtplib
import threading
import urllib.request
from collections.abc import Callable
from typing import Any

from shared.testing.stack import PASSWORD, Stack

Dial = Callable[..., Any]
Start = Callable[..., Stack]
Watch = Callable[[Stack], Any]
ALICE = "alice@example.test"


def test_a_session_survives_the_store(start: Start, watch: Watch, dial: Dial) -> None:
    with start() as stack:
        stack.add_account(ALICE)
        with dial(stack.port("smtp")) as client:
            client.begin(ALICE.encode())
            stack["store"].kill()
            client.send(b"Subject: patient\r\n\r\nx\r\n.\r\n")
            # The client waits for a promise that nobody can give yet.
            stack["smtp_in"].wait_for_log("store")
            stack["store"].restart()
            assert client.reply().startswith(b"250 2.0.0 ")
            # The same connection goes on.
            assert client.ask(b"MAIL FROM:<>").startswith(b"250 ")
            assert client.ask(b"RCPT TO:<alice@example.test>").startswith(b"250 ")
        assert len(watch(stack).with_subject(ALICE, b"patient")) == 1


def test_without_the_store_everything_is_temporary(start: Start, dial: Dial) -> None:
    with start({"PILLARBOX_STORE__WAIT_SECONDS": "1.5"}) as stack:
        stack.add_account(ALICE)
        with dial(stack.port("smtp")) as client, dial(stack.port("submission")) as submitter:
            client.begin(ALICE.encode())
            stack["store"].kill()
            submitter.ask(b"EHLO c.test")
            submitter.send(b"AUTH PLAIN AGEAYg==\r\n")
            client.send(b"Subject: lost\r\n\r\nx\r\n.\r\n")
            assert client.reply() == b"451 4.3.0 Mail storage is not available, try again later"
            assert client.ask(b"MAIL FROM:<>").startswith(b"250 ")
            assert client.ask(b"RCPT TO:<alice@example.test>").startswith(b"451 4.3.0 ")
            assert client.ask(b"DATA").startswith(b"554 ")
            assert submitter.reply().startswith(b"454 4.7.0 ")
            stack["store"].restart()
            assert client.ask(b"RCPT TO:<alice@example.test>").startswith(b"250 2.1.5 ")


def test_nothing_promised_is_lost_when_the_store_dies_under_load(start: Start, watch: Watch) -> None:
    with start() as stack:
        stack.add_account(ALICE)
        promised: list[int] = []
        killed = threading.Event()

        def send(worker: int) -> None:
            with smtplib.SMTP("127.0.0.1", stack.port("smtp")) as client:
                for number in range(worker * 100, worker * 100 + 25):
                    if number % 100 == 12:
                        killed.wait(20)
                    message = f"Subject: load\r\nX-Number: {number}\r\n\r\nhello\r\n"
                    client.sendmail("s@elsewhere.test", [ALICE], message)
                    promised.append(number)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            running = [pool.submit(send, worker) for worker in range(8)]
            stack["smtp_in"].wait_for_log("message accepted", count=40)
            stack["store"].kill()
            killed.set()
            stack["store"].restart()
            for future in running:
                future.result(30)
        stored = [int(re.search(rb"X-Number: (\d+)", m)[1]) for m in watch(stack).mailbox(ALICE)]  # type: ignore[index]
        assert sorted(stored) == sorted(promised)
        assert len(promised) == 200


def test_draining_finishes_the_transaction_under_way(start: Start, watch: Watch, dial: Dial) -> None:
    with start() as stack:
        stack.add_account(ALICE)
        with dial(stack.port("smtp")) as idle, dial(stack.port("smtp")) as busy:
            busy.begin(ALICE.encode())
            busy.send(b"Subject: last\r\n\r\nhel")
            assert idle.ask(b"EHLO c.test").startswith(b"250 ")
            service = stack["smtp_in"]
            assert service.popen is not None
            service.popen.terminate()
            assert idle.reply().startswith(b"421 4.3.2 mx.example.test ")
            assert idle.at_end()
            busy.send(b"lo\r\n.\r\nMAIL FROM:<>\r\n")
            assert busy.reply().startswith(b"250 2.0.0 ")
            assert busy.reply().startswith(b"421 4.3.2 ")
            assert busy.at_end()
            assert service.popen.wait(20) == 0
        assert len(watch(stack).with_subject(ALICE, b"last")) == 1


def test_silent_clients_are_told_to_go(start: Start, dial: Dial) -> None:
    with start({"PILLARBOX_SMTP_IN__COMMAND_SECONDS": "1", "PILLARBOX_SMTP_IN__DATA_SECONDS": "1"}) as stack:
        stack.add_account(ALICE)
        with dial(stack.port("smtp")) as greeted, dial(stack.port("smtp")) as halfway:
            halfway.begin(ALICE.encode())
            halfway.send(b"Subject: never\r\n")
            for client in (greeted, halfway):
                assert client.reply() == b"421 4.4.2 mx.example.test timed out waiting for you"
                assert client.at_end()
        stack["smtp_in"].wait_for_log('connection ended.*"reason": "timeout"', count=2)


def test_connection_limits(start: Start, dial: Dial) -> None:
    with (
        start({"PILLARBOX_LIMITS__CONNECTIONS_PER_ADDRESS": "2"}) as stack,
        dial(stack.port("smtp")),
        dial(stack.port("smtp")) as second,
    ):
        with dial(stack.port("smtp"), greet=False) as third:
            assert third.reply().startswith(b"421 4.7.0 Too many connections")
            assert third.at_end()
        second.ask(b"QUIT")
        assert second.at_end()
        stack["smtp_in"].wait_for_log("connection ended")
        with dial(stack.port("smtp")) as again:
            assert again.ask(b"NOOP").startswith(b"250 ")


def test_limits_of_the_settings(start: Start, dial: Dial) -> None:
    settings = {
        "PILLARBOX_SMTP_IN__RECIPIENTS": "100",
        "PILLARBOX_SMTP_IN__ERRORS": "3",
        "PILLARBOX_SMTP_IN__REFUSED_RECIPIENTS": "4",
        "PILLARBOX_SMTP_IN__IDLE_COMMANDS": "5",
        "PILLARBOX_SMTP_IN__TRANSACTIONS": "2",
        "PILLARBOX_SMTP_IN__COMMAND_OCTETS": "512",
        "PILLARBOX_LIMITS__MESSAGE_OCTETS": "100000",
    }
    with start(settings) as stack:
        stack.add_account(ALICE)
        with dial(stack.port("smtp")) as client:
            client.begin(*[ALICE.encode()] * 100)
            client.send(b"x\r\n.\r\n")
            assert client.reply().startswith(b"250 ")
            assert client.ask(b"MAIL FROM:<x@elsewhere.test>").startswith(b"250 ")
            for _ in range(100):
                assert client.ask(b"RCPT TO:<alice@example.test>").startswith(b"250 ")
            assert client.ask(b"RCPT TO:<alice@example.test>").startswith(b"452 4.5.3 ")
            assert client.ask(b"DATA").startswith(b"354 ")
            client.send(b"x" * 150_000 + b"\r\n.\r\n")
            assert client.reply().startswith(b"552 5.3.4 ")
            assert client.ask(b"MAIL FROM:<>").startswith(b"421 4.7.0 Too many messages")
            assert client.at_end()
        with dial(stack.port("smtp")) as client:
            assert client.ask(b"NOOP " + b"x" * 600).startswith(b"500 5.5.2 Line too long")
            assert client.ask(b"WHAT").startswith(b"500 ")
            assert client.ask(b"WHAT").startswith(b"500 ")
            assert client.reply().startswith(b"421 4.7.0 Too many errors")
        with dial(stack.port("smtp")) as client:
            client.ask(b"EHLO c.test")
            client.ask(b"MAIL FROM:<>")
            for _ in range(4):
                assert client.ask(b"RCPT TO:<nobody@example.test>").startswith(b"550 ")
            assert client.reply().startswith(b"421 4.7.0 Too many refused recipients")
        with dial(stack.port("smtp")) as client:
            for _ in range(5):
                assert client.ask(b"NOOP").startswith(b"250 ")
            assert client.ask(b"NOOP").startswith(b"421 4.7.0 ")


def test_many_large_messages_at_once_stay_in_bounded_memory(start: Start, watch: Watch) -> None:
    with start({"PILLARBOX_LIMITS__EXEMPT_NETWORKS": "127.0.0.0/8"}) as stack:
        stack.add_account(ALICE)
        message = b"Subject: large\r\n\r\n" + b"0123456789abcdef0123456789abcdef0123456789\r\n" * 110_000
        at_once = 28

        def send(_: int) -> None:
            with smtplib.SMTP("127.0.0.1", stack.port("smtp"), timeout=60) as client:
                client.sendmail("s@elsewhere.test", [ALICE], message)

        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            list(pool.map(send, range(at_once)))
        service = stack["smtp_in"]
        with open(f"/proc/{service.pid}/status") as status:
            peak = int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) // 1024  # type: ignore[index]
        assert peak < 120, f"{peak} MB at the most for {at_once} messages of 4.7 MB"
        assert len(watch(stack).with_subject(ALICE, b"large")) == at_once
        host, port = service.metrics_address()
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        assert f'smtp_in_messages_total{{listener="smtp",result="2xx"}} {at_once}' in metrics
        assert "smtp_in_memory_octets 0" in metrics


def test_the_log_says_what_an_operator_asks(start: Start, dial: Dial) -> None:
    with start() as stack:
        stack.add_account(ALICE, PASSWORD)
        with dial(stack.port("smtp")) as client:
            client.begin(ALICE.encode(), sender=b"x@elsewhere.test")
            client.send(b"Subject: private matters\r\n\r\nprivate body\r\n.\r\n")
            client.reply()
            client.ask(b"MAIL FROM:<x@elsewhere.test>")
            client.ask(b"RCPT TO:<victim@elsewhere.test>")
        service = stack["smtp_in"]
        (line,) = service.wait_for_log("message accepted")
        for field in ('"trace": "', '"sender": "<x@elsewhere.test>"', '"recipients": ["alice@', '"peer": "127.0.0.1"'):
            assert field in line
        (line,) = service.wait_for_log("recipient refused")
        for field in ('"reply": "550 5.7.1 Relaying denied"', '"recipient": "victim@elsewhere.test"', '"trace"'):
            assert field in line
        (line,) = service.wait_for_log("connection ended")
        for field in ('"reason": "lost"', '"accepted": 1', '"refused_recipients": 1', '"helo": "client.test"'):
            assert field in line
        assert "private" not in service.log
