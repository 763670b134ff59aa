"""APPEND of several messages and REPLACE while the store is killed or stays away: all or nothing, and the session lives on."""

import re
import threading

from shared.testing.imap_client import ImapClient
from shared.testing.stack import PASSWORD, Stack

MESSAGES = [
    b"Subject: %d\r\n\r\n" % number + b"x" * octets for number, octets in enumerate((10, 400_000, 20, 300_000, 30))
]


def literal(octets):
    return b"{%d+}\r\n%b" % (len(octets), octets)


ALL = b" ".join(map(literal, MESSAGES))


def subjects(client):
    client.ok("EXAMINE INBOX")
    return [
        int(number) for row in client.ok("FETCH 1:* ENVELOPE").untagged for number in re.findall(rb'"(\d+)" NIL', row)
    ]


def test_killed_during_commands_of_several_messages(tmp_path):
    with Stack(tmp_path / "data", services=("imap",)) as stack:
        stack.add_account("a@example.test")
        port = stack.port("imap")
        answers = []
        enough = [threading.Event() for _ in range(3)]

        def work():
            with ImapClient(port) as client:
                client.login("a@example.test", PASSWORD)
                for _ in range(12):
                    answers.append(client.command(b"APPEND INBOX " + ALL).tagged)
                    for number, event in enumerate(enough):
                        if len(answers) >= 4 * (number + 1):
                            event.set()

        workers = [threading.Thread(target=work) for _ in range(3)]
        for worker in workers:
            worker.start()
        for event in enough:
            assert event.wait(60)
            stack["store"].kill()
            stack["store"].restart()
        for worker in workers:
            worker.join(100)
        assert len(answers) == 36
        firsts = sorted(int(re.match(rb"OK \[APPENDUID \d+ (\d+):", answer).group(1)) for answer in answers)
        assert firsts == [1 + 5 * number for number in range(36)]
        with ImapClient(port) as client:
            assert subjects(client.login("a@example.test", PASSWORD)) == [0, 1, 2, 3, 4] * 36
        assert list((stack.data_dir / "store" / "uploads").iterdir()) == []
        assert list((stack.data_dir / "spool" / "imap").iterdir()) == []


def test_the_store_stays_away(tmp_path):
    settings = {"PILLARBOX_STORE__WAIT_SECONDS": "1"}
    with Stack(tmp_path / "data", services=("imap",), settings=settings) as stack:
        stack.add_account("a@example.test")
        with ImapClient(stack.port("imap")) as client:
            client.login("a@example.test", PASSWORD).ok(b"APPEND INBOX " + literal(b"first"))
            client.ok("SELECT INBOX")
            stack["store"].kill()
            for command in (
                b"APPEND INBOX " + ALL,
                b"REPLACE 1 INBOX " + literal(b"x" * 300_000),
                b"APPEND INBOX CATENATE (URL ;UID=1 TEXT " + literal(b"a NOOP\r\n") + b")",
                b"APPEND INBOX {1000}",
            ):
                assert client.command(command).tagged.startswith(b"NO [UNAVAILABLE]"), command
            assert client.ok("NOOP").ok
            # it goes away while the message is on its way
            stack["store"].restart()
            while not client.command("SELECT INBOX").ok:
                pass  # each waits a second for the connection
            tag = client.start(b"REPLACE 1 INBOX {5}")
            assert client.read_response().startswith(b"+")
            stack["store"].kill()
            client.send(b"abcde\r\n")
            answer = client.finish(tag)
            assert answer.tagged.startswith(b"NO [UNAVAILABLE]")
            assert not answer.of(b"EXPUNGE")
            stack["store"].restart()
            while not client.command("SELECT INBOX").ok:
                pass
            assert client.ok("UID SEARCH ALL").numbers() == [1]


def test_what_is_refused_leaves_no_upload(tmp_path):
    settings = {"PILLARBOX_STORE__UPLOADS": "2"}
    with Stack(tmp_path / "data", services=("imap",), settings=settings) as stack:
        stack.add_account("a@example.test")
        with ImapClient(stack.port("imap")) as client:
            client.login("a@example.test", PASSWORD)
            many = b"(" + b" ".join(b"k%d" % number for number in range(60)) + b") "
            big = literal(b"x" * 400_000)
            for _ in range(3):
                assert client.command(b"APPEND INBOX " + many + big).tagged.startswith(b"NO [LIMIT]")
                assert client.command(b"APPEND INBOX " + big + b" " + many + big).tagged.startswith(b"NO [LIMIT]")
            # there is room for two at a time
            assert client.ok(b"APPEND INBOX " + big + b" " + big).ok
