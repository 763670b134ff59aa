"""Mail clients that people use, against the real process and store: what went in comes out byte for byte, both ways."""

import imaplib
import mailbox
import ssl
import time

import pytest

from shared.testing.clients import Login, Security, curl_imap, fetchmail, maildir, mbsync, mutt_save, run
from shared.testing.stack import PASSWORD

MESSAGES = [
    (
        b"From: alice@example.test\r\nTo: bob@example.test\r\nSubject: first\r\nMessage-ID: <1@example.test>\r\n"
        b"Date: Tue, 2 Jan 2024 10:00:00 +0900\r\n\r\nHello.\r\n.\r\n..dots\r\nFrom the start\r\n"
    ),
    (
        "From: 홍길동 <hong@example.test>\r\nSubject: =?utf-8?B?7JWI64WV?=\r\nMessage-ID: <2@example.test>\r\n"
        "Date: Wed, 3 Jan 2024 10:00:00 +0900\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\n주식회사 보고서\r\n"
    ).encode(),
    (
        b"From: carol@example.test\r\nSubject: large\r\nMessage-ID: <3@example.test>\r\n"
        b"Date: Thu, 4 Jan 2024 10:00:00 +0900\r\n\r\n" + (b"0123456789abcdef" * 4 + b"\r\n") * 8000
    ),
]


@pytest.fixture
def login(stack, account, tmp_path):
    return Login(account, PASSWORD, tmp_path / "home", stack.certificate)


@pytest.fixture
def filled(connect):
    client = connect()
    for message in MESSAGES:
        assert client.append(b"INBOX", message).ok
    return client


@pytest.mark.parametrize("security", Security)
def test_curl(stack, login, filled, security):
    port = stack.port("imaps" if security is Security.TLS else "imap")
    for uid, message in enumerate(MESSAGES, 1):
        assert curl_imap(port, f"INBOX;UID={uid}", login, security=security) == message
    assert b"* SEARCH 2" in curl_imap(port, "INBOX?SUBJECT%20%22%ec%95%88%eb%85%95%22", login, security=security)
    assert b"EXISTS" in curl_imap(port, "", login, "EXAMINE INBOX", security)
    source = login.file("new.eml", "Subject: put\r\n\r\nby curl\r\n")
    scheme = "imaps" if security is Security.TLS else "imap"
    argv = ["curl", "-sS", "-k", "-T", str(source), f"{scheme}://127.0.0.1:{port}/Drafts"]
    run([*argv, "--user", f"{login.address}:{login.password}"], login.home)
    assert curl_imap(port, "Drafts;UID=1", login, security=security) == b"Subject: put\r\n\r\nby curl\r\n"


def test_imaplib(stack, login, filled):
    context = ssl.create_default_context(cafile=str(login.certificate))
    context.check_hostname = False
    with imaplib.IMAP4_SSL("127.0.0.1", stack.port("imaps"), ssl_context=context) as client:
        client.authenticate("PLAIN", lambda _: f"\0{login.address}\0{login.password}".encode())
        assert client.select() == ("OK", [b"3"])
        status, data = client.uid("FETCH", "1:*", "(BODY[])")
        assert status == "OK"
        assert [part[1] for part in data if isinstance(part, tuple)] == MESSAGES
        client.literal = "보고서".encode()
        assert client.uid("SEARCH", "CHARSET", "UTF-8", "BODY") == ("OK", [b"2"])
        assert client.store("2", "+FLAGS", "(\\Deleted)")[0] == "OK"
        assert client.expunge() == ("OK", [b"2"])
        date = imaplib.Time2Internaldate(time.mktime((2024, 1, 1, 0, 0, 0, 0, 0, 0)))
        assert client.append("INBOX", "(\\Seen)", date, MESSAGES[1])[0] == "OK"
        assert client.fetch("3", "(BODY.PEEK[])")[1][0][1] == MESSAGES[1]


def test_mbsync_both_ways(stack, login, filled):
    port = stack.port("imaps")
    mail = mbsync(port, login)
    assert sorted(maildir(mail / "INBOX")) == sorted(MESSAGES)
    # here: one read, one deleted, one new; there: one flagged, a new mailbox with one
    near = mailbox.Maildir(mail / "INBOX")
    by_subject = {message["Subject"]: key for key, message in near.iteritems()}
    read = near[by_subject["first"]]
    read.set_flags("S")
    read.set_subdir("cur")
    near[by_subject["first"]] = read
    near.remove(by_subject["large"])
    near.add(mailbox.MaildirMessage(b"Subject: near\n\nnew here\n"))
    filled.ok("SELECT INBOX")
    filled.ok("UID STORE 2 +FLAGS.SILENT (\\Flagged)")
    filled.ok("CREATE Projects/2024")
    assert filled.append(b"Projects/2024", MESSAGES[0]).ok
    mbsync(port, login)
    filled.ok("NOOP")
    assert filled.ok("UID SEARCH SEEN").numbers() == [1]
    assert filled.ok("UID SEARCH 1:* UNDELETED").numbers() == [1, 2, 4]
    assert filled.ok("UID SEARCH SUBJECT near").numbers() == [4]
    assert maildir(mail / "Projects" / "2024") == [MESSAGES[0]]
    flags = {message["Subject"]: message.get_flags() for message in mailbox.Maildir(mail / "INBOX").itervalues()}
    assert flags["=?utf-8?B?7JWI64WV?="] == "F"
    # nothing more to do: the third run changes nothing
    before = filled.ok("FETCH 1:* (UID FLAGS)").untagged
    mbsync(port, login)
    assert filled.ok("FETCH 1:* (UID FLAGS)").untagged == before


def test_mutt(stack, login, filled):
    (login.home / "Mail").mkdir(parents=True)  # else mutt's first question takes the keys
    assert sorted(mutt_save(stack.port("imaps"), login, len(MESSAGES))) == sorted(MESSAGES)


def test_mutt_comes_back_by_qresync(stack, login, filled):
    port = stack.port("imaps")
    (login.home / "Mail").mkdir(parents=True)
    assert mutt_save(port, login, len(MESSAGES), qresync=True) == MESSAGES
    filled.ok("SELECT INBOX")
    filled.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    filled.ok("EXPUNGE")
    new = b"From: dora@example.test\r\nSubject: while away\r\nMessage-ID: <4@example.test>\r\n\r\nx\r\n"
    assert filled.append(b"INBOX", new).ok
    assert mutt_save(port, login, len(MESSAGES), qresync=True) == [*MESSAGES[1:], new]


def test_fetchmail(stack, login, filled):
    fetched = fetchmail(stack.port("imaps"), login, protocol="imap", keep=False)
    assert [message.split(b"\r\n\r\n", 1)[1] for message in fetched] == [
        message.split(b"\r\n\r\n", 1)[1] for message in MESSAGES
    ]
    assert filled.ok("STATUS INBOX (MESSAGES)").untagged == (b"* STATUS INBOX (MESSAGES 0)",)


@pytest.mark.parametrize("security", Security)
def test_mbsync_by_scram(stack, login, filled, security):
    # Cyrus SASL's client side of SCRAM
    port = stack.port("imaps" if security is Security.TLS else "imap")
    mail = mbsync(port, login, security, mechanisms="SCRAM-SHA-256")
    assert len(maildir(mail / "INBOX")) == len(MESSAGES)
    stack["imap"].wait_for_log("login.*SCRAM-SHA-256")
