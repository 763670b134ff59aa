"""IMAPClient, the library of most Python programs: every call of it that our capabilities allow."""

import datetime as dt
import ssl

import pytest
from imapclient import IMAPClient

from shared.testing.mail_samples import korean_message, plain_message
from shared.testing.stack import PASSWORD

MESSAGES = [plain_message("one@x.test"), korean_message("two@x.test"), plain_message("three@x.test", sender="carol@x.test")]


@pytest.fixture
def session(stack, login):
    context = ssl.create_default_context(cafile=str(login.certificate))
    context.check_hostname = False
    with IMAPClient("127.0.0.1", stack.port("imaps"), ssl_context=context, use_uid=True) as session:
        session.login(login.address, PASSWORD)
        for message in MESSAGES:
            session.append("INBOX", message, msg_time=dt.datetime(2026, 6, 1, tzinfo=dt.UTC))
        yield session


def test_mailboxes(session):
    session.create_folder("받은 것/하나")
    names = {name for _, _, name in session.list_folders()}
    assert {"INBOX", "받은 것", "받은 것/하나", "Sent"} <= names
    assert session.find_special_folder(b"\\Trash") == "Trash"
    session.subscribe_folder("받은 것/하나")
    assert [name for _, _, name in session.list_sub_folders("", "받*")] == ["받은 것/하나"]
    session.rename_folder("받은 것", "보낸 것")
    assert session.folder_exists("보낸 것/하나")
    session.delete_folder("보낸 것/하나")
    assert session.folder_status("INBOX", ["MESSAGES", "UIDNEXT"]) == {b"MESSAGES": 3, b"UIDNEXT": 4}
    assert session.namespace().personal == (("", "/"),)


def test_messages(session):
    opened = session.select_folder("INBOX")
    assert opened[b"EXISTS"] == 3
    fetched = session.fetch([1, 2, 3], ["RFC822.SIZE", "FLAGS", "BODY.PEEK[]", "ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE"])
    assert [fetched[uid][b"BODY[]"] for uid in (1, 2, 3)] == MESSAGES
    assert fetched[3][b"ENVELOPE"].from_[0].mailbox == b"carol"
    assert fetched[2][b"BODYSTRUCTURE"].is_multipart
    assert session.search(["FROM", "carol"]) == [3]
    assert session.search(["SUBJECT", "한글 제목"], charset="UTF-8") == [2]
    assert session.add_flags([1], ["\\Flagged", "$Forwarded"])[1] >= (b"\\Flagged", b"$Forwarded")
    assert session.remove_flags([1], "\\Flagged")[1] == (b"$Forwarded",) or b"\\Flagged" not in session.get_flags([1])[1]
    session.copy([1, 2], "Archive")
    session.move([3], "Trash")
    session.delete_messages([2])
    session.uid_expunge([2])
    assert session.search() == [1]
    session.unselect_folder()
    assert session.select_folder("Archive", readonly=True)[b"EXISTS"] == 2
    session.close_folder()


def test_idle(session, client):
    session.select_folder("INBOX")
    session.idle()
    assert client.append(b"INBOX", MESSAGES[0]).ok
    assert (4, b"EXISTS") in session.idle_check(timeout=10)
    session.idle_done()


def test_orders(session):
    """SORT, THREAD and QUOTA."""
    session.select_folder("INBOX")
    assert sorted(session.sort(["FROM"])) == [1, 2, 3]
    # RFC 5256 §3: what is equal stays in the order of the mailbox
    assert session.sort("REVERSE ARRIVAL") == [1, 2, 3]
    assert session.sort("REVERSE SIZE")[0] == 2
    assert sorted(uid for thread in session.thread("REFERENCES") for uid in thread) == [1, 2, 3]
    assert session.get_quota_root("INBOX")[0].mailbox == "INBOX"


def test_resynchronisation(session, client):
    session.enable("QRESYNC")
    opened = session.select_folder("INBOX")
    before = opened[b"HIGHESTMODSEQ"]
    client.ok("SELECT INBOX")
    client.ok("UID STORE 1 +FLAGS.SILENT (\\Answered)")
    changed = session.fetch([1, 2, 3], ["FLAGS"], [f"CHANGEDSINCE {before}"])
    assert {uid: b"\\Answered" in data[b"FLAGS"] for uid, data in changed.items()} == {1: True}
