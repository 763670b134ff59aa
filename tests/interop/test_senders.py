"""Programs that people send with, at what only some of them do: large messages, SMTPUTF8, DSN, pipelining, a pool of connections.

That each of them keeps every byte, on every port, is in tests/whole/test_clients.py.
"""

import email.policy
import imaplib
import smtplib
from collections.abc import Callable
from email import message_from_bytes
from pathlib import Path

import pytest

from shared.testing import clients
from shared.testing.clients import Login, Security
from shared.testing.javascript import run_script
from shared.testing.mail_samples import assert_intact, korean_message, large_message, plain_message
from shared.testing.stack import PASSWORD, Stack
from shared.testing.world import fetch_all, message_in_inbox, unverified

LARGE = 20_000_000
BOB = "bob@example.test"
BOB_IN_KOREAN = "밥@example.test"
Sender = Callable[[Stack, Login, str, bytes], object]


@pytest.fixture
def alice(mail_stack: Stack, tmp_path: Path) -> Login:
    address = f"alice-{tmp_path.name.replace('_', '-')}@example.test"
    mail_stack.add_account(address)
    return Login(address, PASSWORD, tmp_path / "home", mail_stack.certificate)


def by_smtplib(stack: Stack, login: Login, to: str, message: bytes, *, mail: tuple[str, ...] = (), rcpt: tuple[str, ...] = ()) -> None:
    with smtplib.SMTP("127.0.0.1", stack.port("submission"), timeout=20) as client:
        client.starttls(context=unverified())
        client.login(login.address, login.password)
        client.sendmail(login.address, [to], message, mail, rcpt)


def by_curl(stack: Stack, login: Login, to: str, message: bytes) -> None:
    clients.curl_send(stack.port("submissions"), to, message, login)


def by_msmtp(stack: Stack, login: Login, to: str, message: bytes, *options: str) -> None:
    clients.msmtp(stack.port("submission"), to, message, login, options=options)


def by_swaks(stack: Stack, login: Login, to: str, message: bytes, *options: str) -> bytes:
    return clients.swaks(
        stack.port("submission"), login.address, to, message, login.home, Security.STARTTLS, login, options=options
    )


SENDERS: dict[str, Sender] = {"smtplib": by_smtplib, "curl": by_curl, "msmtp": by_msmtp, "swaks": by_swaks}


@pytest.mark.parametrize("name", SENDERS)
def test_a_large_message(mail_stack: Stack, alice: Login, name: str) -> None:
    sent = large_message(f"large-{name}@example.test", LARGE, alice.address)
    SENDERS[name](mail_stack, alice, alice.address, sent)
    assert_intact(message_in_inbox(mail_stack.port("imap"), alice.address, f"large-{name}@example.test"), sent)


UTF8: dict[str, Sender] = {
    "smtplib": lambda stack, login, to, message: by_smtplib(stack, login, to, message, mail=("SMTPUTF8", "BODY=8BITMIME")),
    "curl": by_curl,
}


@pytest.mark.parametrize("name", UTF8)
def test_an_address_in_utf_8(mail_stack: Stack, alice: Login, name: str) -> None:
    sent = plain_message(f"utf8-{name}@example.test", BOB_IN_KOREAN, alice.address)
    UTF8[name](mail_stack, alice, BOB_IN_KOREAN, sent)
    arrived = message_in_inbox(mail_stack.port("imap"), BOB, f"utf8-{name}@example.test")
    assert_intact(arrived, sent)
    assert b"with UTF8SMTPSA" in arrived


NOTIFIED: dict[str, Sender] = {
    "smtplib": lambda stack, login, to, message: by_smtplib(
        stack, login, to, message, mail=("RET=HDRS", "ENVID=e1"), rcpt=("NOTIFY=SUCCESS,FAILURE",)
    ),
    "msmtp": lambda stack, login, to, message: by_msmtp(
        stack, login, to, message, "--dsn-return=hdrs", "--dsn-notify=success,failure"
    ),
}


@pytest.mark.parametrize("name", NOTIFIED)
def test_a_notification_of_success(mail_stack: Stack, alice: Login, name: str) -> None:
    sent = plain_message(f"dsn-{name}@example.test", BOB, alice.address)
    NOTIFIED[name](mail_stack, alice, BOB, sent)
    assert_intact(message_in_inbox(mail_stack.port("imap"), BOB, f"dsn-{name}@example.test"), sent)
    assert "Action: delivered" in the_report(mail_stack, alice)


def the_report(stack: Stack, login: Login) -> str:
    """The only message that the sender has."""
    with imaplib.IMAP4("127.0.0.1", stack.port("imap"), timeout=20) as client:
        client.login(login.address, login.password)
        (report,) = fetch_all(client)
        return report.decode()


def test_swaks_pipelines(mail_stack: Stack, alice: Login) -> None:
    sent = korean_message("pipelined@example.test", BOB, alice.address)
    transcript = by_swaks(mail_stack, alice, f"{BOB},nobody@example.test,{alice.address}", sent, "--pipeline").decode()
    said = [line.split()[1] for line in transcript.splitlines() if line.startswith(("<~  ", "<** ", "<~* "))]
    assert said[-7:] == ["250", "250", "550", "250", "354", "250", "221"]
    for address in (BOB, alice.address):
        assert_intact(message_in_inbox(mail_stack.port("imap"), address, "pipelined@example.test"), sent)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("listener", ["submission", "submissions"])
def test_nodemailer(mail_stack: Stack, alice: Login, cache: Path, mechanism: str, listener: str) -> None:
    name = f"{listener}-{mechanism}".lower()
    raw = [korean_message(f"raw-{name}@example.test", BOB, alice.address)]
    if name == "submission-plain":
        raw.append(large_message(f"large-{name}@example.test", LARGE, alice.address))
    alice.home.mkdir()
    paths = [alice.home / f"{number}.eml" for number in range(len(raw))]
    for path, content in zip(paths, raw, strict=True):
        path.write_bytes(content)
    seen = run_script(
        Path(__file__).with_name("nodemailer_send.js"),
        cache,
        alice.home,
        port=mail_stack.port(listener),
        secure=listener == "submissions",
        mechanism=mechanism,
        user=alice.address,
        password=alice.password,
        to=BOB,
        named=BOB_IN_KOREAN,
        hidden=alice.address,
        id=f"<made-{name}@example.test>",
        octets=300_000,
        raw=[str(path) for path in paths],
    )
    port = mail_stack.port("imap")
    assert seen["verified"] is True
    assert [response.split()[:2] for response, _, _ in seen["sent"]] == [["250", "2.0.0"]] * (1 + len(raw))
    assert seen["sent"][0][1:] == [[BOB, BOB_IN_KOREAN, alice.address], []]
    assert seen["refused"][0] == 550
    for content, kind in zip(raw, ("raw", "large"), strict=False):
        assert_intact(message_in_inbox(port, BOB, f"{kind}-{name}@example.test"), content)
    arrived = message_in_inbox(port, BOB, f"made-{name}@example.test")
    made = message_from_bytes(arrived, policy=email.policy.default)
    assert made["Subject"] == "회의록과 첨부 파일"
    assert made["Bcc"] is None
    assert made["From"].addresses[0].display_name == "홍길동"
    (attachment,) = made.iter_attachments()
    assert attachment.get_filename() == "계약서.pdf"
    assert attachment.get_content() == (b"pillarbox" * 40_000)[:300_000]
    assert b"with UTF8SMTPSA" in arrived
    with imaplib.IMAP4("127.0.0.1", port, timeout=20) as client:
        client.login(alice.address, alice.password)
        copy, *reports = sorted(fetch_all(client), key=lambda message: b"delivery-status" in message)
    assert copy.partition(b"\r\n\r\n")[2] == arrived.partition(b"\r\n\r\n")[2]
    assert sum(report.count(b"Action: delivered") for report in reports) == 3
