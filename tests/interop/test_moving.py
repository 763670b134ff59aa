"""A real Dovecot's Maildir moves in, and the clients that have read it go on here as if nothing had happened."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from shared.testing import dovecot as reference
from shared.testing.clients import Login, Security, maildir, mbsync, run
from shared.testing.dovecot import Dovecot
from shared.testing.imap_client import ImapClient
from shared.testing.mail_samples import korean_message, plain_message
from shared.testing.moved_mail import MAILBOXES, counts, fetchmail_new, fill, imap_of, pillarbox, pop3_uidls, states
from shared.testing.process import ROOT
from shared.testing.stack import PASSWORD, Stack


def test_imap_and_pop3_show_the_same(stack, old, login):
    fill(old)
    there = pop3_uidls(old.pop3_port, reference.USER, reference.PASSWORD)
    said = pillarbox(stack, "import", "maildir", login.address, str(old.maildir), "--dry-run")
    assert "nothing was done" in said
    pillarbox(stack, "import", "maildir", login.address, str(old.maildir))
    theirs = states(old.port, reference.USER, reference.PASSWORD, MAILBOXES)
    ours = states(stack.port("imap"), login.address, PASSWORD, MAILBOXES)
    assert ours[:-1] == theirs[:-1]
    assert set(theirs[-1]) <= set(ours[-1])
    assert pop3_uidls(stack.port("pop3"), login.address, PASSWORD) == there


def test_mbsync_goes_on_with_its_state(stack, old, login):
    """It has everything, and neither fetches nor loses anything here; what comes later it takes."""
    fill(old)
    there = Login(reference.USER, reference.PASSWORD, login.home)
    mail = mbsync(old.port, there, Security.NONE)
    before = {path: path.read_bytes() for path in mail.rglob("*") if path.is_file() and path.parent.name in ("cur", "new")}
    assert len(before) == 36
    pillarbox(stack, "import", "maildir", login.address, str(old.maildir))
    old.stop()
    port = stack.port("imaps")
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        for name in ("Drafts", "Junk", "Sent", "Trash"):
            client.ok(f"DELETE {name}")
        mbsync(port, login)
        after = {path: path.read_bytes() for path in mail.rglob("*") if path.is_file() and path.parent.name in ("cur", "new")}
        assert after == before
        client.ok("SELECT INBOX")
        assert len(client.ok("UID SEARCH ALL").numbers()) == 34
        assert client.append(b"INBOX", plain_message("new@x.test")).ok
        client.ok("UID STORE 1 +FLAGS (\\Flagged)")
    mbsync(port, login)
    assert len(maildir(mail / "INBOX")) == 35
    assert b"new@x.test" in maildir(mail / "INBOX")[-1]


def test_fetchmail_takes_nothing_twice(stack, old, login):
    fill(old)
    there = Login(reference.USER, reference.PASSWORD, login.home)
    assert fetchmail_new(old.pop3_port, there) == 34
    assert fetchmail_new(old.pop3_port, there) == 0
    pillarbox(stack, "import", "maildir", login.address, str(old.maildir))
    ids = login.home / "ids"
    ids.write_text(re.sub(f"(?m)^{reference.USER}@", f"{login.address}@", ids.read_text()))
    assert fetchmail_new(stack.port("pop3"), login) == 0
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        assert client.append(b"INBOX", plain_message("new@x.test")).ok
    assert fetchmail_new(stack.port("pop3"), login) == 1


def test_deltas_while_the_old_server_runs(stack, old, login):
    fill(old)
    words = ("import", "maildir", login.address, str(old.maildir), "--json")
    assert counts(pillarbox(stack, *words))["INBOX"] == (34, 0, 0, 0)
    before = states(stack.port("imap"), login.address, PASSWORD, MAILBOXES)
    said = pillarbox(stack, *words)
    assert counts(said)["INBOX"] == (0, 34, 0, 0)
    assert json.loads(said)["subscribed"] == 0
    assert states(stack.port("imap"), login.address, PASSWORD, MAILBOXES) == before
    # the old server goes on: flags change, mail comes by IMAP and, unseen by it, into new; here a message is deleted
    with imap_of(old) as client:
        assert client.append(b"INBOX", plain_message("later@x.test"), b" (\\Seen $Later)").ok
        client.ok("SELECT INBOX")
        client.ok("UID STORE 1:3 FLAGS (\\Answered $Later)")
    (old.maildir / "new" / "1700000000.M1P1.host").write_bytes(plain_message("unseen@x.test").replace(b"\r\n", b"\n"))
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        client.ok("SELECT INBOX")
        client.ok("UID STORE 10 +FLAGS (\\Deleted)")
        client.ok("EXPUNGE")
    assert counts(pillarbox(stack, *words))["INBOX"] == (2, 33, 3, 1)
    # now it sees the message, under the UID that it has here
    theirs = states(old.port, reference.USER, reference.PASSWORD, ("INBOX",))[0]
    assert counts(pillarbox(stack, *words))["INBOX"] == (0, 35, 0, 1)
    ours = states(stack.port("imap"), login.address, PASSWORD, ("INBOX",))[0]
    assert ours[2] == [message for message in theirs[2] if message[0] != b"10"]


def test_nested_folders_and_names_in_utf8(stack, login):
    with Dovecot(":LAYOUT=fs:UTF-8:CONTROL=~/control") as old:
        fill(old)
        control = old.maildir.parent / "control"
        words = ("import", "maildir", login.address, str(old.maildir), "--layout", "fs", "--control", str(control), "--json")
        assert (old.maildir / "보낸").is_dir()
        said = json.loads(pillarbox(stack, *words))
        assert said["notes"] == []
        theirs = states(old.port, reference.USER, reference.PASSWORD, MAILBOXES)
        ours = states(stack.port("imap"), login.address, PASSWORD, MAILBOXES)
        assert ours[:-1] == theirs[:-1]
        assert set(theirs[-1]) <= set(ours[-1])


def test_a_mailbox_that_is_in_use_already(stack, old, login):
    """Its UIDs stay as they are; the UIDLs come along all the same, and nothing comes twice."""
    fill(old)
    there = pop3_uidls(old.pop3_port, reference.USER, reference.PASSWORD)
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        assert client.append(b"INBOX", plain_message("first@x.test")).ok
        assert client.append(b"INBOX", plain_message("2@x.test"), b" (\\Draft)").ok
    words = ("import", "maildir", login.address, str(old.maildir), "--json")
    assert counts(pillarbox(stack, *words))["INBOX"] == (33, 1, 1, 0)
    assert counts(pillarbox(stack, *words))["INBOX"] == (0, 34, 0, 0)
    assert set(there[2:]) <= set(pop3_uidls(stack.port("pop3"), login.address, PASSWORD))


def test_killed_in_the_middle_and_gone_on(stack, login, tmp_path):
    root = make_maildir(tmp_path / "big", 3000)
    argv = [sys.executable, "-P", "-m", "shared.cli.main", "--data", str(stack.data_dir)]
    argv += ["import", "maildir", login.address, str(root), "--json"]
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        child = subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
        while (have := exists(client)) < 100 and child.poll() is None:
            pass
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        assert 0 < have < 3000
    said = counts(pillarbox(stack, *argv[6:]))["INBOX"]
    assert said[0] < 3000
    assert said[0] + said[1] == 3000
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        client.ok("SELECT INBOX")
        assert client.ok("UID SEARCH ALL").numbers() == list(range(3, 3 * 3000 + 1, 3))
    assert counts(pillarbox(stack, *argv[6:]))["INBOX"] == (0, 3000, 0, 0)


def test_the_store_is_killed_in_the_middle(stack, login, tmp_path):
    root = make_maildir(tmp_path / "big", 3000)
    argv = [sys.executable, "-P", "-m", "shared.cli.main", "--data", str(stack.data_dir)]
    argv += ["import", "maildir", login.address, str(root), "--json"]
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        child = subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
        while exists(client) < 100 and child.poll() is None:
            pass
        stack["store"].kill()
        stack["store"].restart()
    # it waits for the store; 3: the store took too long
    assert child.wait(60) in {0, 3}
    assert counts(pillarbox(stack, *argv[6:]))["INBOX"][1] > 0
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        client.ok("SELECT INBOX")
        assert client.ok("UID SEARCH ALL").numbers() == list(range(3, 3 * 3000 + 1, 3))


def test_dovecot_goes_on_with_an_export(stack, old, login, tmp_path):
    fill(old)
    pillarbox(stack, "import", "maildir", login.address, str(old.maildir))
    old.stop()
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        client.ok("CREATE a.b/c")
        assert client.append(b"a.b/c", b"Subject: x\r\n\r\nno end", b" (\\Deleted k1 k2)").ok
    with Dovecot() as new:
        place = new.maildir.parent
        place.mkdir()
        said = pillarbox(stack, "export", "maildir", login.address, str(new.maildir))
        assert "a.b/c is in .a_b.c: a dot divides levels there" in said
        run(["chown", "-R", f"{reference.MAIL_UID}:{reference.MAIL_UID}", str(place)], login.home)
        theirs = states(new.port, reference.USER, reference.PASSWORD, MAILBOXES)
        ours = states(stack.port("imap"), login.address, PASSWORD, MAILBOXES)
        assert theirs[:-1] == ours[:-1]
        assert set(theirs[-1]) == set(ours[-1])
        there = pop3_uidls(new.pop3_port, reference.USER, reference.PASSWORD)
        assert there == pop3_uidls(stack.port("pop3"), login.address, PASSWORD)
        # and back again
        stack.add_account("back@example.test")
        pillarbox(stack, "import", "maildir", "back@example.test", str(new.maildir))
        # reading by POP3 has set \\Seen there
        theirs = states(new.port, reference.USER, reference.PASSWORD, MAILBOXES)
        assert states(stack.port("imap"), "back@example.test", PASSWORD, MAILBOXES)[:-1] == theirs[:-1]
        said = counts(pillarbox(stack, "import", "maildir", login.address, str(new.maildir), "--json"))
        assert said["INBOX"][:2] == (0, 34)
        # of all mailboxes only the one that lost its dot comes as another
        assert [name for name, each in said.items() if each[0]] == ["a_b/c"]
    (tmp_path / "file").touch()
    assert "is not empty" in pillarbox_fails(stack, "export", "maildir", login.address, str(tmp_path))


def test_mbox_and_eml_and_back(stack, login, tmp_path):
    message = plain_message("1@x.test").replace(b"Hello.", b"From here\r\n>From there\r\n>>From\r\n\r\nFrom: a")
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        client.ok("CREATE a/b")
        for each, flags in ((message, b"(\\Seen \\Flagged $Forwarded)"), (korean_message("2@x.test"), b"(\\Deleted)"), (b"x", b"()")):
            assert client.append(b"a/b", each, b" " + flags + b' "02-Mar-2019 10:00:00 +0900"').ok
    place = tmp_path / "out"
    pillarbox(stack, "export", "mbox", login.address, str(place))
    assert (place / "INBOX.mbox").is_file()
    stack.add_account("mbox@example.test")
    words = ("import", "mbox", "mbox@example.test", str(place / "a" / "b.mbox"), "--mailbox", "x/y", "--json")
    assert counts(pillarbox(stack, *words))["x/y"] == (3, 0, 0, 0)
    assert counts(pillarbox(stack, *words))["x/y"] == (0, 3, 0, 0)
    with ImapClient(stack.port("imap")).login("mbox@example.test", PASSWORD) as client:
        client.ok("SELECT x/y")
        found = client.ok("UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])").untagged
        assert message in b"".join(found)
        assert b'" 2-Mar-2019 01:00:00 +0000"' in found[0]
        assert client.ok("UID SEARCH SEEN FLAGGED KEYWORD $Forwarded").numbers() == [1]
        assert client.ok("UID SEARCH DELETED").numbers() == [2]
    (tmp_path / "eml" / "sub").mkdir(parents=True)
    (tmp_path / "eml" / "1.eml").write_bytes(message)
    (tmp_path / "eml" / "sub" / "3.EML").write_bytes(plain_message("3@x.test").replace(b"\r\n", b"\n"))
    (tmp_path / "eml" / "passwd.eml").symlink_to("/etc/passwd")
    words = ("import", "eml", "mbox@example.test", str(tmp_path / "eml"), "--mailbox", "x/y", "--json")
    assert counts(pillarbox(stack, *words))["x/y"] == (1, 1, 1, 0)
    with ImapClient(stack.port("imap")).login("mbox@example.test", PASSWORD) as client:
        client.ok("SELECT x/y")
        assert b'" 1-Jun-2026 01:00:00 +0000"' in b"".join(client.ok("UID FETCH 4 (INTERNALDATE)").untagged)


def pillarbox_fails(stack: Stack, *words: str) -> str:
    """What it says as it ends with 1."""
    argv = [sys.executable, "-P", "-m", "shared.cli.main", "--data", str(stack.data_dir), *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def test_the_quota_is_asked_before(stack, login, tmp_path):
    root = make_maildir(tmp_path / "m", 10)
    pillarbox(stack, "quota", "set", login.address, "9")
    said = pillarbox_fails(stack, "import", "maildir", login.address, str(root))
    assert "over the account's limit (10 messages of 9)" in said
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        assert exists(client) == 0
        pillarbox(stack, "import", "maildir", login.address, str(root), "--no-quota")
        assert exists(client) == 10
    # nothing is missing, so nothing is too much
    assert counts(pillarbox(stack, "import", "maildir", login.address, str(root), "--json"))["INBOX"] == (0, 10, 0, 0)


def test_what_is_wrong_is_told_and_the_rest_comes(stack, login, tmp_path):
    root = make_maildir(tmp_path / "m", 3)
    broken = make_maildir(root / ".Broken", 2)
    (broken / "dovecot-uidlist").write_bytes(b"3 V1 N1\nnonsense\n")
    make_maildir(root / os.fsdecode(b".caf\xe9\n*"), 2)
    make_maildir(root / ".caf\u00e9__", 4)
    make_maildir(root / ".shared.x", 1)
    (root / "cur" / "1.empty:2,").write_bytes(b"")
    (root / "cur" / "2.linked:2,").symlink_to("/etc/passwd")
    large = b"Subject: large\n\n" + b"0123456789abcde\n" * 60_000
    (root / "cur" / "3.large:2,F").write_bytes(large)
    said = pillarbox_fails(stack, "import", "maildir", login.address, str(root))
    assert "mailbox Broken is left out: dovecot-uidlist or dovecot-keywords: line 2 is not a record" in said
    assert "INBOX: 1 left out that are no files" in said
    assert "mailbox shared/x is left out" in said
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        assert exists(client) == 5
        client.ok("SELECT INBOX")
        assert client.ok("UID SEARCH LARGER 900000").numbers() == [15]
        assert large.replace(b"\n", b"\r\n") in b"".join(client.ok("UID FETCH 15 (BODY.PEEK[])").untagged)
        assert len(client.ok("LIST \"\" caf*").untagged) == 1
        # two folders of one name after all: those of the second are behind
        client.ok("SELECT caf&AOk-__")
        assert client.ok("UID SEARCH ALL").numbers() == [3, 6, 9, 12, 17, 18]
    pillarbox_fails(stack, "import", "maildir", login.address, str(root), "--new-uids")
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        assert exists(client) == 5
        client.ok("SELECT Broken")
        assert client.ok("UID SEARCH ALL").numbers() == [1, 2]


def exists(client: ImapClient) -> int:
    said = b" ".join(client.ok("STATUS INBOX (MESSAGES)").untagged)
    return int(re.search(rb"MESSAGES (\d+)", said)[1])


def make_maildir(root: Path, count: int) -> Path:
    """Every third UID, small messages."""
    for name in ("cur", "new", "tmp"):
        (root / name).mkdir(parents=True)
    lines = [f"3 V1234567 N{3 * count + 5} G{'0' * 32}"]
    for number in range(1, count + 1):
        name = f"{1_600_000_000 + number}.M{number}P1.host"
        (root / "cur" / f"{name}:2,S").write_bytes(plain_message(f"{number}@x.test").replace(b"\r\n", b"\n"))
        lines.append(f"{3 * number} :{name}")
    (root / "dovecot-uidlist").write_text("\n".join(lines) + "\n")
    return root
