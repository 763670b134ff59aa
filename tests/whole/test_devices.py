"""App passwords from the command line to real clients: each service takes what the device may do, and nothing else."""

import imaplib
import json
import os
import poplib
import smtplib
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.testing.process import ROOT
from shared.testing.scram_client import ScramClient
from shared.testing.stack import PASSWORD, Stack
from shared.wire import base64

ALICE = "alice@example.test"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("devices") / "data", services=("smtp_in", "imap", "pop3")) as running:
        running.add_account(ALICE)
        yield running


def command(stack: Stack, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PILLARBOX_DATA": str(stack.data_dir), "TZ": "UTC"}
    argv = [sys.executable, "-P", "-m", "shared.cli.main", "device", *words]
    return subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=40, check=False)


def add(stack: Stack, name: str, *words: str) -> str:
    """The password."""
    done = command(stack, "add", ALICE, name, *words, "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return str(answer["password"])


def imap(stack: Stack, user: str, password: str) -> imaplib.IMAP4:
    # imaplib quotes the password and not the name
    client = imaplib.IMAP4("127.0.0.1", stack.port("imap"), timeout=20)
    return entered(client, client.shutdown, lambda: client.login(f'"{user}"', password))


def pop3(stack: Stack, user: str, password: str) -> poplib.POP3:
    client = poplib.POP3("127.0.0.1", stack.port("pop3"), timeout=20)
    client.user(user)
    return entered(client, client.close, lambda: client.pass_(password))


def smtp(stack: Stack, user: str, password: str) -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", stack.port("submission"), timeout=20)
    return entered(client, client.close, lambda: client.login(user, password))


def entered(client: Any, close: Callable[[], object], log_in: Callable[[], object]) -> Any:
    try:
        log_in()
    except BaseException:
        close()
        raise
    return client


def leave(client: Any) -> None:
    client.logout() if isinstance(client, imaplib.IMAP4) else client.quit()


ENTER: dict[str, Any] = {"imap": imap, "pop3": pop3, "submission": smtp}
REFUSALS = (imaplib.IMAP4.error, poplib.error_proto, smtplib.SMTPAuthenticationError)


@pytest.mark.parametrize("only", ["imap", "pop3", "submission", "imap,submission"])
def test_each_service_enforces_the_uses(only: str, stack: Stack) -> None:
    password = add(stack, f"only {only}", "--only", only)
    for use, enter in ENTER.items():
        for user in (ALICE, f"{ALICE}/only {only}"):
            if use in only.split(","):
                leave(enter(stack, user, password))
            else:
                with pytest.raises(REFUSALS):
                    enter(stack, user, password)
        leave(enter(stack, ALICE, PASSWORD))


def test_a_network_that_is_not_ours(stack: Stack) -> None:
    password = add(stack, "elsewhere", "--from", "192.0.2.0/24", "--from", "2001:db8::/32")
    for enter in ENTER.values():
        with pytest.raises(REFUSALS):
            enter(stack, ALICE, password)
    stack["store"].wait_for_log("login failed.*elsewhere.*not permitted")


def test_scram_by_the_name_of_the_device(stack: Stack) -> None:
    password = add(stack, "Laptop")
    who = ScramClient(f"{ALICE}/laptop", password)
    with smtplib.SMTP("127.0.0.1", stack.port("submission"), timeout=20) as client:
        client.ehlo()
        code, challenge = client.docmd("AUTH SCRAM-SHA-256", base64.encode(who.first()).decode())
        assert code == 334
        code, last = client.docmd(base64.encode(who.final(base64.decode(challenge, 1000))).decode())
        assert code == 334
        assert who.check(base64.decode(last, 1000))
        assert client.docmd("")[0] == 235
        client.sendmail(ALICE, [ALICE], b"Subject: by scram\r\n\r\nhello\r\n")
    stack["smtp_in"].wait_for_log("message accepted.*Laptop")


def test_what_is_removed_ends_at_once(stack: Stack) -> None:
    password = add(stack, "lost phone")
    reader, drop, sender = (enter(stack, ALICE, password) for enter in ENTER.values())
    assert reader.select()[0] == "OK"
    assert sender.mail(ALICE)[0] == 250
    assert sender.rcpt(ALICE)[0] == 250
    done = command(stack, "remove", ALICE, "Lost Phone")
    assert (done.returncode, done.stdout) == (0, f"device Lost Phone of {ALICE} removed\n")
    with pytest.raises((imaplib.IMAP4.error, imaplib.IMAP4.abort)):
        reader.select("Sent")
        reader.select("INBOX")
    assert sender.data(b"Subject: from a thief\r\n\r\n")[0] == 421
    with pytest.raises((poplib.error_proto, OSError)):
        drop.dele(1)
        drop.quit()
    drop.close()
    sender.close()
    reader.shutdown()
    for enter in ENTER.values():
        with pytest.raises(REFUSALS):
            enter(stack, ALICE, password)


def test_a_scanner(stack: Stack) -> None:
    """It may only send, from a private network, to those that it was made for."""
    password = add(stack, "Scanner", "--scanner", "--to", "office.test", "--to", ALICE)
    for enter in (imap, pop3):
        with pytest.raises(REFUSALS):
            enter(stack, ALICE, password)
    client = smtp(stack, ALICE, password)
    assert client.mail(ALICE)[0] == 250
    replies = [client.rcpt(to) for to in ("a@office.test", ALICE, "alice+x@example.test", "b@elsewhere.test")]
    assert [code for code, _ in replies] == [250, 250, 550, 550]
    assert replies[3][1] == b"5.7.1 This device may not send to this recipient"
    assert client.data(b"Subject: scanned\r\n\r\nx\r\n")[0] == 250
    client.quit()
    listed = json.loads(command(stack, "list", ALICE, "--json").stdout)
    (scanner,) = [device for device in listed if device["name"] == "Scanner"]
    assert (scanner["only"], scanner["recipients"]) == (["submission"], ["office.test", ALICE])
    assert "192.168.0.0/16" in scanner["networks"]
    for words in (["--scanner"], ["--to", "office.test"], ["--scanner", "--to", "office.test", "--only", "imap"]):
        assert command(stack, "add", ALICE, "other", *words).returncode == 2
    outside = add(stack, "Outside", "--scanner", "--to", "office.test", "--from", "192.0.2.0/24")
    with pytest.raises(REFUSALS):
        smtp(stack, ALICE, outside)


def test_the_command_line(stack: Stack) -> None:
    done = command(stack, "add", ALICE, "Anna's tablet", "--only", "imap", "--from", "127.0.0.0/8")
    assert done.returncode == 0
    (password,) = (line.strip() for line in done.stdout.splitlines() if line.startswith("    "))
    assert f"{ALICE}/Anna's tablet" in done.stdout
    imap(stack, ALICE, password).logout()
    listed = command(stack, "list", ALICE)
    assert "Anna's tablet" in listed.stdout
    assert password not in listed.stdout
    rows = {row["name"]: row for row in json.loads(command(stack, "list", ALICE, "--json").stdout)}
    row = rows["Anna's tablet"]
    assert (row["only"], row["networks"], row["account"]) == (["imap"], ["127.0.0.0/8"], ALICE)
    for code, words in (
        (1, ("add", ALICE, "ANNA'S TABLET")),
        (1, ("add", "nobody@example.test", "x")),
        (1, ("add", ALICE, "a/b")),
        (1, ("add", ALICE, "x", "--from", "home")),
        (2, ("add", ALICE, "x", "--only", "web")),
        (2, ("add", "alice", "x")),
        (1, ("remove", ALICE, "never was")),
        (1, ("list", "nobody@example.test")),
    ):
        wrong = command(stack, *words)
        assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (code, "", 1), words
    assert json.loads(command(stack, "remove", ALICE, "Anna's tablet", "--json").stdout)["removed"] == "Anna's tablet"
