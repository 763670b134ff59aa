"""SEARCH, SORT, THREAD, ESEARCH and their contexts over a socket, with real messages."""

import base64

from shared.testing.imap_client import ImapClient
from shared.testing.stack import Stack


def message(
    subject="",
    sender="a@example.org",
    to="b@example.org",
    *,
    date="Mon, 7 Feb 1994 21:52:25 -0800",
    ids="",
    body="text",
):
    head = f"Date: {date}\r\nFrom: {sender}\r\nTo: {to}\r\n{ids}".encode()
    subject = subject if isinstance(subject, bytes) else subject.encode()
    return head + b"Subject: " + subject + b"\r\n\r\n" + body.encode() + b"\r\n"


def word(text: str, charset: str, codec: str | None = None) -> bytes:
    return b"=?" + charset.encode() + b"?B?" + base64.b64encode(text.encode(codec or charset)) + b"?="


def fill(client: ImapClient, *messages: bytes, mailbox: bytes = b"INBOX") -> None:
    """A second later each."""
    for second, each in enumerate(messages):
        assert client.append(mailbox, each, b'"11-Nov-2026 10:00:%02d +0000"' % second).ok


def literal(text: str, charset: str = "utf-8") -> bytes:
    octets = text.encode(charset)
    return b"{%d+}\r\n%b" % (len(octets), octets)


def test_esearch_and_saved_results(connect):
    client = connect()
    fill(client, *(message(f"number {n}") for n in range(5)))
    client.ok("SELECT INBOX")
    client.ok("STORE 2,4:5 +FLAGS.SILENT (\\Flagged)")
    assert client.ok("SEARCH RETURN () FLAGGED").untagged == (b'* ESEARCH (TAG "t9") ALL 2,4:5',)
    assert client.ok("UID SEARCH RETURN (MIN MAX COUNT) FLAGGED").untagged == (
        b'* ESEARCH (TAG "t10") UID MIN 2 MAX 5 COUNT 3',
    )
    assert client.ok("SEARCH RETURN (COUNT MIN) SUBJECT nothing").untagged == (b'* ESEARCH (TAG "t11") COUNT 0',)
    assert client.ok("SEARCH RETURN (SAVE) FLAGGED").untagged == ()
    assert client.ok("UID SEARCH $").numbers() == [2, 4, 5]
    assert client.ok("SEARCH UID $ SMALLER 1").numbers() == []
    assert len(client.ok("FETCH $ (UID)").of(b"FETCH")) == 3
    other = connect()
    other.ok("SELECT INBOX")
    other.ok("UID STORE 4 +FLAGS (\\Deleted)")
    other.ok("EXPUNGE")
    client.ok("NOOP")
    assert [line.split()[1] for line in client.ok("UID FETCH $ (FLAGS)").of(b"FETCH")] == [b"2", b"4"]
    client.ok("CREATE Copies")
    assert b"COPYUID" in client.ok("COPY $ Copies").tagged
    # RFC 5182 §2.1: BAD and a search without SAVE leave it, NO empties it
    assert client.command("SEARCH RETURN (SAVE) FOO").tagged.startswith(b"BAD")
    client.ok("SEARCH ALL")
    assert client.ok("SEARCH $").numbers() == [2, 4]
    assert client.command("SEARCH RETURN (SAVE) CHARSET x-klingon TEXT a").tagged.startswith(
        b"NO [BADCHARSET (US-ASCII UTF-8)]"
    )
    assert client.ok("SEARCH $").numbers() == []
    assert client.ok("STORE $ +FLAGS (\\Seen)").untagged == ()
    client.ok("SEARCH RETURN (SAVE MIN) ALL")
    assert client.ok("STORE $ +FLAGS (\\Seen)").of(b"FETCH") != []
    assert client.ok("SEARCH SEEN").numbers() == [1]
    assert client.ok("SEARCH RETURN (PARTIAL -1:-2) ALL").untagged[0].endswith(b"PARTIAL (-1:-2 3:4)")
    assert client.ok("SEARCH RETURN (PARTIAL 7:9) ALL").untagged[0].endswith(b"PARTIAL (7:9 NIL)")
    lines = client.ok("UID FETCH 1:* (UID) (PARTIAL -1:-2)").of(b"FETCH")
    assert [line.split()[1] for line in lines] == [b"3", b"4"]
    client.ok("SELECT INBOX")
    assert client.ok("SEARCH $").numbers() == []


def test_rev2_answers_with_esearch(connect):
    client = connect()
    fill(client, message("x"), message("y"))
    client.ok("SELECT INBOX")
    client.ok("ENABLE IMAP4rev2")
    assert client.ok("SEARCH ALL").untagged[-1].endswith(b"ALL 1:2")
    assert client.ok("UID SEARCH SUBJECT nobody").untagged == (b'* ESEARCH (TAG "t7") UID',)
    assert client.ok("SORT (SUBJECT) UTF-8 ALL").untagged == (b"* SORT 1 2",)


def test_texts_in_all_character_sets(connect):
    client = connect()
    fill(
        client,
        message(word("분기 보고서", "euc-kr"), word("김철수", "utf-8").decode() + " <kim@example.org>"),
        message(word("검색 결과", "iso-2022-kr", "iso2022_kr"), "b@example.org"),
        message("ＰＩＬＬＡＲ ｂｏｘ １２３", "c@example.org"),
        b"Subject: euc\r\nContent-Type: text/plain; charset=euc-kr\r\n\r\n" + "오후에 회의".encode("euc-kr") + b"\r\n",
    )
    client.ok("SELECT INBOX")
    for key, found in {
        b"SUBJECT " + literal("보고"): [1],
        b"SUBJECT " + literal("검색"): [2],
        b"FROM " + literal("철수"): [1],
        b"FROM KIM@EXAMPLE": [1],
        b"SUBJECT pillarbox": [],
        b"SUBJECT pillar": [3],
        b"SUBJECT " + literal("Ｂｏｘ 123"): [3],
        b"TEXT " + literal("회의"): [4],
        b"BODY " + literal("오후에"): [4],
    }.items():
        assert client.ok(b"SEARCH CHARSET UTF-8 " + key).numbers() == found, key
    assert client.ok(b"SEARCH CHARSET EUC-KR TEXT " + literal("회의", "euc-kr")).numbers() == [4]


def test_sort(connect):
    client = connect()
    fill(
        client,
        message("Re: beta", "zoe@x.example", "d@x", date="Wed, 9 Feb 1994 10:00:00 +0000"),
        message("alpha", '"Bob" <yan@x.example>', "c@x", date="Tue, 8 Feb 1994 10:00:00 +0000", body="longer text"),
        message("[list] Beta", "xu@x.example", '"Adam" <z@x>', date="Tue, 8 Feb 1994 09:00:00 +0000", body="x" * 99),
        message("", "anna@x.example", "b@x", date="nonsense"),
    )
    client.ok("SELECT INBOX")

    def order(criteria: str, keys: str = "ALL") -> bytes:
        return client.ok(f"SORT ({criteria}) UTF-8 {keys}").untagged[0]

    assert order("SUBJECT") == b"* SORT 4 2 1 3"
    assert order("REVERSE SUBJECT") == b"* SORT 1 3 2 4"
    assert order("SUBJECT REVERSE DATE") == b"* SORT 4 2 1 3"
    assert order("SUBJECT DATE") == b"* SORT 4 2 3 1"
    assert order("DATE") == b"* SORT 3 2 1 4"
    assert order("FROM") == b"* SORT 4 3 2 1"
    assert order("DISPLAYFROM") == b"* SORT 4 2 3 1"
    assert order("TO") == b"* SORT 4 2 1 3"
    assert order("DISPLAYTO") == b"* SORT 3 4 2 1"
    assert order("ARRIVAL") == b"* SORT 1 2 3 4"
    assert order("REVERSE SIZE", "SUBJECT a") == b"* SORT 3 2 1"
    assert order("CC") == b"* SORT 1 2 3 4"
    assert order("SUBJECT", "SENTBEFORE 9-Feb-1994") == b"* SORT 2 3"
    assert order("SUBJECT", "SUBJECT nobody") == b"* SORT"
    assert client.ok("UID SORT RETURN (MIN MAX COUNT ALL) (REVERSE DATE) UTF-8 1:3").untagged == (
        b'* ESEARCH (TAG "t%d") UID MIN 1 MAX 3 COUNT 3 ALL 1:3' % client._tags,
    )
    assert client.ok("SORT RETURN (PARTIAL 1:2) (DATE) UTF-8 ALL").untagged[0].endswith(b"PARTIAL (1:2 3,2)")
    assert client.command("SORT (SUBJECT) x-klingon ALL").tagged.startswith(b"NO [BADCHARSET")


def test_threads(connect):
    client = connect()
    fill(
        client,
        message("hello", ids="Message-ID: <a@x>\r\n", date="Mon, 7 Feb 1994 10:00:00 +0000"),
        message("other", ids="Message-ID: <o@x>\r\n", date="Tue, 8 Feb 1994 10:00:00 +0000"),
        message(
            "Re: hello", ids='Message-ID: <b@x>\r\nIn-Reply-To: <"a"@x>\r\n', date="Wed, 9 Feb 1994 10:00:00 +0000"
        ),
        message("Re: other", ids="Message-ID: <p@x>\r\n", date="Thu, 10 Feb 1994 10:00:00 +0000"),
        message(
            "new name", ids="Message-ID: <c@x>\r\nReferences: <a@x> <b@x>\r\n", date="Fri, 11 Feb 1994 10:00:00 +0000"
        ),
    )
    client.ok("SELECT INBOX")
    assert client.ok("THREAD REFERENCES UTF-8 ALL").untagged == (b"* THREAD (1 3 5)(2 4)",)
    assert client.ok("THREAD REFS UTF-8 ALL").untagged == (b"* THREAD (2)(4)(1 3 5)",)
    assert client.ok("UID THREAD ORDEREDSUBJECT UTF-8 ALL").untagged == (b"* THREAD (1 3)(2 4)(5)",)
    assert client.ok("THREAD REFERENCES UTF-8 SUBJECT hello").untagged == (b"* THREAD (1 3)",)
    assert client.ok("THREAD REFERENCES US-ASCII SUBJECT gewp").untagged == (b"* THREAD",)


def test_other_keys(connect):
    client = connect()
    fill(client, message("IMAP is broken"), message("a break of IMAP"), message("IMAP break"), message("other"))
    client.ok("SELECT INBOX")
    assert client.ok('SEARCH FUZZY SUBJECT "imap break"').numbers() == [2, 3]
    line = client.ok('SEARCH RETURN (RELEVANCY ALL) FUZZY SUBJECT "imap break"').untagged[0]
    assert line.endswith(b"ALL 2:3 RELEVANCY (34 100)"), line
    assert client.ok('SORT (RELEVANCY) UTF-8 FUZZY SUBJECT "imap break"').untagged == (b"* SORT 3 2",)
    assert client.ok("SEARCH YOUNGER 3000000000").numbers() == [1, 2, 3, 4]
    assert client.ok("SEARCH OLDER 3000000000").numbers() == []
    assert client.ok("SEARCH SAVEDSINCE 1-Jan-2020 SAVEDATESUPPORTED").numbers() == [1, 2, 3, 4]
    assert client.ok("SEARCH SAVEDBEFORE 1-Jan-2020").numbers() == []
    assert client.ok("SEARCH OR SAVEDBEFORE 1-Jan-2020 SUBJECT broken").numbers() == [1]
    assert client.ok("SEARCH SENTON 7-Feb-1994").numbers() == [1, 2, 3, 4]
    assert client.ok("SEARCH NOT SENTON 7-Feb-1994").numbers() == []
    assert client.ok("SEARCH SENTSINCE 7-Feb-1994 SENTBEFORE 8-Feb-1994").numbers() == [1, 2, 3, 4]
    assert client.ok("SEARCH SENTSINCE 6-Feb-1994 SENTBEFORE 7-Feb-1994").numbers() == []
    assert client.ok("SEARCH SENTSINCE 8-Feb-1994").numbers() == []
    assert client.ok("SEARCH EMAILID E0").numbers() == []
    name = client.ok("FETCH 2 (EMAILID)").untagged[0].split(b"(")[2].split(b")")[0]
    assert client.ok(b"SEARCH EMAILID " + name).numbers() == [2]
    assert client.ok(b"SEARCH NOT EMAILID " + name).numbers() == [1, 3, 4]
    assert client.ok("SEARCH NOT THREADID x").numbers() == [1, 2, 3, 4]


def test_contexts(connect):
    client, other = connect(), connect()
    fill(client, message("one"), message("two"), message("three"))
    client.ok("SELECT INBOX")
    other.ok("SELECT INBOX")
    client.send(b"B01 UID SEARCH RETURN (UPDATE COUNT) FLAGGED\r\n")
    assert client.read_response() == b'* ESEARCH (TAG "B01") UID COUNT 0'
    assert client.read_response() == b"B01 OK UID SEARCH completed"
    client.send(b"S01 SORT RETURN (UPDATE COUNT) (REVERSE SUBJECT) UTF-8 SUBJECT t\r\n")
    assert client.read_response() == b'* ESEARCH (TAG "S01") COUNT 2'
    client.read_response()
    client.send(b"B01 UID SEARCH RETURN (UPDATE) ALL\r\n")
    assert client.read_response() == b"B01 BAD Tag reuse"
    tag = client.idle()
    other.ok("UID STORE 2 +FLAGS (\\Flagged)")
    assert client.read_response().startswith(b"* 2 FETCH (UID 2 FLAGS (\\Flagged")
    assert client.read_response() == b'* ESEARCH (TAG "B01") UID ADDTO (0 2)'
    fill(other, message("thunder"))
    while b"ADDTO" not in (line := client.read_response()):
        pass
    assert line == b'* ESEARCH (TAG "S01") ADDTO (2 4)'  # two, thunder, three
    client.done(tag)
    other.ok("UID STORE 2 +FLAGS (\\Deleted)")
    other.ok("EXPUNGE")
    lines = client.ok("NOOP").untagged
    assert lines.index(b'* ESEARCH (TAG "B01") UID REMOVEFROM (0 2)') < lines.index(b"* 2 EXPUNGE")
    assert lines.index(b'* ESEARCH (TAG "S01") REMOVEFROM (1 2)') < lines.index(b"* 2 EXPUNGE")
    client.ok('CANCELUPDATE "B01" "S01"')
    assert client.command('CANCELUPDATE "B01"').tagged.startswith(b"BAD")
    for number in range(10):
        client.send(b"c%d SEARCH RETURN (UPDATE) ALL\r\n" % number)
        while not (line := client.read_response()).startswith(b"c%d " % number):
            assert b"NOUPDATE" not in line
    client.send(b"c11 SEARCH RETURN (UPDATE COUNT) ALL\r\n")
    assert client.read_response() == b'* ESEARCH (TAG "c11") COUNT 3'
    assert client.read_response().startswith(b'* NO [NOUPDATE "c11"]')
    assert client.read_response().startswith(b"c11 OK")


def test_multisearch(stack: Stack, account: str, connect):
    client = connect()
    for name in ("folder1", "folder2", "folder2/banana", "folder2/banana/ripe", "folder2/peach"):
        client.ok(f'CREATE "{name}"')
    fill(client, message("chad"), message("x"), mailbox=b"folder1")
    fill(client, message("chad"), mailbox=b"folder2/banana/ripe")
    fill(client, message("y"), mailbox=b"folder2/peach")

    def found(line: str) -> list[bytes]:
        lines = client.ok(line).untagged
        assert all(each.startswith(b'* ESEARCH (TAG "t%d" MAILBOX ' % client._tags) for each in lines)
        return [each.split(b"MAILBOX ")[1].split()[0] + b" " + each.split(b" UID ")[1] for each in lines]

    assert found('ESEARCH IN (mailboxes "folder1" subtree "folder2") unseen') == [
        b"folder1 ALL 1:2",
        b"folder2/banana/ripe ALL 1",
        b"folder2/peach ALL 1",
    ]
    assert found('ESEARCH IN (mailboxes "folder1" subtree-one "folder2") subject "chad"') == [b"folder1 ALL 1"]
    assert found("ESEARCH IN (personal) RETURN (COUNT) subject chad") == [
        b"folder1 COUNT 1",
        b"folder2/banana/ripe COUNT 1",
    ]
    assert found("ESEARCH IN (mailboxes (none folder1 folder1)) 2:9") == [b"folder1 ALL 2"]
    client.ok("SUBSCRIBE folder2/peach")
    assert b"folder2/peach ALL 1" in found("ESEARCH IN (subscribed) ALL")
    assert client.command("ESEARCH ALL").tagged.startswith(b"BAD")
    assert client.command("ESEARCH IN (selected personal) ALL").tagged.startswith(b"BAD")
    client.ok("SELECT folder1")
    assert found("ESEARCH ALL") == [b"folder1 ALL 1:2"]
    assert found("ESEARCH IN (selected personal) RETURN (MAX) ALL") == [
        b"folder1 MAX 2",
        b"folder2/banana/ripe MAX 1",
        b"folder2/peach MAX 1",
    ]
    assert found("UID ESEARCH FROM nobody 1:100") == []
    client.ok("ESEARCH RETURN (SAVE) 2")
    assert client.ok("SEARCH $").numbers() == [2]
    stranger = ImapClient(stack.port("imap"))
    try:
        assert stranger.command("ESEARCH IN (personal) ALL").tagged.startswith(b"BAD")
    finally:
        stranger.close()
