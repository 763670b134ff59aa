"""Daily limits over the wire: 450 for the recipient that is too many, or at the end where another was faster; the owner's mail."""

import email
import email.policy
import json
import os
import smtplib
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.testing.process import ROOT
from shared.testing.stack import PASSWORD, Stack
from shared.wire import base64

Dial = Callable[..., Any]
MESSAGES = b"450 4.7.1 Daily limit of messages reached, try tomorrow"
NEW = b"450 4.7.1 Daily limit of new recipients reached, try tomorrow"


@pytest.fixture(scope="module")
def limited(start: Callable[..., Stack]) -> Iterator[Stack]:
    own = {"PILLARBOX_LIMITS__MESSAGES_PER_DAY": "8", "PILLARBOX_LIMITS__NEW_RECIPIENTS_PER_DAY": "3"}
    with start(own) as running:
        for name in ("alice", "bob", "carol", "dave", "erin"):
            running.add_account(f"{name}@example.test")
        running.add_alias("team@example.test", "bob@example.test", "t1@elsewhere.test", "t2@elsewhere.test")
        yield running


def account(stack: Stack, *words: str) -> dict[str, Any]:
    """`pillarbox account limit`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PILLARBOX_DATA": str(stack.data_dir)}
    argv = [sys.executable, "-P", "-m", "shared.cli.main", "account", "limit", *words, "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=40, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def entered(dial: Dial, stack: Stack, user: str) -> Any:
    client = dial(stack.port("submission"))
    client.ask(b"EHLO laptop.test")
    assert client.ask(b"AUTH PLAIN " + base64.encode(f"\0{user}\0{PASSWORD}".encode())).startswith(b"235 ")
    assert client.ask(f"MAIL FROM:<{user}>".encode()).startswith(b"250 ")
    return client


def rcpt(client: Any, address: str) -> bytes:
    reply: bytes = client.ask(f"RCPT TO:<{address}>".encode())
    return reply


def finish(client: Any, subject: str) -> bytes:
    assert client.ask(b"DATA").startswith(b"354 ")
    client.send(f"Subject: {subject}\r\n\r\ntext\r\n.\r\n".encode())
    reply: bytes = client.reply()
    return reply


def test_new_recipients_then_messages(limited: Stack, dial: Dial, watch: Callable[[Stack], Any]) -> None:
    alice, eyes = "alice@example.test", watch(limited)
    with entered(dial, limited, alice) as client:
        for address in ("a@x.test", "b@x.test", "c@x.test"):
            assert rcpt(client, address).startswith(b"250 ")
        assert rcpt(client, "d@x.test") == NEW
        # the same again, local ones, and where an alias leads to are not new
        assert rcpt(client, "a@X.test").startswith(b"250 ")
        assert rcpt(client, "bob@example.test").startswith(b"250 ")
        assert rcpt(client, "team@example.test").startswith(b"250 ")
        assert finish(client, "first").startswith(b"250 ")
    assert len(eyes.with_subject("bob@example.test", b"first")) == 1
    assert len(eyes.queue()) == 5
    with entered(dial, limited, alice) as client:
        assert rcpt(client, "d@x.test") == NEW
        for address in ("C@x.test", "b@x.test", "a@x.test"):
            assert rcpt(client, address).startswith(b"250 ")
        assert rcpt(client, "t1@elsewhere.test") == MESSAGES
        assert rcpt(client, "team@example.test") == MESSAGES
        assert rcpt(client, "bob@example.test").startswith(b"250 ")
        assert finish(client, "second").startswith(b"250 ")
    (told,) = eyes.mailbox(alice)
    message = email.message_from_bytes(told, policy=email.policy.default)
    assert message["From"].addresses[0].addr_spec == "postmaster@mx.example.test"
    assert "3 recipients that it had not sent to before" in message.get_content()
    assert "한도" in message["Subject"]
    assert "비밀번호" in message.get_content()
    shown = account(limited, alice)
    assert (shown["messages_today"], shown["messages"], shown["messages_own"]) == (8, 8, False)
    assert (shown["new_recipients_today"], shown["new_recipients"], shown["new_recipients_own"]) == (3, 3, False)


def test_the_store_decides_finally(limited: Stack, dial: Dial, watch: Callable[[Stack], Any]) -> None:
    """Two sessions share what is left: both hear 250 for their recipients, the slower one is refused whole."""
    eyes, carol = watch(limited), "carol@example.test"
    with entered(dial, limited, carol) as one, entered(dial, limited, carol) as two:
        for client, addresses in ((one, ("a@x.test", "b@x.test")), (two, ("c@x.test", "d@x.test", "carol@example.test"))):
            for address in addresses:
                assert rcpt(client, address).startswith(b"250 ")
        assert finish(one, "faster").startswith(b"250 ")
        assert finish(two, "slower") == NEW
        # the connection goes on
        assert two.ask(b"MAIL FROM:<carol@example.test>").startswith(b"250 ")
        assert rcpt(two, "c@x.test").startswith(b"250 ")
        assert finish(two, "later").startswith(b"250 ")
    assert eyes.with_subject(carol, b"slower") == []
    assert len(eyes.mailbox(carol)) == 1  # the notice


def test_local_mail_and_relayed_mail_are_free(limited: Stack, dial: Dial) -> None:
    with entered(dial, limited, "dave@example.test") as client:
        for number in range(10):
            assert rcpt(client, "bob@example.test").startswith(b"250 ")
            assert finish(client, f"local {number}").startswith(b"250 ")
            assert client.ask(b"MAIL FROM:<dave@example.test>").startswith(b"250 ")
    with dial(limited.port("smtp")) as client:
        client.ask(b"EHLO other.test")
        for number in range(5):
            assert client.ask(b"MAIL FROM:<x@other.test>").startswith(b"250 ")
            assert rcpt(client, "team@example.test").startswith(b"250 ")
            assert finish(client, f"team {number}").startswith(b"250 ")
    assert account(limited, "dave@example.test")["messages_today"] == 0


def test_limits_of_an_account_by_the_command_line(limited: Stack, dial: Dial) -> None:
    erin = "erin@example.test"
    set_to = account(limited, erin, "--messages", "1", "--new-recipients", "0")
    assert (set_to["messages"], set_to["messages_own"], set_to["new_recipients"]) == (1, True, None)
    client = smtplib.SMTP("127.0.0.1", limited.port("submission"), timeout=20)
    client.login(erin, PASSWORD)
    refused = client.sendmail(erin, ["a@x.test", "b@x.test"], "Subject: x\r\n\r\nx\r\n")
    assert {address: reply[0] for address, reply in refused.items()} == {"b@x.test": 450}
    assert account(limited, erin, "--messages", "default")["messages"] == 8
    assert client.sendmail(erin, [f"p{number}@x.test" for number in range(7)], "Subject: x\r\n\r\nx\r\n") == {}
    client.quit()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PILLARBOX_DATA": str(limited.data_dir)}
    for words, code in (((erin, "--messages", "many"), 2), (("nobody@example.test",), 1)):
        argv = [sys.executable, "-P", "-m", "shared.cli.main", "account", "limit", *words]
        done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=40, check=False)
        assert done.returncode == code, done.stderr
    table = subprocess.run(
        [sys.executable, "-P", "-m", "shared.cli.main", "account", "limit", erin],
        capture_output=True, text=True, env=environment, timeout=40, check=True,
    ).stdout  # fmt: skip
    assert [line.split() for line in table.splitlines()] == [
        ["PER", "DAY", "TODAY", "OF", "SET", "BY"],
        ["messages", "8", "8", "settings"],
        ["new", "recipients", "8", "-", "account"],
    ]


def test_a_network_without_limits(start: Callable[..., Stack], dial: Dial) -> None:
    own = {
        "PILLARBOX_LIMITS__MESSAGES_PER_DAY": "2",
        "PILLARBOX_LIMITS__NEW_RECIPIENTS_PER_DAY": "1",
        "PILLARBOX_LIMITS__EXEMPT_NETWORKS": "127.0.0.0/8",
    }
    alice = "alice@example.test"
    with start(own) as stack:
        stack.add_account(alice)
        for number in range(2):
            with entered(dial, stack, alice) as client:
                for name in "abc":
                    assert rcpt(client, f"{name}{number}@x.test").startswith(b"250 ")
                assert finish(client, "many").startswith(b"250 ")
        # it is counted all the same
        told = account(stack, alice)
        assert (told["messages_today"], told["new_recipients_today"]) == (6, 6)
