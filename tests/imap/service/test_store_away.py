"""The store is killed and comes back under open sessions: they live on, and know what happened meanwhile."""

import threading

from shared.testing.imap_client import ImapClient
from shared.testing.stack import PASSWORD, Stack

MESSAGE = b"Subject: %d\r\n\r\nbody\r\n"


def test_sessions_survive_the_store(tmp_path):
    with Stack(tmp_path / "data", services=("imap",)) as stack:
        stack.add_account("a@example.test")
        port = stack.port("imap")
        with ImapClient(port) as idler, ImapClient(port) as worker, ImapClient(port) as third:
            for client in (idler, worker, third):
                client.login("a@example.test", PASSWORD).ok("SELECT INBOX")
            worker.append(b"INBOX", MESSAGE % 1)
            idler.ok("NOOP")
            third.ok("NOOP")
            tag = idler.idle()
            stack["store"].kill()
            # a call waits for the store and then succeeds: nothing is lost, nothing doubled
            answers = []
            appender = threading.Thread(target=lambda: answers.append(worker.append(b"INBOX", MESSAGE % 2)))
            appender.start()
            stack["store"].restart()
            appender.join(25)
            assert answers
            assert answers[0].ok
            # the view watches again by itself
            assert idler.read_response() == b"* 2 EXISTS"
            assert idler.read_response().endswith(b"RECENT")
            assert idler.done(tag).ok
            assert b"* 2 EXISTS" in third.ok("NOOP").untagged
            assert len(third.ok("FETCH 1:2 (UID)").untagged) == 2
            assert worker.ok("UID SEARCH ALL").numbers() == [1, 2]


def test_store_stays_away(tmp_path):
    settings = {"PILLARBOX_STORE__WAIT_SECONDS": "1"}
    with Stack(tmp_path / "data", services=("imap",), settings=settings) as stack:
        stack.add_account("a@example.test")
        with ImapClient(stack.port("imap")) as client:
            client.login("a@example.test", PASSWORD).ok("SELECT INBOX")
            client.append(b"INBOX", MESSAGE % 1)
            stack["store"].kill()
            assert client.command("STORE 1 +FLAGS (\\Seen)").tagged.startswith(b"NO [UNAVAILABLE]")
            assert client.append(b"INBOX", MESSAGE % 2).tagged.startswith(b"NO [UNAVAILABLE]")
            assert client.command("SELECT Sent").tagged.startswith(b"NO [UNAVAILABLE]")
            assert client.ok("NOOP").ok
            with ImapClient(stack.port("imap")) as other:
                answer = other.command(f"LOGIN a@example.test {PASSWORD}")
                assert answer.tagged.startswith(b"NO [UNAVAILABLE]")
            stack["store"].restart()
            while not (answer := client.command("SELECT INBOX")).ok:
                assert b"[UNAVAILABLE]" in answer.tagged  # each waits a second for the connection
            assert b"* 1 EXISTS" in answer.untagged
