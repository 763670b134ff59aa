"""APPEND of several messages, of parts and URLs, and REPLACE, over real sockets."""

import re

import pytest

from shared.testing.imap_client import ImapClient
from shared.testing.stack import PASSWORD, Stack

MESSAGE = b"From: a@example.test\r\nSubject: %b\r\n\r\ntext of %b\r\n"
MULTIPART = (
    b'Subject: whole\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
    b"Content-Type: text/plain\r\n\r\nthe text\r\n--b\r\nContent-Type: application/zip\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\n"
)
HEADER = MULTIPART[: MULTIPART.index(b"\r\n\r\n") + 4]


def numbered(name):
    return MESSAGE % (name, name)


def literal(octets, *, waits=False):
    return b"{%d%b}\r\n%b" % (len(octets), b"" if waits else b"+", octets)


def bodies(client, mailbox=b"INBOX"):
    client.ok(b"EXAMINE " + mailbox)
    answers = client.ok("FETCH 1:* BODY.PEEK[]").of(b"FETCH")
    return [line.split(b"}\r\n", 1)[1].removesuffix(b")") for line in answers]


def in_step(client):
    """Whether the stream is where it should be: the next answer belongs to the next command."""
    return client.ok("NOOP").ok


# --- MULTIAPPEND ---


def test_several_messages(connect):
    client = connect()
    client.ok("SELECT INBOX")
    one, two, three = (numbered(name) for name in (b"one", b"two", b"three"))
    # RFC 3502 §6.3.11: each with flags and a date of its own
    answer = client.command(
        b"APPEND INBOX (\\Seen) " + literal(one) + b' (\\Flagged $Work) " 7-Feb-1994 22:43:04 -0800" ' + literal(two) + b" "
        + literal(three)
    )  # fmt: skip
    assert re.match(rb"OK \[APPENDUID \d+ 1:3\] ", answer.tagged)
    assert answer.of(b"EXISTS") == [b"* 3 EXISTS"]
    rows = client.ok("FETCH 1:3 (FLAGS INTERNALDATE)").of(b"FETCH")
    assert b"\\Seen" in rows[0]
    assert b"\\Flagged" in rows[1]
    assert b"$Work" in rows[1]
    assert b'INTERNALDATE " 8-Feb-1994 06:43:04 +0000"' in rows[1]
    assert bodies(client) == [one, two, three]


def test_literals_that_wait(connect):
    client = connect()
    tag = client.start(b"APPEND INBOX {5}")
    assert client.read_response().startswith(b"+")
    client.send(b"a\r\nbc (\\Seen) {2}\r\n")
    assert client.read_response().startswith(b"+")
    client.send(b"de\r\n")
    assert client.finish(tag).ok
    assert bodies(client) == [b"a\r\nbc", b"de"]


def test_all_or_nothing(connect):
    client = connect()
    good = literal(numbered(b"x"))
    for bad, expected in (
        (b" {0+}\r\n", b"NO [CANNOT]"),  # RFC 3502: cancelled
        (b" (\\Nonsense) " + good, b"BAD"),
        (b' "no date" ' + good + b" " + good, b"BAD"),
        (b" " + good + b" rubbish", b"BAD"),
        (b" CATENATE (URL /INBOX/;UID=77)", b"NO [BADURL"),
        (b" CATENATE (URL /INBOX/;UID=77 TEXT " + good + b")", b"NO [BADURL"),
        (b" (" + b" ".join(b"k%d" % number for number in range(60)) + b") " + good, b"NO [LIMIT]"),
        (b" UTF8 (~" + good + b")", b"NO [CANNOT]"),
    ):
        answer = client.command(b"APPEND INBOX " + good + bad)
        assert answer.tagged.startswith(expected), (bad, answer)
        assert in_step(client)
    assert b"MESSAGES 0" in client.ok("STATUS INBOX (MESSAGES UIDNEXT)").untagged[0]


def test_the_mailbox_is_missing(connect):
    client = connect()
    # RFC 3501 §6.3.11: said before the message is sent
    answer = client.command(b"APPEND nowhere {10000000}")
    assert answer.tagged.startswith(b"NO [TRYCREATE]")
    assert in_step(client)
    good = literal(b"a DELETE INBOX\r\n")
    assert client.command(b"APPEND nowhere " + good + b" " + good).tagged.startswith(b"NO [TRYCREATE]")
    assert client.command(b"APPEND nowhere CATENATE (TEXT " + good + b" TEXT " + good + b")").tagged.startswith(
        b"NO [T"
    )
    assert in_step(client)


def test_the_name_counts_when_the_message_is_filed(connect):
    # what is here already is filed by name: neither a rename nor a new mailbox of the old name may mislead it
    client, other = connect(), connect()
    good = literal(numbered(b"one"))
    client.ok("CREATE first")
    client.ok(b"APPEND first " + good)
    other.ok("RENAME first second")
    assert client.command(b"APPEND first " + good).tagged.startswith(b"NO [TRYCREATE]")
    other.ok("CREATE first")
    client.ok(b"APPEND first " + good)
    client.ok(b"APPEND iNbOx " + good)
    for name in ("first", "second", "INBOX"):
        assert b"MESSAGES 1" in client.ok(f"STATUS {name} (MESSAGES)").untagged[0]
    assert in_step(client)


def test_the_mailbox_is_missed_before_a_literal_that_waits(connect):
    client = connect()
    good = literal(numbered(b"one"))
    for command in (b"APPEND nowhere " + good + b" {500}", b"APPEND nowhere CATENATE (TEXT " + good + b" TEXT {500}"):
        # the first one is here before anybody can ask; a client that waits with the second is told at once
        answer = client.command(command)
        assert answer.tagged.startswith(b"NO [TRYCREATE]")
        assert in_step(client)


def test_large_ones_beside_small_ones(connect):
    client = connect()
    messages = [
        numbered(b"%d" % number) + b"x" * octets for number, octets in enumerate((10, 400_000, 1_500_000, 30, 250_000))
    ]
    messages += [numbered(b"n%d" % number) * 50 for number in range(300)]
    answer = client.command(b"APPEND INBOX " + b" ".join(literal(message) for message in messages))
    assert re.match(rb"OK \[APPENDUID \d+ 1:305\] ", answer.tagged), answer
    assert bodies(client) == messages
    envelopes = client.ok("FETCH 1:* ENVELOPE").of(b"FETCH")
    assert b'"n299"' in envelopes[-1]
    assert b'"2"' in envelopes[2]


def test_a_thousand_small_ones(stack, connect):
    client = connect()
    messages = [numbered(b"m%d" % number) + b"0123456789abcdef" * 256 for number in range(1000)]
    assert client.ok("SELECT INBOX").ok
    answer = client.command(b"APPEND INBOX " + b" ".join(literal(message) for message in messages))
    assert re.match(rb"OK \[APPENDUID \d+ 1:1000\] ", answer.tagged), answer
    assert bodies(client) == messages
    envelopes = client.ok("FETCH 1,500,1000 ENVELOPE").of(b"FETCH")
    assert [name in line for name, line in zip((b'"m0"', b'"m499"', b'"m999"'), envelopes, strict=True)] == [True] * 3


def test_few_uploads_are_enough_for_many_small_ones(tmp_path):
    with Stack(tmp_path / "data", services=("imap",), settings={"PILLARBOX_STORE__UPLOADS": "1"}) as stack:
        stack.add_account("a@example.test")
        with ImapClient(stack.port("imap")).login("a@example.test", PASSWORD) as client:
            small, large = [literal(numbered(b"%d" % number) * 100) for number in range(300)], literal(b"x" * 300_000)
            for _ in range(2):
                assert client.ok(b"APPEND INBOX " + b" ".join(small)).ok
            # one more upload than there may be: nothing of it is filed, and the uploads are given back
            answer = client.command(b"APPEND INBOX " + b" ".join([*small, large]))
            assert answer.tagged.startswith(b"NO [LIMIT]")
            assert client.ok("STATUS INBOX (MESSAGES)").untagged == (b"* STATUS INBOX (MESSAGES 600)",)
            assert client.ok(b"APPEND INBOX " + b" ".join(small)).ok


def test_bounds_of_one_command(tmp_path):
    settings = {
        "PILLARBOX_LIMITS__MESSAGE_OCTETS": "70000",
        "PILLARBOX_IMAP__APPEND_MESSAGES": "3",
        "PILLARBOX_IMAP__APPEND_OCTETS": "1048576",
    }
    with Stack(tmp_path / "data", services=("imap",), settings=settings) as stack:
        stack.add_account("a@example.test")
        with ImapClient(stack.port("imap")).login("a@example.test", PASSWORD) as client:
            assert b"APPENDLIMIT=70000" in client.ok("CAPABILITY").untagged[0].split()
            # RFC 7889 §3.1
            assert client.ok("STATUS INBOX (APPENDLIMIT)").untagged == (b"* STATUS INBOX (APPENDLIMIT 70000)",)
            small, large = literal(b"x"), literal(b"x" * 70001)
            assert client.command(b"APPEND INBOX " + small + b" " + large).tagged.startswith(b"NO [TOOBIG]")
            assert client.command(b"APPEND INBOX {70001}").tagged.startswith(b"NO [TOOBIG]")
            half = literal(b"x" * 40_000)
            answer = client.command(b"APPEND INBOX CATENATE (TEXT " + half + b" TEXT " + half + b")")
            assert answer.tagged.startswith(b"NO [TOOBIG]")
            answer = client.command(b"APPEND INBOX " + b" ".join([small] * 4))
            assert answer.tagged.startswith(b"NO [LIMIT]")
            answer = client.command(b"APPEND INBOX CATENATE (" + b" ".join([b"TEXT " + literal(b"")] * 7) + b")")
            assert answer.tagged.startswith(b"NO [LIMIT]")
            assert client.ok(b"APPEND INBOX " + b" ".join([small] * 3)).ok
            assert in_step(client)


def test_octets_of_one_command(tmp_path):
    settings = {"PILLARBOX_LIMITS__MESSAGE_OCTETS": "900000", "PILLARBOX_IMAP__APPEND_OCTETS": "1048576"}
    with Stack(tmp_path / "data", services=("imap",), settings=settings) as stack:
        stack.add_account("a@example.test")
        with ImapClient(stack.port("imap")).login("a@example.test", PASSWORD) as client:
            half = literal(b"x" * 600_000)
            assert client.command(b"APPEND INBOX " + half + b" " + half).tagged.startswith(b"NO [LIMIT]")
            assert client.ok(b"APPEND INBOX " + half).ok


# --- CATENATE ---


@pytest.fixture
def drafts(connect):
    """A client with a multipart message in Drafts, and the beginning of its URL."""
    client = connect()
    assert client.append(b"Drafts", MULTIPART).ok
    validity = re.search(rb"UIDVALIDITY (\d+)", client.ok("STATUS Drafts (UIDVALIDITY)").untagged[0])
    return client, b"/Drafts;UIDVALIDITY=" + validity.group(1) + b"/;UID=1"


def test_parts_and_urls(drafts):
    # RFC 4469 appendix A, example 1: an attachment is replaced
    client, url = drafts
    answer = client.ok(
        b'APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE (URL "' + url + b'/;section=HEADER" TEXT ' + literal(b"--b\r\n")
        + b' URL "' + url + b'/;section=1.MIME" URL ' + literal(url + b"/;section=1") + b" TEXT " + literal(b"\r\n--b--\r\n")
        + b")"
    )  # fmt: skip
    assert b"[APPENDUID " in answer.tagged
    expected = HEADER + b"--b\r\nContent-Type: text/plain\r\n\r\nthe text\r\n--b--\r\n"
    assert bodies(client, b"Drafts") == [MULTIPART, expected]
    # the message that is copied does not become \Seen
    assert b"\\Seen" not in client.ok("FETCH 1 FLAGS").of(b"FETCH")[0]


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (b"", MULTIPART),
        (b"/;SECTION=TEXT", MULTIPART[len(HEADER) :]),
        (b"/;SECTION=2", b"AAEC"),
        (b"/;SECTION=HEADER.FIELDS%20(Subject)", b"Subject: whole\r\n\r\n"),
        (b"/;PARTIAL=9.5", b"whole"),
        (b"/;SECTION=1/;PARTIAL=4", b"text"),
        (b"/;SECTION=HEADER.FIELDS%20(Subject)/;PARTIAL=0.7", b"Subject"),
    ],
)
def test_sections(drafts, rest, expected):
    client, url = drafts
    client.ok(b"APPEND INBOX CATENATE (URL " + literal(url + rest) + b")")
    assert bodies(client) == [expected]


def test_relative_to_the_selected_mailbox(drafts):
    client, _ = drafts
    assert client.command(b'APPEND INBOX CATENATE (URL ";UID=1")').tagged.startswith(b"NO [BADURL")
    client.ok("SELECT Drafts")
    client.ok(b'APPEND INBOX CATENATE (URL ";UID=1/;SECTION=2")')
    assert bodies(client) == [b"AAEC"]


def test_urls_that_fail(drafts, stack):
    client, url = drafts
    stack.add_account("other@example.test")
    for bad in (
        *(url + b"0", url + b"/;SECTION=3", url.replace(b"UIDVALIDITY=", b"UIDVALIDITY=1"), b"/nowhere/;UID=1"),
        *(b"imap://x/INBOX/;UID=1", b"/shared/other@example.test/INBOX/;UID=1", b"rubbish"),
    ):
        for text in (b"", b" TEXT " + literal(b"more")):
            answer = client.command(b'APPEND INBOX CATENATE (URL "' + bad + b'"' + text + b")")
            # RFC 4469 §4.1: the first URL that failed
            assert answer.tagged.startswith(b'NO [BADURL "' + bad + b'"]'), answer
            assert in_step(client)
    assert b"MESSAGES 0" in client.ok("STATUS INBOX (MESSAGES)").untagged[0]


def test_several_messages_of_parts(drafts):
    client, url = drafts
    answer = client.ok(
        b"APPEND INBOX CATENATE (TEXT " + literal(b"a") + b" URL " + url + b"/;SECTION=2) (\\Seen) " + literal(b"plain")
        + b" CATENATE (URL " + url + b"/;SECTION=1)"
    )  # fmt: skip
    assert b" 1:3] " in answer.tagged
    assert bodies(client) == [b"aAAEC", b"plain", b"the text"]


# --- UTF8 ---


def test_utf8(connect):
    client = connect()
    message = "Subject: 안녕\r\n\r\nx\r\n".encode()
    utf8 = b"UTF8 (~" + literal(message) + b")"
    assert client.command(b"APPEND INBOX " + utf8).tagged.startswith(b"NO [CANNOT]")
    assert b"UTF8=ACCEPT" in client.ok("CAPABILITY").untagged[0].split()
    client.ok("ENABLE UTF8=ACCEPT")
    client.ok(b"APPEND INBOX (\\Seen) " + utf8 + b" CATENATE (" + utf8 + b" TEXT " + literal(b"more") + b")")
    # what is not said to be UTF-8 is taken as it is, as always
    client.ok(b"APPEND INBOX " + literal(message))
    assert bodies(client) == [message, message + b"more", message]


# --- REPLACE ---


@pytest.mark.parametrize("command", [b"REPLACE 2", b"UID REPLACE 2"])
def test_replace(connect, command):
    client, watcher = connect(), connect()
    for name in (b"one", b"two", b"three"):
        client.append(b"Drafts", numbered(name))
    client.ok("SELECT Drafts")
    watcher.ok("SELECT Drafts")
    answer = client.ok(command + b" Drafts (\\Seen \\Draft) " + literal(numbered(b"new")))
    # RFC 8508 §4.3: APPENDUID first, and no FETCH for \Deleted
    assert re.match(rb"\* OK \[APPENDUID \d+ 4\] ", answer.untagged[0])
    assert b"* 2 EXPUNGE" in answer.untagged
    assert answer.of(b"EXISTS")
    assert not answer.of(b"FETCH")
    assert bodies(client, b"Drafts") == [numbered(b"one"), numbered(b"three"), numbered(b"new")]
    assert b"* 2 EXPUNGE" in watcher.ok("NOOP").untagged


def test_replace_into_another_mailbox(connect):
    client = connect()
    client.append(b"Drafts", numbered(b"draft"))
    client.ok("SELECT Drafts")
    answer = client.ok(b"REPLACE * Sent (\\Seen) CATENATE (URL ;UID=1 TEXT " + literal(b"footer") + b")")
    assert b"* 1 EXPUNGE" in answer.untagged
    assert bodies(client, b"Sent") == [numbered(b"draft") + b"footer"]


def test_replace_with_qresync(connect):
    client = connect()
    client.append(b"Drafts", numbered(b"draft"))
    client.ok("ENABLE QRESYNC")
    client.ok("SELECT Drafts")
    answer = client.ok(b"UID REPLACE 1 Drafts " + literal(b"x"))
    # RFC 8508 §4.5
    assert b"* VANISHED 1" in answer.untagged
    assert re.search(rb"\[HIGHESTMODSEQ \d+\]", answer.tagged)


def test_replace_that_fails_changes_nothing(connect):
    client = connect()
    client.append(b"Drafts", numbered(b"draft"))
    good = literal(b"x")
    assert client.command(b"REPLACE 1 Drafts " + good).tagged.startswith(b"BAD")
    client.ok("EXAMINE Drafts")
    assert client.command(b"REPLACE 1 Drafts " + good).tagged.startswith(b"NO [READ-ONLY]")
    client.ok("SELECT Drafts")
    for command, expected in (
        (b"REPLACE 2 Drafts " + good, b"BAD"),
        (b"UID REPLACE 2 Drafts " + good, b"NO [NONEXISTENT]"),
        (b"REPLACE 1 nowhere " + good, b"NO [TRYCREATE]"),
        (b"REPLACE 1 Drafts " + good + b" " + good, b"NO [LIMIT]"),
        (b"REPLACE 1 Drafts {0+}\r\n", b"NO [CANNOT]"),
        (b"REPLACE 1 Drafts (\\Seen)", b"BAD"),
    ):
        answer = client.command(command)
        assert answer.tagged.startswith(expected), answer
        assert not answer.of(b"EXPUNGE")
        assert in_step(client)
    assert bodies(client, b"Drafts") == [numbered(b"draft")]


def test_replace_of_a_message_that_has_gone(connect):
    client, other = connect(), connect()
    client.append(b"Drafts", numbered(b"draft"))
    client.ok("SELECT Drafts")
    other.ok("SELECT Drafts")
    tag = client.start(b"UID REPLACE 1 Drafts {1}")
    assert client.read_response().startswith(b"+")
    other.ok("STORE 1 +FLAGS (\\Deleted)")
    other.ok("EXPUNGE")
    client.send(b"x\r\n")
    assert client.finish(tag).tagged.startswith(b"NO [EXPUNGEISSUED]")
    assert b"MESSAGES 0" in client.ok("STATUS Drafts (MESSAGES)").untagged[0]


# --- clients that go away ---


def test_a_client_that_dies_leaves_nothing(stack, connect):
    client, other = connect(), connect()
    client.send(b"a APPEND INBOX " + literal(b"x" * 2_000_000) + b" {3000000+}\r\n" + b"y" * 1_500_000)
    client.close()
    assert b"MESSAGES 0" in other.ok("STATUS INBOX (MESSAGES)").untagged[0]
    assert not list((stack.data_dir / "store" / "uploads").iterdir())


def test_mailboxid(connect):
    client = connect()
    # RFC 8474 §4.1 to §4.3
    made = re.search(rb"\[MAILBOXID (\(F[0-9a-f]+\))\]", client.ok("CREATE foo").tagged).group(1)
    assert b"[MAILBOXID " + made + b"]" in b"".join(client.ok("SELECT foo").untagged)
    client.ok("RENAME foo renamed")
    assert client.ok("STATUS renamed (MAILBOXID)").untagged == (b"* STATUS renamed (MAILBOXID " + made + b")",)
    listed = client.ok('LIST "" INBOX RETURN (STATUS (MAILBOXID))').untagged
    assert made not in listed[1]
