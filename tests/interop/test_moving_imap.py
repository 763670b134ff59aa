"""A real Dovecot's mail moves in by IMAP while it runs, and the clients that have read it go on here as if nothing had happened."""

import json
import os
import re
import signal
import subprocess
import sys

import imapclient
import pytest

from shared.testing import dovecot as reference
from shared.testing.certificates import make_certificate
from shared.testing.clients import HOST, Login, Security, maildir, mbsync
from shared.testing.dovecot import Dovecot
from shared.testing.imap_client import ImapClient
from shared.testing.mail_samples import plain_message
from shared.testing.moved_mail import (
    KOREAN,
    MAILBOXES,
    counts,
    fetchmail_new,
    fill,
    imap_of,
    pillarbox,
    pop3_uidls,
    states,
)
from shared.testing.process import ROOT
from shared.testing.stack import PASSWORD, Stack


def words_for(old: Dovecot, login: Login, *more: str, password: str = reference.PASSWORD) -> list[str]:
    """The command, without TLS."""
    file = login.file("there", password + "\n")
    words = ["import", "imap", f"{HOST}:{old.port}", "--user", reference.USER, "--account", login.address]
    return [*words, "--password-file", str(file), "--tls", "none", *more]


def moved(stack: Stack, old: Dovecot, login: Login, *more: str) -> dict[str, tuple[int, int, int, int]]:
    """Filed, here, flags, deleted by mailbox."""
    return counts(pillarbox(stack, *words_for(old, login, "--json", *more)))


def refused(stack: Stack, words: list[str], code: int = 1) -> str:
    """What it says as it fails."""
    argv = [sys.executable, "-P", "-m", "shared.cli.main", "--data", str(stack.data_dir), *words]
    done = subprocess.run(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr


def by_imapclient(port: int, user: str, password: str) -> dict[str, dict[int, tuple[object, ...]]]:
    """Flags, date, size and octets of all messages of all mailboxes, as IMAPClient has them."""
    found = {}
    with imapclient.IMAPClient(HOST, port, ssl=False) as client:
        client.login(user, password)
        for _, _, name in client.list_folders():
            client.select_folder(name, readonly=True)
            rows = client.fetch(client.search(), ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODY.PEEK[]"])
            found[name] = {
                uid: (frozenset(row[b"FLAGS"]) - {b"\\Recent"}, row[b"INTERNALDATE"], row[b"RFC822.SIZE"], row[b"BODY[]"])
                for uid, row in rows.items()
            }
    return found


@pytest.mark.parametrize("location", ["mdbox:~/mdbox", "sdbox:~/sdbox"])
def test_imap_and_pop3_show_the_same(stack, login, location):
    with Dovecot(location=location) as old:
        fill(old)
        there = pop3_uidls(old.pop3_port, reference.USER, reference.PASSWORD)
        said = pillarbox(stack, *words_for(old, login, "--dry-run"))
        assert "nothing was done" in said
        theirs = states(old.port, reference.USER, reference.PASSWORD, MAILBOXES)
        pillarbox(stack, *words_for(old, login))
        # nothing has changed there, not even \\Recent
        assert states(old.port, reference.USER, reference.PASSWORD, MAILBOXES) == theirs
        ours = states(stack.port("imap"), login.address, PASSWORD, MAILBOXES)
        assert ours[:-1] == theirs[:-1]
        assert set(theirs[-1]) <= set(ours[-1])
        assert pop3_uidls(stack.port("pop3"), login.address, PASSWORD) == there
        mine = by_imapclient(stack.port("imap"), login.address, PASSWORD)
        theirs_all = by_imapclient(old.port, reference.USER, reference.PASSWORD)
        assert {name: mine[name] for name in theirs_all} == theirs_all
        assert sum(map(len, theirs_all.values())) == 36


def test_mbsync_goes_on_with_its_state(stack, login):
    """It has everything, and neither fetches nor loses anything here; what comes later it takes."""
    with Dovecot(location="mdbox:~/mdbox") as old:
        fill(old)
        there = Login(reference.USER, reference.PASSWORD, login.home)
        mail = mbsync(old.port, there, Security.NONE)
        before = {path: path.read_bytes() for path in mail.rglob("*") if path.is_file() and path.parent.name in ("cur", "new")}
        assert len(before) == 36
        pillarbox(stack, *words_for(old, login))
    port = stack.port("imaps")
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        for name in ("Drafts", "Junk", "Sent", "Trash"):
            client.ok(f"DELETE {name}")
        mbsync(port, login)
        after = {path: path.read_bytes() for path in mail.rglob("*") if path.is_file() and path.parent.name in ("cur", "new")}
        assert after == before
        assert client.append(b"INBOX", plain_message("new@x.test")).ok
    mbsync(port, login)
    assert len(maildir(mail / "INBOX")) == 35
    assert b"new@x.test" in maildir(mail / "INBOX")[-1]


@pytest.mark.parametrize("settings", ["", "pop3_uidl_format = %g\n"])
def test_fetchmail_takes_nothing_twice(stack, login, settings):
    """The second server makes UIDLs that IMAP does not know: its POP3 is asked for them."""
    with Dovecot(settings=settings) as old:
        fill(old)
        there = Login(reference.USER, reference.PASSWORD, login.home)
        assert fetchmail_new(old.pop3_port, there) == 34
        assert fetchmail_new(old.pop3_port, there) == 0
        more = ("--pop3", f"{HOST}:{old.pop3_port}") if settings else ()
        assert moved(stack, old, login, *more)["INBOX"][0] == 34
        expected = pop3_uidls(old.pop3_port, reference.USER, reference.PASSWORD)
        assert moved(stack, old, login, *more)["INBOX"][:2] == (0, 34)
    assert pop3_uidls(stack.port("pop3"), login.address, PASSWORD) == expected
    ids = login.home / "ids"
    ids.write_text(re.sub(f"(?m)^{reference.USER}@", f"{login.address}@", ids.read_text()))
    assert fetchmail_new(stack.port("pop3"), login) == 0
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        assert client.append(b"INBOX", plain_message("new@x.test")).ok
    assert fetchmail_new(stack.port("pop3"), login) == 1


def test_a_maildrop_that_does_not_show_all(stack, login):
    """Then headers say which message is which."""
    with Dovecot(settings="pop3_uidl_format = %g\npop3_deleted_flag = Hidden\n") as old:
        fill(old)
        with imap_of(old) as client:
            client.ok("SELECT INBOX")
            client.ok("UID STORE 2,20 +FLAGS (Hidden)")
        pillarbox(stack, *words_for(old, login, "--pop3", f"{HOST}:{old.pop3_port}"))
        there = pop3_uidls(old.pop3_port, reference.USER, reference.PASSWORD)
        here = pop3_uidls(stack.port("pop3"), login.address, PASSWORD)
        assert len(there) == 32
        assert [each for each in here if each in there] == there
        assert len(here) == 34


def test_deltas_while_the_old_server_runs(stack, old, login):
    fill(old)
    assert moved(stack, old, login)["INBOX"] == (34, 0, 0, 0)
    before = states(stack.port("imap"), login.address, PASSWORD, MAILBOXES)
    assert moved(stack, old, login)["INBOX"] == (0, 34, 0, 0)
    assert states(stack.port("imap"), login.address, PASSWORD, MAILBOXES) == before
    # there: flags change, and mail comes; here: one is read, one deleted, one moved away
    with imap_of(old) as client:
        assert client.append(b"INBOX", plain_message("later@x.test"), b" (\\Seen $Later)").ok
        client.ok("SELECT INBOX")
        client.ok("UID STORE 1:4 FLAGS (\\Answered $Later)")
        client.ok("UID STORE 10:11 FLAGS (\\Flagged)")
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        client.ok("SELECT INBOX")
        client.ok("UID STORE 4 FLAGS (\\Draft)")
        client.ok("UID STORE 12 FLAGS (\\Draft)")
        client.ok("UID STORE 10 +FLAGS (\\Deleted)")
        client.ok("EXPUNGE")
        client.ok("UID MOVE 11 Archive")
    assert moved(stack, old, login)["INBOX"] == (1, 32, 3, 2)
    # what was touched here stays touched, however many imports follow
    with imap_of(old) as client:
        client.ok("SELECT INBOX")
        client.ok("UID STORE 2,4,12 FLAGS (\\Seen)")
    assert moved(stack, old, login)["INBOX"] == (0, 35, 1, 0)
    renamed = [word.replace(f"{HOST}:", "localhost:") for word in words_for(old, login, "--json", "--known-as", HOST)]
    assert counts(pillarbox(stack, *renamed))["INBOX"] == (0, 35, 0, 0)
    theirs = states(old.port, reference.USER, reference.PASSWORD, ("INBOX",))[0][2]
    ours = states(stack.port("imap"), login.address, PASSWORD, ("INBOX",))[0][2]
    apart = {b"4", b"10", b"11", b"12"}
    assert [message for message in ours if message[0] not in apart] == [message for message in theirs if message[0] not in apart]
    assert {message[0]: message[2] for message in ours if message[0] in apart} == {
        b"4": frozenset({b"\\Draft"}), b"12": frozenset({b"\\Draft"}),
    }  # fmt: skip


def test_deletions_are_followed_when_asked(stack, old, login):
    fill(old)
    moved(stack, old, login)
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as here, imap_of(old) as there:
        assert here.append(b"INBOX", plain_message("own@x.test")).ok
        here.ok("SELECT INBOX")
        here.ok("UID STORE 3 +FLAGS (\\Draft)")
        there.ok("SELECT INBOX")
        there.ok("UID STORE 1:3 +FLAGS.SILENT (\\Deleted)")
        there.ok("EXPUNGE")
        moved(stack, old, login)
        here.ok("NOOP")
        assert len(here.ok("UID SEARCH ALL").numbers()) == 35
        said = json.loads(pillarbox(stack, *words_for(old, login, "--json", "--sync-deletions")))
        assert "INBOX: 2 deleted here, as they are gone there" in said["notes"]
        here.ok("NOOP")
        # somebody has marked one here, and one is our own
        assert here.ok("UID SEARCH ALL").numbers()[:2] == [3, 4]
        assert len(here.ok("UID SEARCH ALL").numbers()) == 33


def test_a_mailbox_that_is_in_use_already(stack, old, login):
    """Its UIDs and flags stay as they are, and nothing comes twice, nor again when it was deleted here."""
    fill(old)
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        assert client.append(b"INBOX", plain_message("first@x.test")).ok
        assert client.append(b"INBOX", plain_message("2@x.test"), b" (\\Draft)").ok
        assert moved(stack, old, login)["INBOX"] == (33, 1, 0, 0)
        assert moved(stack, old, login)["INBOX"] == (0, 34, 0, 0)
        client.ok("SELECT INBOX")
        client.ok("STORE 1:5 +FLAGS (\\Deleted)")
        client.ok("EXPUNGE")
        with imap_of(old) as there:
            there.ok("SELECT INBOX")
            there.ok("UID STORE 1:4 +FLAGS (Changed)")
            assert there.append(b"INBOX", plain_message("later@x.test")).ok
        assert moved(stack, old, login)["INBOX"][0] == 1
        client.ok("NOOP")
        assert len(client.ok("UID SEARCH ALL").numbers()) == 31


def test_tls_is_verified_before_anything_is_said(stack, login, tmp_path):
    certificate, key = make_certificate(tmp_path / "right")
    other, _ = make_certificate(tmp_path / "wrong")
    with Dovecot(tls=(certificate, key)) as old:
        fill(old)
        filled = old.log
        words = words_for(old, login)
        tls = words.index("--tls") + 1

        def told(security: str, port: int, *more: str, host: str = "localhost") -> list[str]:
            changed = [*words, *more]
            changed[tls], changed[2] = security, f"{host}:{port}"
            return changed

        for security, port in (("implicit", old.tls_port), ("starttls", old.port)):
            assert "certificate" in refused(stack, told(security, port))
            assert "certificate" in refused(stack, told(security, port, "--ca-file", str(other)))
            assert "mismatch" in refused(stack, told(security, port, "--ca-file", str(certificate), host=HOST))
        # nobody has said a password yet
        assert f"Login: user=<{reference.USER}>" not in old.log.removeprefix(filled)
        pop3 = ("--pop3", f"localhost:{old.pop3_port}")
        for security, port, more in (("implicit", old.tls_port, ()), ("starttls", old.port, pop3)):
            pillarbox(stack, *told(security, port, "--ca-file", str(certificate), *more))
        theirs = states(old.port, reference.USER, reference.PASSWORD, MAILBOXES)
        assert states(stack.port("imap"), login.address, PASSWORD, MAILBOXES)[:-1] == theirs[:-1]


def test_what_cannot_be_said_is_refused(stack, old, login):
    said = refused(stack, words_for(old, login, password="not-the-one"))
    words = words_for(old, login)
    assert "the login is refused" in said
    assert "not-the-one" not in said
    assert "no STARTTLS" in refused(stack, [*words, "--tls", "starttls"])
    assert "--pop3" in refused(stack, [*words, "--uidl-format", "%g"], code=2)
    refused(stack, [*words, "--map", "x"], code=2)
    refused(stack, [*words, "--jobs", "0"], code=2)
    assert "no mailbox that is asked for" in refused(stack, [*words, "--folder", "Nothing*"])
    elsewhere = [*words]
    elsewhere[2] = "192.0.2.1:143"
    assert "is not this machine" in refused(stack, elsewhere)


def test_a_master_logs_in(stack, old, login):
    fill(old)
    more = ("--master-user", reference.MASTER, "--pop3", f"{HOST}:{old.pop3_port}")
    pillarbox(stack, *words_for(old, login, *more, password=reference.MASTER_PASSWORD))
    theirs = states(old.port, reference.USER, reference.PASSWORD, MAILBOXES)
    assert states(stack.port("imap"), login.address, PASSWORD, MAILBOXES)[:-1] == theirs[:-1]


def test_prefix_names_and_special_mailboxes(stack, login):
    with Dovecot(settings="namespace inbox {\n  prefix = INBOX.\n  separator = .\n}\n") as old:
        with imap_of(old) as client:
            assert client.append(b"INBOX", plain_message("1@x.test")).ok
            for name in ("INBOX.Sent Items", "INBOX.Work.2024", f"INBOX.{KOREAN}", "INBOX.Private"):
                client.ok(f'CREATE "{name}"')
                assert client.append(f'"{name}"'.encode(), plain_message(f"{name[6:10]}@x.test")).ok
            client.ok("SUBSCRIBE INBOX.Work.2024")
        found = moved(stack, old, login, "--exclude", "Priv*", "--map", "Work/2024=Old/Work")
        assert {name: each[0] for name, each in found.items()} == {"INBOX": 1, "Sent": 1, "보낸": 1, "Old/Work": 1}
        with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
            assert any(b"Old/Work" in line for line in client.ok('LSUB "" *').untagged)


def load(old: Dovecot, count: int) -> None:
    with imap_of(old) as client:
        for number in range(1, count + 1):
            assert client.append(b"INBOX", plain_message(f"{number}@x.test"), b" (\\Seen)").ok


def exists(client: ImapClient) -> int:
    said = b" ".join(client.ok("STATUS INBOX (MESSAGES)").untagged)
    return int(re.search(rb"MESSAGES (\d+)", said)[1])


def test_killed_in_the_middle_and_gone_on(stack, login):
    with Dovecot(location="mdbox:~/mdbox") as old:
        load(old, 2000)
        argv = [sys.executable, "-P", "-m", "shared.cli.main", "--data", str(stack.data_dir), *words_for(old, login)]
        with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
            child = subprocess.Popen([*argv, "--rate", "200k"], env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
            while (have := exists(client)) < 100 and child.poll() is None:
                pass
            child.send_signal(signal.SIGKILL)
            assert child.wait() == -signal.SIGKILL
            assert 0 < have < 2000
            filed, same, flags, _ = moved(stack, old, login)["INBOX"]
            assert (filed + same, flags) == (2000, 0)
            assert same >= have
            client.ok("SELECT INBOX")
            assert client.ok("UID SEARCH ALL").numbers() == list(range(1, 2001))
        assert moved(stack, old, login)["INBOX"] == (0, 2000, 0, 0)


def test_the_old_server_ends_and_comes_back(stack, login):
    with Dovecot(location="mdbox:~/mdbox") as old:
        load(old, 1000)
        argv = [sys.executable, "-P", "-m", "shared.cli.main", "--data", str(stack.data_dir), *words_for(old, login, "--rate", "200k")]
        with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
            child = subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
            while exists(client) < 100 and child.poll() is None:
                pass
            old.stop()
            old.start()
            assert child.wait(60) == 0
            client.ok("SELECT INBOX")
            assert client.ok("UID SEARCH ALL").numbers() == list(range(1, 1001))
