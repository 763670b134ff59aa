"""More messages than one command works on: RFC 9738, with a limit that a test can meet."""

import pytest

from shared.testing.imap_client import ImapClient
from shared.testing.stack import PASSWORD, Stack

LIMIT = 3
MESSAGE = b"Subject: x\r\n\r\nx\r\n"


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    settings = {"PILLARBOX_IMAP__MESSAGES_PER_COMMAND": str(LIMIT)}
    with Stack(tmp_path_factory.mktemp("imap") / "data", services=("imap",), settings=settings) as running:
        yield running


@pytest.fixture
def client(stack, account):
    """Ten messages, UIDs 1 to 10."""
    with ImapClient(stack.port("imap")).login(account, PASSWORD) as client:
        for _ in range(10):
            assert client.append(b"INBOX", MESSAGE).ok
        client.ok("SELECT INBOX")
        yield client


def test_it_is_announced_after_login(stack, client):
    assert b"MESSAGELIMIT=3" in client.ok("CAPABILITY").untagged[0].split()
    with ImapClient(stack.port("imap")) as other:
        assert b"MESSAGELIMIT" not in other.greeting


def test_fetch_gives_the_highest(client):
    answer = client.ok("FETCH 1:8 (UID)")
    assert answer.untagged == (b"* 6 FETCH (UID 6)", b"* 7 FETCH (UID 7)", b"* 8 FETCH (UID 8)")
    assert answer.tagged.startswith(b"OK [MESSAGELIMIT 3 6] ")
    # RFC 9738 §3.2: and the client goes on
    assert client.ok("UID FETCH 1:5 (UID)").tagged.startswith(b"OK [MESSAGELIMIT 3 3] ")
    assert client.ok("UID FETCH 1:2 (UID)").tagged.startswith(b"OK UID FETCH")
    assert client.ok("UID FETCH 1:3 (UID)").tagged.startswith(b"OK UID FETCH")


def test_store(client):
    answer = client.ok("UID STORE 1:* +FLAGS (\\Deleted)")
    assert len(answer.of(b"FETCH")) == LIMIT
    assert answer.tagged.startswith(b"OK [MESSAGELIMIT 3 8] ")
    assert client.ok("UID SEARCH DELETED").numbers() == [8, 9, 10]
    # MODIFIED has the reply, MESSAGELIMIT an untagged NO
    answer = client.ok("UID STORE 1:* (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen)")
    assert answer.tagged.startswith(b"OK [MODIFIED 8:10] ")
    assert any(line.startswith(b"* NO [MESSAGELIMIT 3 8] ") for line in answer.untagged)


def test_copy_is_all_or_nothing(client):
    assert client.command("COPY 1:4 Archive").tagged.startswith(b"NO [MESSAGELIMIT 3] ")
    assert client.ok("STATUS Archive (MESSAGES)").untagged == (b"* STATUS Archive (MESSAGES 0)",)
    assert client.ok("COPY 1:3 Archive").tagged.startswith(b"OK [COPYUID ")


def test_move_and_expunge(client):
    answer = client.ok("UID MOVE 1:* Archive")
    assert answer.tagged.startswith(b"OK [MESSAGELIMIT 3 8] ")
    assert answer.of(b"EXPUNGE") == [b"* 10 EXPUNGE", b"* 9 EXPUNGE", b"* 8 EXPUNGE"]
    for uids in ("5:7", "2:4"):
        client.ok(f"UID STORE {uids} +FLAGS.SILENT (\\Deleted)")
    # of those that are \Deleted
    answer = client.ok("UID EXPUNGE 1:*")
    assert answer.of(b"EXPUNGE") == [b"* 7 EXPUNGE", b"* 6 EXPUNGE", b"* 5 EXPUNGE"]
    assert answer.tagged.startswith(b"OK [MESSAGELIMIT 3 5] ")
    # EXPUNGE and CLOSE have no limit
    client.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    answer = client.ok("EXPUNGE")
    assert len(answer.of(b"EXPUNGE")) == 4
    assert answer.tagged.startswith(b"OK EXPUNGE")


def test_search_looks_at_all_and_can_go_on_from_a_uid(client):
    assert client.ok("UID SEARCH ALL").numbers() == list(range(1, 11))
    assert client.ok("UID SEARCH UIDBEFORE 4").numbers() == [1, 2, 3]
    assert client.ok("UID SEARCH UIDAFTER 8").numbers() == [9, 10]
    assert client.ok("UID SEARCH UIDAFTER 8 UIDBEFORE 10").numbers() == [9]
    assert client.ok("UID SEARCH UIDBEFORE 1").numbers() == []
    assert client.ok("UID SEARCH UIDAFTER 4294967295").numbers() == []
    assert client.command("UID SEARCH UIDAFTER 0").tagged.startswith(b"BAD")
    assert client.command("UID SEARCH UIDAFTER 1:3").tagged.startswith(b"BAD")
