"""The disk of the store is full, fails or is read-only for a while: clients hear of what will pass,; what they read they still read."""

import errno
import imaplib
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.testing import require
from shared.testing.mail_samples import plain_message
from shared.testing.process import ROOT
from shared.testing.stack import PASSWORD, Stack

ALICE = "alice@example.test"
ALL, REFUSE, ERROR, TIMES = 7, 1, 2, 4
"""Writes, flushes and names; fields of `struct control` in disklog.c."""


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("control") / "control"
    path.write_bytes(bytes(9 * 8))
    return path


@pytest.fixture(scope="module")
def stack(control: Path) -> Iterator[Stack]:
    require("cc")
    library = control.with_name("disklog.so")
    source = ROOT / "tests/store/crash/disklog.c"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-lpthread"], check=True)
    data = control.with_name("data")
    running = Stack(data, services=("smtp_in", "imap", "pop3"))
    running["store"].env |= {"LD_PRELOAD": str(library), "DISKLOG_ROOT": str(data), "DISKLOG_CONTROL": str(control)}
    with running:
        running.add_account(ALICE)
        yield running


def set_control(control: Path, field: int, value: int) -> None:
    with control.open("r+b", buffering=0) as file:
        file.seek(8 * field)
        file.write(value.to_bytes(8, "little", signed=True))


def refuse(control: Path, error: int) -> None:
    set_control(control, ERROR, error)
    set_control(control, TIMES, -1)
    set_control(control, REFUSE, ALL)


def send(stack: Stack, name: str) -> None:
    with smtplib.SMTP("127.0.0.1", stack.port("smtp"), timeout=20) as smtp:
        smtp.sendmail("bob@far.test", [ALICE], plain_message(f"{name}@far.test", ALICE))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_clients_hear_of_something_that_will_pass(stack: Stack, control: Path, error: int) -> None:
    send(stack, f"before-{error}")
    imap = imaplib.IMAP4("127.0.0.1", stack.port("imap"), timeout=20)
    imap.login(ALICE, PASSWORD)
    _, counted = imap.select("INBOX")
    before = int(counted[0])
    refuse(control, error)
    try:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            send(stack, "refused")
        assert 400 <= refused.value.smtp_code < 500, refused.value
        large = b"Subject: x\r\n\r\n" + (b"y" * 76 + b"\r\n") * 5000
        for message in (plain_message("refused@a.test", ALICE), large):
            status, text = imap.append("INBOX", "", "", message)
            assert (status, text[0].split(b"]")[0]) == ("NO", b"[UNAVAILABLE"), text
        status, text = imap.store("1:*", "+FLAGS", r"(\Flagged)")
        assert (status, text[0].split(b"]")[0]) == ("NO", b"[UNAVAILABLE"), text
        # reading and logging in go on
        assert imap.fetch("1:*", "(FLAGS BODY.PEEK[])")[0] == "OK"
        with imaplib.IMAP4("127.0.0.1", stack.port("imap"), timeout=20) as another:
            another.login(ALICE, PASSWORD)
            assert another.select("INBOX", readonly=True)[1] == counted
    finally:
        set_control(control, REFUSE, 0)
    send(stack, f"after-{error}")
    assert imap.append("INBOX", "", "", plain_message("after@a.test", ALICE))[0] == "OK"
    assert imap.store("1:*", "+FLAGS", r"(\Flagged)")[0] == "OK"
    imap.noop()
    assert int(imap.select("INBOX")[1][0]) == before + 2
    imap.logout()
