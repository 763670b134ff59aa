"""XCLIENT with the real process: swaks as the front end, and what follows from the announced client."""

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.testing.runner import require
from shared.testing.stack import Stack


@pytest.fixture(scope="module")
def front(start: Callable[..., Stack]) -> Iterator[Stack]:
    settings = {
        "PILLARBOX_SMTP_IN__XCLIENT_NETWORKS": "127.0.0.1/32",
        "PILLARBOX_AUTHENTICITY__SECONDS": "0.5",
        "PILLARBOX_DNS__RESOLVERS": "127.0.0.1:9",
    }
    with start(settings) as stack:
        stack.add_account("alice@example.test")
        yield stack


def test_swaks(front: Stack, watch: Any) -> None:
    require("swaks")
    argv = ["swaks", "--server", "127.0.0.1", "--port", str(front.port("smtp")), "--helo", "proxy.test"]
    argv += ["--from", "s@elsewhere.test", "--to", "alice@example.test", "--header", "Subject: xclient"]
    argv += ["--xclient-addr", "203.0.113.9", "--xclient-helo", "client.elsewhere.test", "--xclient-name", "[UNAVAILABLE]"]
    run = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 0, run.stdout
    (stored,) = watch(front).with_subject("alice@example.test", b"xclient")
    assert b"Received: from client.elsewhere.test (unknown [203.0.113.9])\r\n" in stored
    # the announced client is nobody whose mail goes unchecked, as the front end's own would
    assert b"Authentication-Results: mx.example.test;" in stored
    assert front["smtp_in"].wait_for_log(r"message accepted.*203\.0\.113\.9")
    assert front["smtp_in"].wait_for_log(r"client announced.*127\.0\.0\.1.*203\.0\.113\.9")


def test_passwords_in_the_clear_are_the_clients_matter(front: Stack, dial: Callable[..., Any]) -> None:
    """The front end is in auth.plaintext_networks, its client is not; the account that logged in before is nobody's."""
    with dial(front.port("submission")) as client:
        assert client.ask(b"EHLO proxy.test").startswith(b"250 ")
        client.send(b"AUTH PLAIN\r\n")
        assert client.reply().startswith(b"334")
        assert client.ask(b"AGFsaWNlQGV4YW1wbGUudGVzdABjb3JyZWN0LWhvcnNlLWJhdHRlcnk=").startswith(b"235 ")
        assert client.ask(b"XCLIENT ADDR=203.0.113.9").startswith(b"220 mx.example.test")
        assert client.ask(b"EHLO proxy.test").startswith(b"250 ")
        assert client.ask(b"MAIL FROM:<alice@example.test>").startswith(b"530 ")
        assert client.ask(b"AUTH PLAIN AGFsaWNl").startswith(b"538 ")


def test_off_by_default(stack: Stack, dial: Callable[..., Any]) -> None:
    with dial(stack.port("smtp")) as client:
        client.send(b"EHLO c.test\r\n")
        line = client.line()
        while line[3:4] == b"-":
            assert b"XCLIENT" not in line
            line = client.line()
        assert client.ask(b"XCLIENT ADDR=203.0.113.9").startswith(b"502 ")
