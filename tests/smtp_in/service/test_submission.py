"""Ports 587 and 465: who may submit, as whom, and what a submission is repaired to."""

import re
import smtplib
import ssl
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from shared.testing import clients
from shared.testing.clients import Login, Security
from shared.testing.stack import PASSWORD, Stack
from shared.wire import base64

Dial = Callable[..., Any]
ALICE = "alice@example.test"


def plain(user: str, password: str, authzid: str = "") -> bytes:
    return base64.encode(f"{authzid}\0{user}\0{password}".encode())


def context() -> ssl.SSLContext:
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    return unverified


def test_smtplib_over_starttls(stack: Stack, eyes: Any) -> None:
    with smtplib.SMTP("127.0.0.1", stack.port("submission"), local_hostname="laptop.test") as client:
        client.starttls(context=context())
        client.login(ALICE, PASSWORD)
        message = (
            "From: alice@example.test\r\nTo: bob@example.test\r\nBcc: hidden@elsewhere.test,\r\n other@elsewhere.test\r\n"
            "Return-Path: <stale@elsewhere.test>\r\nSubject: repaired\r\n\r\nBcc: this is body\r\n"
        )
        client.sendmail(ALICE, ["bob@example.test", "hidden@elsewhere.test"], message)
    (stored,) = eyes.with_subject("bob@example.test", b"repaired")
    head, _, body = stored.partition(b"\r\n\r\n")
    assert body == b"Bcc: this is body\r\n"
    assert b"hidden@" not in head
    assert head.count(b"Return-Path:") == 1
    assert head.startswith(b"Return-Path: <alice@example.test>\r\nReceived: from laptop.test ")
    assert b" with ESMTPSA id " in head
    trace = re.search(rb" id ([0-9a-z]{13})", head)[1]  # type: ignore[index]
    assert b"\r\nMessage-ID: <" + trace + b"@mx.example.test>\r\n" in head
    assert parsedate_to_datetime(re.search(rb"\r\nDate: ([^\r]+)", head)[1].decode()).tzinfo  # type: ignore[index]
    (entry,) = [item for item in eyes.queue() if item.recipient == "hidden@elsewhere.test"]
    assert entry.sender == ALICE
    assert entry.trace.encode() == trace
    # The queue leaves the Return-Path line out.
    assert entry.octets == len(stored) - len(b"Return-Path: <alice@example.test>\r\n")


def test_what_the_client_wrote_stays(stack: Stack, eyes: Any) -> None:
    with smtplib.SMTP_SSL("127.0.0.1", stack.port("submissions"), context=context()) as client:
        client.login(ALICE, PASSWORD)
        message = (
            "Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <mine@laptop.test>\r\nSubject: kept\r\n\r\nhello\r\n"
        )
        client.sendmail(ALICE, ["bob@example.test"], message)
    (stored,) = eyes.with_subject("bob@example.test", b"kept")
    assert stored.endswith(message.encode())
    assert stored.count(b"Message-ID:") == 1


def test_auth_replies(stack: Stack, dial: Dial) -> None:
    with dial(stack.port("submissions"), tls=True) as client:
        for line, reply in (
            (b"AUTH PLAIN", b"503 5.5.1 "),
            (b"EHLO c.test", b"250 "),
            (b"MAIL FROM:<alice@example.test>", b"530 5.7.0 "),
            (b"AUTH", b"501 5.5.4 "),
            (b"AUTH CRAM-MD5", b"504 5.5.4 "),
            (b"AUTH PLAIN", b"334 "),
            (b"*", b"501 5.7.0 "),
            (b"AUTH PLAIN !!!", b"501 5.5.2 "),
            (b"AUTH PLAIN " + plain(ALICE, "wrong"), b"535 5.7.8 "),
            (b"AUTH PLAIN " + plain("nobody@example.test", PASSWORD), b"535 5.7.8 "),
            (b"AUTH LOGIN", b"334 VXNlcm5hbWU6"),
            (base64.encode(ALICE.encode()), b"334 UGFzc3dvcmQ6"),
            (base64.encode(PASSWORD.encode()), b"235 2.7.0 "),
            (b"AUTH LOGIN", b"503 5.5.1 "),
            (b"MAIL FROM:<alice@example.test>", b"250 2.1.0 "),
            (b"AUTH PLAIN", b"503 5.5.1 "),
        ):
            assert client.ask(line).startswith(reply), line


def test_acting_as_another_account_is_refused(stack: Stack, dial: Dial) -> None:
    with dial(stack.port("submissions"), tls=True) as client:
        client.ask(b"EHLO c.test")
        assert client.ask(b"AUTH PLAIN " + plain(ALICE, PASSWORD, "bob@example.test")).startswith(b"535 5.7.8 ")
        assert client.ask(b"MAIL FROM:<alice@example.test>").startswith(b"530 5.7.0 ")
        assert client.ask(b"AUTH PLAIN " + plain(ALICE, PASSWORD, ALICE)).startswith(b"235 2.7.0 ")


def test_three_wrong_passwords_end_the_connection(stack: Stack, dial: Dial) -> None:
    with dial(stack.port("submissions"), tls=True) as client:
        client.ask(b"EHLO c.test")
        for _ in range(3):
            assert client.ask(b"AUTH PLAIN " + plain(ALICE, "guess-xyzzy")).startswith(b"535 5.7.8 ")
        assert client.reply().startswith(b"421 4.7.0 ")
    log = stack["smtp_in"]
    log.wait_for_log("connection ended.*authentication failures")
    # Neither as it was typed nor as it travelled.
    assert "xyzzy" not in log.log
    assert plain(ALICE, "guess-xyzzy").decode() not in log.log


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        (b"alice@example.test", b"250 2.1.0 "),
        (b"ALICE@example.test", b"250 2.1.0 "),
        (b"team@example.test", b"250 2.1.0 "),
        (b"", b"250 2.1.0 "),
        (b"bob@example.test", b"553 5.7.1 "),
        (b"nobody@example.test", b"553 5.7.1 "),
        (b"alice@elsewhere.test", b"553 5.7.1 "),
        (b"alice@[127.0.0.1]", b"553 5.7.1 "),
    ],
)
def test_the_sender_belongs_to_the_account(sender: bytes, code: bytes, stack: Stack, dial: Dial) -> None:
    with dial(stack.port("submissions"), tls=True) as client:
        client.ask(b"EHLO c.test")
        assert client.ask(b"AUTH PLAIN " + plain(ALICE, PASSWORD)).startswith(b"235 ")
        assert client.ask(b"MAIL FROM:<" + sender + b">").startswith(code)


def test_unknown_users_of_ours_are_refused_at_submission_too(stack: Stack, dial: Dial) -> None:
    with dial(stack.port("submissions"), tls=True) as client:
        client.ask(b"EHLO c.test")
        client.ask(b"AUTH PLAIN " + plain(ALICE, PASSWORD))
        client.ask(b"MAIL FROM:<alice@example.test>")
        assert client.ask(b"RCPT TO:<nobody@example.test>").startswith(b"550 5.1.1 ")
        assert client.ask(b"RCPT TO:<anybody@elsewhere.test>").startswith(b"250 2.1.5 ")


def test_no_password_without_tls(start: Callable[..., Stack], dial: Dial) -> None:
    with start({"PILLARBOX_AUTH__PLAINTEXT_NETWORKS": ""}) as stack:
        stack.add_account(ALICE)
        with dial(stack.port("submission")) as client:
            client.send(b"EHLO c.test\r\n")
            offered = []
            while (line := client.line())[3:4] == b"-":
                offered.append(line)
            assert b"250-STARTTLS" in offered
            assert not any(b"AUTH" in line for line in [*offered, line])
            assert client.ask(b"AUTH PLAIN " + plain(ALICE, PASSWORD)).startswith(b"538 5.7.11 ")
            assert client.ask(b"MAIL FROM:<alice@example.test>").startswith(b"530 5.7.0 Must issue a STARTTLS")
            assert client.ask(b"STARTTLS").startswith(b"220 ")
            client.start_tls()
            assert client.ask(b"EHLO c.test").startswith(b"250 ")
            assert client.ask(b"AUTH PLAIN " + plain(ALICE, PASSWORD)).startswith(b"235 2.7.0 ")


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
@pytest.mark.parametrize("name", ["curl", "msmtp", "swaks"])
def test_real_clients(name: str, security: Security, stack: Stack, eyes: Any, tmp_path: Path) -> None:
    login = Login(ALICE, PASSWORD, tmp_path, stack.certificate)
    port = stack.port("submissions" if security is Security.TLS else "submission")
    subject = f"{name} {security.value}"
    message = (
        f"From: {ALICE}\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <{name}@x>\r\n"
        f"Subject: {subject}\r\n\r\n.dot\r\n한글\r\n"
    ).encode()
    if name == "curl":
        clients.curl_send(port, "bob@example.test", message, login, security)
    elif name == "msmtp":
        clients.msmtp(port, "bob@example.test", message, login, security)
    else:
        clients.swaks(port, ALICE, "bob@example.test", message, tmp_path, security, login)
    (stored,) = eyes.with_subject("bob@example.test", subject.encode())
    assert stored.endswith(message)
