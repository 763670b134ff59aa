"""Port 25: mail from elsewhere for us, by real clients and octet by octet."""

import re
import smtplib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.testing import clients
from shared.testing.runner import require
from shared.testing.stack import Stack

Dial = Callable[..., Any]


def queued(reply: bytes) -> str:
    """The trace id of the reply that promises a message."""
    match = re.fullmatch(rb"250 2\.0\.0 Ok: queued as ([0-9a-z]{13})", reply)
    assert match, reply
    return match[1].decode()


def test_the_content_arrives_octet_by_octet(stack: Stack, eyes: Any, dial: Dial) -> None:
    content = (
        b"Subject: every octet\r\nContent-Type: text/plain; charset=euc-kr\r\n\r\n"
        + "한글 메일\r\n".encode("euc-kr")
        + b"..\r\n.dot\r\n"
        + bytes(range(14, 256))
        + b"\r\nlong "
        + b"x" * 5000
        + b"\r\n\r\n"
    )
    with dial(stack.port("smtp")) as client:
        client.begin(b"alice@example.test")
        client.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        trace = queued(client.reply())
        assert client.ask(b"QUIT") == b"221 2.0.0 mx.example.test closing connection"
        assert client.at_end()
    (stored,) = eyes.with_subject("alice@example.test", b"every octet")
    head, separator, rest = stored.partition(b"Subject: every octet")
    assert separator + rest == content
    assert re.fullmatch(
        rb"Return-Path: <sender@elsewhere\.test>\r\n"
        rb"Received: from client\.test \(unknown \[127\.0\.0\.1\]\)\r\n"
        rb"\tby mx\.example\.test with ESMTP id " + trace.encode() + rb"\r\n"
        rb"\tfor <alice@example\.test>;\r\n"
        rb"\t\w{3}, \d+ \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\r\n",
        head,
    )
    # One id in the reply, in Received and in the log.
    assert stack["smtp_in"].wait_for_log(rf'message accepted.*{trace}')


def test_pipelined_and_octet_by_octet(stack: Stack, eyes: Any, dial: Dial) -> None:
    batch = (
        b"EHLO c.test\r\nMAIL FROM:<> BODY=8BITMIME SIZE=100\r\nRCPT TO:<nobody@example.test>\r\n"
        b"RCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
    )
    content = b"Subject: split\r\n\r\nx\r\n.\r\nQUIT\r\n"
    with dial(stack.port("smtp")) as client:
        client.send(batch)
        codes = [client.reply()[:10] for _ in range(6)]
        assert codes == [b"250 LIMITS", b"250 2.1.0 ", b"550 5.1.1 ", b"250 2.1.5 ", b"452 4.5.3 ", b"354 End da"]
        for octet in content:
            client.send(bytes([octet]))
        queued(client.reply())
        assert client.reply().startswith(b"221 ")
    (stored,) = eyes.with_subject("alice@example.test", b"split")
    assert stored.startswith(b"Return-Path: <>\r\n")


def test_one_copy_each_and_one_queue_entry(stack: Stack, eyes: Any) -> None:
    with smtplib.SMTP("127.0.0.1", stack.port("smtp")) as client:
        to = ["alice@example.test", "team@example.test", "ALICE@Example.Test", "alice@example.test", "team@example.test"]
        assert client.sendmail("s@elsewhere.test", to, "Subject: once\r\n\r\nhello\r\n") == {}
    assert len(eyes.with_subject("alice@example.test", b"once")) == 1
    assert len(eyes.with_subject("bob@example.test", b"once")) == 1
    entries = [item for item in eyes.queue() if item.recipient == "carol@elsewhere.test"]
    assert len(entries) == 1
    assert entries[0].sender.endswith("=elsewhere.test=s@example.test")


@pytest.mark.parametrize("spelling", [b"postmaster", b"PostMaster", b'"postmaster"@example.test'])
def test_postmaster(spelling: bytes, stack: Stack, dial: Dial) -> None:
    with dial(stack.port("smtp")) as client:
        client.begin(spelling)


RELAYS = [
    b"victim@elsewhere.test",
    b"victim%elsewhere.test@example.test",
    b"victim%elsewhere.test@[127.0.0.1]",
    b"elsewhere.test!victim@example.test",
    b'"victim@elsewhere.test"@example.test',
    b'"victim%elsewhere.test"@example.test',
    b'"victim@elsewhere.test"',
    b"@example.test:victim@elsewhere.test",
    b"@example.test,@mx.example.test:victim@elsewhere.test",
    b"victim@[127.0.0.1]",
    b"alice@[127.0.0.1]",
    b"victim@[IPv6:::1]",
    b"victim@elsewhere.test.",
    b"alice@example.test.",
    b"alice@example.test@elsewhere.test",
    b"victim@elsewhere.test@example.test",
    b"victim@sub.example.test",
    b"VICTIM@ELSEWHERE.TEST",
    b"victim",
    b"victim@elsewhere.test,alice@example.test",
    b"victim@elsewhere.test alice@example.test",
    b'""@elsewhere.test',
]


@pytest.mark.parametrize("sender", [b"", b"alice@example.test", b"x@elsewhere.test", b"x@[127.0.0.1]"])
def test_open_relay_in_every_spelling(sender: bytes, stack: Stack, dial: Dial) -> None:
    for spelling in RELAYS:
        with dial(stack.port("smtp")) as client:
            assert client.ask(b"EHLO client.test").startswith(b"250 ")
            assert client.ask(b"MAIL FROM:<" + sender + b">").startswith(b"250 ")
            reply = client.ask(b"RCPT TO:<" + spelling + b">")
            assert reply[:10] in (b"550 5.7.1 ", b"550 5.1.1 ", b"501 5.1.3 ", b"501 5.5.4 "), (spelling, reply)
            assert client.ask(b"DATA").startswith(b"554 5.5.1 ")


SMUGGLES = [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r\r\n", b"\r\n.\r", b"\n.\r"]


@pytest.mark.parametrize("marker", SMUGGLES)
def test_smuggling(marker: bytes, stack: Stack, eyes: Any, dial: Dial) -> None:
    evil = b"MAIL FROM:<admin@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: evil\r\n\r\nx\r\n.\r\n"
    with dial(stack.port("smtp")) as client:
        client.begin(b"bob@example.test")
        client.send(b"Subject: outer\r\n\r\nhello" + marker + evil)
        assert client.reply().startswith(b"550 5.6.11 ")
        # In step: the next line is a command, and no transaction is open.
        assert client.ask(b"RCPT TO:<bob@example.test>").startswith(b"503 5.5.1 ")
    assert not eyes.with_subject("bob@example.test", b"evil")
    assert not eyes.with_subject("bob@example.test", b"outer")


def test_unusual_contents(stack: Stack, eyes: Any, dial: Dial) -> None:
    before = len(eyes.mailbox("bob@example.test"))
    with dial(stack.port("smtp")) as client:
        for content in (b"", b"no header at all\r\n", b"\r\nbody only\r\n", b"Broken header\r\n: x\r\n\r\n\0\r\n"):
            client.begin(b"bob@example.test")
            client.send(content + b".\r\n")
            queued(client.reply())
    stored = eyes.mailbox("bob@example.test")[before:]
    ends = [content.partition(b"\r\n\r\n")[2] for content in stored]
    assert ends == [b"", b"no header at all\r\n", b"body only\r\n", b"Broken header\r\n: x\r\n\r\n\0\r\n"]


def test_a_large_message_goes_through_the_spool(stack: Stack, eyes: Any, dial: Dial) -> None:
    lines = b"".join(b"%07d all work and no play makes jack a dull boy\r\n" % n for n in range(60_000))
    content = b"Subject: large\r\n\r\n" + lines
    assert len(content) > 3_000_000
    with dial(stack.port("smtp")) as client:
        client.begin(b"alice@example.test")
        client.send(content + b".\r\n")
        queued(client.reply())
    (stored,) = eyes.with_subject("alice@example.test", b"large")
    assert stored.endswith(content)
    assert stored.startswith(b"Return-Path: ")
    assert list((stack.data_dir / "spool" / "smtp_in").iterdir()) == []


def test_loops_and_large_headers_are_refused(stack: Stack, dial: Dial) -> None:
    hop = b"Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    with dial(stack.port("smtp")) as client:
        for content, code in (
            (hop * 50 + b"\r\nx\r\n", b"250 2.0.0 "),
            (hop * 51 + b"\r\nx\r\n", b"554 5.4.6 "),
            (b"Subject: x\r\n\r\n" + hop * 60, b"250 2.0.0 "),
            (b"X: " + b"y" * 900_000 + b"\r\n\r\nx\r\n", b"552 5.3.4 "),
            (b"X-Endless: y\r\n" * 100_000, b"552 5.3.4 "),
        ):
            client.begin(b"alice@example.test")
            client.send(content + b".\r\n")
            assert client.reply().startswith(code)


def test_refusals_name_their_codes(stack: Stack, dial: Dial) -> None:
    with dial(stack.port("smtp")) as client:
        for line, code in (
            (b"MAIL FROM:<a@b.test>", b"503 5.5.1"),
            (b"EHLO", b"501 5.5.4"),
            (b"EHLO x.test", b"250 "),
            (b"MAIL FROM:<a@b.test> SIZE=99999999999", b"552 5.3.4"),
            (b"MAIL FROM:<a b@b.test>", b"501 5.1.7"),
            (b"MAIL FROM:<a@b.test> FOO=1", b"555 5.5.4"),
            (b"AUTH PLAIN AGEAYg==", b"502 5.5.1"),
            (b"VRFY alice", b"252 2.5.0"),
            (b"EXPN alice", b"502 5.5.1"),
            (b"HELP", b"214 2.0.0"),
            (b"WHAT", b"500 5.5.2"),
            (b"MAIL FROM:<\xc3\xbc@b.test>", b"553 5.6.7"),
            (b"MAIL FROM:<\xc3\xbc@b.test> SMTPUTF8", b"250 2.1.0"),
            (b"RCPT TO:<nobody@example.test>", b"550 5.1.1"),
            (b"RCPT TO:<a@elsewhere.test>", b"550 5.7.1"),
            (b"DATA", b"554 5.5.1"),
            (b"NOOP " + b"x" * 3000, b"500 5.5.2"),
            (b"RSET", b"250 2.0.0"),
        ):
            assert client.ask(line).startswith(code), line


def test_starttls_drops_what_was_injected(stack: Stack, dial: Dial) -> None:
    with dial(stack.port("smtp")) as client:
        assert client.ask(b"EHLO client.test").startswith(b"250 ")
        client.send(b"STARTTLS\r\nMAIL FROM:<injected@elsewhere.test>\r\n")
        assert client.reply() == b"220 2.0.0 Ready to start TLS"
        client.start_tls()
        # Neither the EHLO nor the injected MAIL is known any more.
        assert client.ask(b"RCPT TO:<alice@example.test>") == b"503 5.5.1 Send EHLO first"
        assert client.ask(b"STARTTLS").startswith(b"503 ")
        client.begin(b"alice@example.test")
        client.send(b"Subject: over TLS\r\n\r\nx\r\n.\r\n")
        queued(client.reply())


@pytest.mark.parametrize("security", [clients.Security.NONE, clients.Security.STARTTLS])
def test_swaks(security: clients.Security, stack: Stack, eyes: Any, tmp_path: Path) -> None:
    subject = f"swaks {security.value}"
    message = f"From: x@elsewhere.test\r\nSubject: {subject}\r\n\r\n.\r\n..dots\r\n".encode()
    clients.swaks(stack.port("smtp"), "x@elsewhere.test", "alice@example.test", message, tmp_path, security)
    (stored,) = eyes.with_subject("alice@example.test", subject.encode())
    assert stored.endswith(message)
    assert (b" with ESMTPS id " in stored) == (security is clients.Security.STARTTLS)


def test_openssl_s_client(stack: Stack) -> None:
    argv = [require("openssl"), "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{stack.port('smtp')}"]
    argv += ["-quiet", "-crlf", "-verify_quiet"]
    talk = b"EHLO o.test\nMAIL FROM:<>\nQUIT\n"
    done = subprocess.run(argv, input=talk, capture_output=True, timeout=20, check=False)
    assert b"250 2.1.0 Ok" in done.stdout
    assert b"221 2.0.0" in done.stdout


def test_a_session_carries_many_messages(stack: Stack, eyes: Any) -> None:
    with smtplib.SMTP("127.0.0.1", stack.port("smtp")) as client:
        for number in range(30):
            client.sendmail("s@elsewhere.test", ["bob@example.test"], f"Subject: many\r\nX: {number}\r\n\r\nhello\r\n")
    stored = eyes.with_subject("bob@example.test", b"many")
    assert [re.search(rb"X: (\d+)", content)[1] for content in stored] == [b"%d" % n for n in range(30)]  # type: ignore[index]


def test_who_asks_where_a_mail_is_hears_of_refusals(stack: Stack, dial: Dial) -> None:
    with dial(stack.port("smtp")) as client:
        assert client.ask(b"EHLO c.test").startswith(b"250 ")
        assert client.ask(b"MAIL FROM:<asked@elsewhere.test>").startswith(b"250 ")
        assert client.ask(b"RCPT TO:<Asked@example.test>").startswith(b"550 5.1.1 ")

    async def find(store: Any) -> Any:
        while True:
            history = await store.history.find("asked@example.test", 5)
            if history.passages:
                return history.passages

    (passage,) = stack.administer(find)
    assert (passage.sender, passage.recipients, passage.code) == ("asked@elsewhere.test", ("Asked@example.test",), 550)
    assert (passage.client, passage.text) == ("[127.0.0.1] c.test", "550 5.1.1 No such mailbox here")
