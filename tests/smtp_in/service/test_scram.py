"""Submission by SCRAM on real connections with real channels: an independent client, msmtp, and what the log tells of it."""

import hashlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.testing import clients
from shared.testing.clients import ClientFailed, Login, Security
from shared.testing.scram_client import ScramClient
from shared.testing.stack import PASSWORD, Stack
from shared.wire import base64

Dial = Callable[..., Any]
ALICE = "alice@example.test"
SCRAM, PLUS = b"SCRAM-SHA-256", b"SCRAM-SHA-256-PLUS"


def offered(client: Any) -> list[bytes]:
    """The mechanisms after EHLO."""
    client.send(b"EHLO c.test\r\n")
    names: list[bytes] = []
    while True:
        line = client.line()
        assert line.startswith(b"250"), line
        if line[4:].startswith(b"AUTH "):
            names = line[4:].split()[1:]
        if line[3:4] == b" ":
            return names


def scram(client: Any, mechanism: bytes, who: ScramClient, *, initial: bool = True) -> tuple[bytes, bool]:
    """Run an exchange; the last reply, and whether the server proved itself."""
    first = base64.encode(who.first())
    if initial:
        reply = client.ask(b"AUTH " + mechanism + b" " + first)
    else:
        assert client.ask(b"AUTH " + mechanism) == b"334 "
        reply = client.ask(first)
    if not reply.startswith(b"334 "):
        return reply, False
    reply = client.ask(base64.encode(who.final(base64.decode(reply[4:], 1000))))
    if not reply.startswith(b"334 "):
        return reply, False
    proved = who.check(base64.decode(reply[4:], 1000))
    return client.ask(b""), proved


def end_point(stack: Stack) -> tuple[str, bytes]:
    # RFC 5929 §4.1
    return "tls-server-end-point", hashlib.sha256(ssl.PEM_cert_to_DER_cert(stack.certificate.read_text())).digest()


@pytest.mark.parametrize("initial", [True, False])
def test_scram(initial: bool, stack: Stack, dial: Dial) -> None:
    with dial(stack.port("submission")) as client:
        assert offered(client) == [SCRAM, b"PLAIN", b"LOGIN"]
        assert client.ask(b"AUTH " + PLUS).startswith(b"504 5.5.4 ")
        reply, proved = scram(client, SCRAM, ScramClient(ALICE, PASSWORD), initial=initial)
        assert (reply[:10], proved) == (b"235 2.7.0 ", True)
        assert client.ask(b"AUTH " + SCRAM).startswith(b"503 5.5.1 ")
        assert client.ask(b"MAIL FROM:<bob@example.test>").startswith(b"553 5.7.1 ")
        assert client.ask(b"MAIL FROM:<alice@example.test>").startswith(b"250 2.1.0 ")


def test_the_channel_is_bound(stack: Stack, dial: Dial) -> None:
    binding = end_point(stack)
    port = stack.port("submissions")
    with dial(port, tls=True) as client:
        assert offered(client) == [PLUS, SCRAM, b"PLAIN", b"LOGIN"]
        for wrong in (("tls-exporter", b"x" * 32), ("tls-server-end-point", b"x" * 32)):
            reply, _ = scram(client, PLUS, ScramClient(ALICE, PASSWORD, binding=wrong))
            assert reply.startswith(b"535 5.7.8 ")
        assert scram(client, PLUS, ScramClient(ALICE, PASSWORD, binding=binding))[1]
    with dial(port, tls=True) as client:
        offered(client)
        # RFC 5802 §6: a client that could bind was told that we cannot
        assert scram(client, SCRAM, ScramClient(ALICE, PASSWORD, flag=b"y"))[0].startswith(b"535 5.7.8 ")
        assert scram(client, PLUS, ScramClient(ALICE, PASSWORD))[0].startswith(b"501 5.5.2 ")
        assert scram(client, SCRAM, ScramClient(ALICE, PASSWORD))[1]


def test_after_starttls_that_channel_is_bound(stack: Stack, dial: Dial) -> None:
    with dial(stack.port("submission")) as client:
        assert PLUS not in offered(client)
        assert client.ask(b"STARTTLS").startswith(b"220 ")
        client.start_tls()
        assert PLUS in offered(client)
        reply, proved = scram(client, PLUS, ScramClient(ALICE, PASSWORD, binding=end_point(stack)))
        assert (reply[:10], proved) == (b"235 2.7.0 ", True)


def test_nobody_learns_who_exists(stack: Stack, dial: Dial) -> None:
    with dial(stack.port("submissions"), tls=True) as client:
        client.ask(b"EHLO c.test")

        def asked(name: str) -> list[bytes]:
            reply = client.ask(b"AUTH " + SCRAM + b" " + base64.encode(ScramClient(name, "x").first()))
            assert client.ask(b"*").startswith(b"501 5.7.0 ")
            return bytes(base64.decode(reply[4:], 1000)).split(b",")[1:]

        for name in (ALICE, "nobody@example.test"):
            salt, iterations = asked(name)
            assert asked(name) == [salt, iterations]
            assert len(base64.decode(salt[2:], 100)) == 16
        assert asked(ALICE)[1] == asked("nobody@example.test")[1]
        replies = {scram(client, SCRAM, ScramClient(name, "x"))[0] for name in (ALICE, "nobody@example.test")}
        assert replies == {client.ask(b"AUTH PLAIN " + base64.encode(f"\0{ALICE}\0x".encode()))}
        assert client.reply().startswith(b"421 4.7.0 ")


def test_what_the_log_tells(stack: Stack, dial: Dial) -> None:
    who = ScramClient(ALICE, "guess-plugh")
    with dial(stack.port("submissions"), tls=True) as client:
        client.ask(b"EHLO c.test")
        for _ in range(3):
            assert scram(client, SCRAM, who)[0].startswith(b"535 5.7.8 ")
        assert client.reply().startswith(b"421 4.7.0 ")
    log = stack["smtp_in"]
    log.wait_for_log(f"login failed.*{ALICE}.*SCRAM-SHA-256")
    assert "plugh" not in log.log


def test_acting_as_another_account_is_refused(stack: Stack, dial: Dial) -> None:
    with dial(stack.port("submissions"), tls=True) as client:
        client.ask(b"EHLO c.test")
        for authzid, code in ((b"bob@example.test", b"535 5.7.8 "), (ALICE.encode(), b"235 2.7.0 ")):
            who = ScramClient(ALICE, PASSWORD)
            who._header = who._channel = b"n,a=" + authzid + b","
            assert scram(client, SCRAM, who)[0].startswith(code)


def test_a_store_that_is_away(start: Callable[..., Stack], dial: Dial) -> None:
    with start({"PILLARBOX_STORE__WAIT_SECONDS": "0.3"}) as stack:
        stack.add_account(ALICE)
        with dial(stack.port("submissions"), tls=True) as client:
            client.ask(b"EHLO c.test")
            who = ScramClient(ALICE, PASSWORD)
            challenge = client.ask(b"AUTH " + SCRAM + b" " + base64.encode(who.first()))
            final = base64.encode(who.final(base64.decode(challenge[4:], 1000)))
            stack["store"].kill()
            assert client.ask(final).startswith(b"454 4.7.0 ")
            for _ in range(4):
                assert scram(client, SCRAM, ScramClient(ALICE, PASSWORD))[0].startswith(b"454 4.7.0 ")
            assert client.ask(b"NOOP").startswith(b"250 ")


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
def test_msmtp(security: Security, stack: Stack, eyes: Any, tmp_path: Path) -> None:
    port = stack.port("submissions" if security is Security.TLS else "submission")
    subject = f"by scram, {security.value}"
    message = f"From: {ALICE}\r\nSubject: {subject}\r\n\r\nhello\r\n".encode()
    login = Login(ALICE, PASSWORD, tmp_path, stack.certificate)
    clients.msmtp(port, "bob@example.test", message, login, security, mechanism="scram-sha-256")
    assert len(eyes.with_subject("bob@example.test", subject.encode())) == 1
    wrong = Login(ALICE, "wrong", tmp_path / "wrong", stack.certificate)
    with pytest.raises(ClientFailed, match=r"535 5\.7\.8"):
        clients.msmtp(port, "bob@example.test", message, wrong, security, mechanism="scram-sha-256")
