"""A mailbox that moves from a Dovecot: filled there, and asked of both servers what a client keeps of it."""

import imaplib
import json
import os
import poplib
import re
import subprocess
import sys

from shared.testing import dovecot as reference
from shared.testing.clients import HOST, Login, run
from shared.testing.dovecot import Dovecot
from shared.testing.imap_client import ImapClient
from shared.testing.mail_samples import korean_message, plain_message
from shared.testing.process import ROOT
from shared.testing.stack import Stack

KOREAN = "&vPSwuA-"
"""A mailbox's name in modified UTF-7."""
MAILBOXES = ("INBOX", "Projects/2024", KOREAN, "Empty", "Archive")


def pillarbox(stack: Stack, *words: str, ok: tuple[int, ...] = (0,)) -> str:
    """What the command line says."""
    argv = [sys.executable, "-P", "-m", "shared.cli.main", "--data", str(stack.data_dir), *words]
    done = subprocess.run(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in ok, done.stdout + done.stderr
    return done.stdout


def imap_of(server: Dovecot) -> ImapClient:
    """A bare client, logged in there."""
    return ImapClient(server.port).login(reference.USER, reference.PASSWORD)


def pop3_uidls(port: int, user: str, password: str) -> list[tuple[bytes, bytes]]:
    """UIDL and the message for all, in order."""
    client = poplib.POP3(HOST, port, timeout=20)
    client.user(user)
    client.pass_(password)
    uidls = [line.split()[1] for line in client.uidl()[1]]
    messages = [b"\r\n".join(client.retr(number)[1]) for number in range(1, len(uidls) + 1)]
    client.quit()
    return list(zip(uidls, messages, strict=True))


def fill(server: Dovecot) -> None:
    """Flags, keywords, dates, holes, folders, subscriptions."""
    with imap_of(server) as client:
        for number in range(1, 41):
            flags = b" (\\Seen $Forwarded)" if number % 3 else b" (\\Flagged Junk \\Answered)"
            message = korean_message(f"{number}@x.test") if number % 7 == 0 else plain_message(f"{number}@x.test")
            assert client.append(b"INBOX", message, flags + b' "%02d-Mar-2019 10:00:00 +0900"' % (number % 28 + 1)).ok
        client.ok("SELECT INBOX")
        client.ok("UID STORE 5:9,40 +FLAGS.SILENT (\\Deleted)")
        client.ok("EXPUNGE")
        for name in ("Projects", "Projects/2024", KOREAN, "Empty", "Archive"):
            client.ok(f"CREATE {name}")
        assert client.append(b"Projects/2024", plain_message("p@x.test"), b" (\\Draft)").ok
        assert client.append(KOREAN.encode(), korean_message("k@x.test")).ok
        client.ok(f"SUBSCRIBE {KOREAN}")
        client.ok("SUBSCRIBE Projects/2024")


def state_of(client: imaplib.IMAP4, mailbox: str) -> tuple[object, ...]:
    """All that a client keeps of a mailbox."""
    client.select(mailbox, readonly=True)
    validity = client.response("UIDVALIDITY")[1]
    next_uid = client.status(mailbox, "(UIDNEXT MESSAGES UNSEEN)")[1][0].split(b" (")[1]
    numbers = dict(zip(next_uid.strip(b")").split()[::2], next_uid.strip(b")").split()[1::2], strict=True))
    rows = client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE RFC822.SIZE)")[1]
    messages = []
    for row in rows:
        if row:
            uid, size, said = (_told(pattern, row) for pattern in (rb"UID (\d+)", rb"SIZE (\d+)", rb"FLAGS \(([^)]*)"))
            flags = frozenset(said.split()) - {b"\\Recent"}
            messages.append((uid, size, flags, imaplib.Internaldate2tuple(row)))
    return validity, sorted(numbers.items()), messages


def _told(pattern: bytes, row: bytes) -> bytes:
    match = re.search(pattern, row)
    assert match is not None, row
    return match[1]


def states(port: int, user: str, password: str, mailboxes: tuple[str, ...]) -> list[tuple[object, ...]]:
    """Of each mailbox, then what is subscribed."""
    client = imaplib.IMAP4(HOST, port)
    client.login(user, password)
    found = [state_of(client, name) for name in mailboxes]
    found.append(tuple(sorted(line.split(b'"/" ')[1].strip(b'"') for line in client.lsub()[1] if line)))
    client.logout()
    return found


def fetchmail_new(port: int, login: Login) -> int:
    """How many messages fetchmail takes that leaves mail on the server and remembers UIDLs."""
    into = login.home / "taken"
    into.mkdir(parents=True, exist_ok=True)
    deliver = login.file("deliver", 'n=$(ls "$1" | wc -l)\ncat > "$1/$n"\n')
    config = login.file(
        "fetchmailrc",
        f"set no bouncemail\npoll {HOST} protocol pop3 port {port} no envelope uidl\n"
        f"  user \"{login.address}\" is root here password \"{login.password}\" sslproto '' keep no rewrite no mimedecode\n"
        f'  mda "/bin/sh {deliver} {into}"\n',
    )
    argv = ["fetchmail", "-f", str(config), "--invisible", "--nodetach", "--nosyslog", "--idfile", str(login.home / "ids")]
    before = len(list(into.iterdir()))
    run([*argv, "--pidfile", str(login.home / "fetchmail.pid")], login.home, ok=(0, 1))
    return len(list(into.iterdir())) - before


def counts(said: str) -> dict[str, tuple[int, int, int, int]]:
    """Filed, here, flags, deleted by mailbox."""
    return {
        each["name"]: (each["filed"], each["same"], each["flags"], each["deleted"]) for each in json.loads(said)["mailboxes"]
    }
