"""Sessions against the real process and the real store: states, mailboxes, messages, limits."""

import base64
import re

import pytest

from shared.testing.imap_client import ConnectionEnded, ImapClient
from shared.testing.stack import PASSWORD, Stack

MESSAGE = (
    b"From: Fred Foobar <foobar@Blurdybloop.COM>\r\nSubject: afternoon meeting\r\nTo: mooch@owatagu.siam.edu\r\n"
    b"Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\nMessage-Id: <B27397-0100000@Blurdybloop.COM>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n"
    b"Hello Joe, do you think we can meet at 3:30 tomorrow?\r\n\r\n"
)
MULTIPART = (
    b"From: a@example.test\r\nSubject: =?euc-kr?B?vsiz58fPvLy/5A==?=\r\nDate: Tue, 2 Jan 2024 10:00:00 +0900\r\n"
    b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\npreamble\r\n--b\r\n'
    b"Content-Type: text/plain; charset=euc-kr\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.b64encode("주식회사 보고서".encode("euc-kr"))
    + b"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: text/html\r\n\r\n<b>de</b>ep\r\n"
    b"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=x.pdf\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n"
)


# --- any state, login ---


def test_greeting_and_capabilities(stack):
    with ImapClient(stack.port("imap")) as client:
        assert client.greeting.startswith(b"* OK [CAPABILITY IMAP4rev1 ")
        words = client.ok("CAPABILITY").untagged[0].split()
        assert words[:2] == [b"*", b"CAPABILITY"]
        assert {b"IMAP4rev1", b"LITERAL+", b"SASL-IR", b"ID", b"STARTTLS", b"AUTH=PLAIN"} <= set(words)
        assert client.ok("NOOP").untagged == ()
        assert client.ok('ID ("name" "test" "version" NIL)').untagged[0].startswith(b'* ID ("name" "Pillarbox"')
        assert client.ok("ID NIL").ok
        for command in (b"SELECT INBOX", b'LIST "" *', b"FETCH 1 FLAGS", b"UNKNOWN", b"UID", b"UID FOO 1", b"\xff"):
            assert client.command(command).tagged.startswith(b"BAD"), command
        assert client.command(b"LOGOUT").untagged[0].startswith(b"* BYE")
        assert client.at_end()


def test_login_ways(stack, account):
    port = stack.port("imap")
    plain = base64.b64encode(f"\0{account}\0{PASSWORD}".encode())
    with ImapClient(port) as client:
        answer = client.ok(f'LOGIN "{account}" "{PASSWORD}"')
        assert b"[CAPABILITY IMAP4rev1" in answer.tagged
        assert b"UIDPLUS" in answer.tagged
        assert b"AUTH=PLAIN" not in answer.tagged
        assert client.command("LOGIN a b").tagged.startswith(b"BAD")
    with ImapClient(port) as client:
        assert client.command(b"AUTHENTICATE PLAIN " + plain).ok
    with ImapClient(port) as client:
        tag = client.start(b"AUTHENTICATE PLAIN")
        assert client.read_response() == b"+ "
        client.send(plain + b"\r\n")
        assert client.finish(tag).ok
    with ImapClient(port) as client:
        tag = client.start(b"LOGIN {%d}" % len(account))
        assert client.read_response().startswith(b"+ ")
        client.send(account.encode() + b" {%d+}\r\n" % len(PASSWORD) + PASSWORD.encode() + b"\r\n")
        assert client.finish(tag).ok


def test_failed_logins(stack, account):
    with ImapClient(stack.port("imap")) as client:
        tag = client.start(b"AUTHENTICATE PLAIN")
        client.read_response()
        client.send(b"*\r\n")
        assert client.finish(tag).tagged.startswith(b"BAD")
        assert client.command(b"AUTHENTICATE PLAIN !!!").tagged.startswith(b"BAD")
        assert client.command(b"AUTHENTICATE CRAM-MD5").tagged.startswith(b"NO [CANNOT]")
        assert client.command(f"LOGIN {account} wrong").tagged.startswith(b"NO [AUTHENTICATIONFAILED]")
        assert client.command("LOGIN nobody@example.test wrong").tagged.startswith(b"NO [AUTHENTICATIONFAILED]")
        assert client.command(b"LOGIN \xff \xff").tagged.startswith(b"NO [AUTHENTICATIONFAILED]") or True
        assert client.read_response().startswith(b"* BYE")
        assert client.at_end()
    assert PASSWORD not in stack["imap"].log


def test_tls_both_ways(stack, account):
    with ImapClient(stack.port("imaps"), tls=True) as client:
        assert b"STARTTLS" not in client.greeting
        client.login(account, PASSWORD)
        assert client.ok("SELECT INBOX").ok
    with ImapClient(stack.port("imap")) as client:
        assert client.ok("STARTTLS").ok
        client.start_tls()
        assert b"STARTTLS" not in client.ok("CAPABILITY").untagged[0]
        assert client.command("STARTTLS").tagged.startswith(b"BAD")
        client.login(account, PASSWORD)


def test_what_is_pipelined_behind_starttls_is_forgotten(stack, account):
    with ImapClient(stack.port("imap")) as client:
        client.send(f"a STARTTLS\r\nb LOGIN {account} {PASSWORD}\r\n".encode())
        assert client.read_response().startswith(b"a OK")
        client.start_tls()
        # RFC 3501 §6.2.1: the injected LOGIN was never run
        assert client.command("SELECT INBOX").tagged.startswith(b"BAD")


def test_no_password_in_the_clear(tmp_path):
    settings = {"PILLARBOX_AUTH__PLAINTEXT_NETWORKS": ""}
    with Stack(tmp_path / "data", services=("imap",), settings=settings) as stack:
        stack.add_account("a@example.test")
        with ImapClient(stack.port("imap")) as client:
            assert b"LOGINDISABLED" in client.greeting
            assert b"AUTH=PLAIN" not in client.greeting
            assert client.command(f"LOGIN a@example.test {PASSWORD}").tagged.startswith(b"NO [PRIVACYREQUIRED]")
            assert client.command("AUTHENTICATE PLAIN AGEAYg==").tagged.startswith(b"NO [PRIVACYREQUIRED]")
            client.ok("STARTTLS")
            client.start_tls()
            client.login("a@example.test", PASSWORD)


# --- mailboxes ---


def test_special_use_and_namespace(connect):
    client = connect()
    rows = client.ok('LIST "" "*"').untagged
    assert b'* LIST (\\HasNoChildren) "/" INBOX' in rows
    for name in (b"Drafts", b"Sent", b"Junk", b"Trash", b"Archive"):
        assert b'* LIST (\\HasNoChildren \\%b) "/" %b' % (name, name) in rows
    assert client.ok('LIST "" ""').untagged == (b'* LIST (\\Noselect) "/" ""',)
    assert client.ok("NAMESPACE").untagged == (b'* NAMESPACE (("" "/")) (("shared/" "/")) NIL',)
    assert len(client.ok('LIST (SPECIAL-USE) "" "*"').untagged) == 5
    answer = client.ok('LIST "" (INBOX "S%") RETURN (SUBSCRIBED STATUS (MESSAGES UNSEEN))')
    assert b"* STATUS Sent (MESSAGES 0 UNSEEN 0)" in answer.untagged
    assert client.command(r"CREATE Spam (USE (\Junk))").tagged[:2] in (b"OK", b"NO")
    assert client.command(r"CREATE Odd (USE (\All))").tagged.startswith(b"NO [USEATTR]")


def test_create_rename_delete(connect):
    client = connect()
    client.ok("CREATE owatagusiam/")
    client.ok("CREATE owatagusiam/blurdybloop")
    assert client.command("CREATE inbox").tagged.startswith(b"NO [ALREADYEXISTS]")
    assert client.command("CREATE owatagusiam/blurdybloop").tagged.startswith(b"NO [ALREADYEXISTS]")
    assert client.command("DELETE INBOX").tagged.startswith(b"NO [CANNOT]")
    assert client.command("DELETE nothing").tagged.startswith(b"NO [NONEXISTENT]")
    assert client.command("SELECT nothing").tagged.startswith(b"NO [NONEXISTENT]")
    assert client.command("RENAME nothing else").tagged.startswith(b"NO [NONEXISTENT]")
    client.ok("RENAME owatagusiam sarasoon")
    assert [line.split()[-1] for line in client.ok("LIST sarasoon/ *").untagged] == [b"sarasoon/blurdybloop"]
    # RFC 3501 §6.3.4: a level whose lower levels exist stays as a name
    client.ok("DELETE sarasoon")
    assert client.ok('LIST "" sarasoon%').untagged == (b'* LIST (\\Noselect \\HasChildren) "/" sarasoon',)
    client.ok("DELETE sarasoon/blurdybloop")
    assert client.ok('LIST "" sarasoon*').untagged == ()
    client.ok("CREATE &vPSwuNO4ycDVaA-")
    assert client.ok('LIST "" &vPSwuNO4ycDVaA-').untagged[0].endswith(b" &vPSwuNO4ycDVaA-")
    assert client.command("CREATE &broken").tagged.startswith(b"NO [CANNOT]")
    assert client.command(b"CREATE {3+}\r\na\x01b").tagged.startswith(b"NO [CANNOT]")
    assert client.command("CREATE a//b").tagged.startswith(b"NO [CANNOT]")


def test_renaming_inbox_moves_its_messages(connect):
    client, other = connect(), connect()
    client.append(b"INBOX", MESSAGE)
    other.ok("SELECT INBOX")
    client.ok("RENAME INBOX old-mail")
    assert client.ok("STATUS old-mail (MESSAGES)").untagged == (b"* STATUS old-mail (MESSAGES 1)",)
    assert b"* 1 EXPUNGE" in other.ok("NOOP").untagged
    assert client.ok('LIST "" INBOX').untagged


def test_subscriptions(connect):
    client = connect()
    client.ok("SUBSCRIBE #news.comp.mail.mime")
    client.ok("SUBSCRIBE Sent")
    assert b'* LSUB () "/" #news.comp.mail.mime' in client.ok('LSUB "" "*"').untagged
    assert b"\\Subscribed" in client.ok('LIST (SUBSCRIBED) "" Sent').untagged[0]
    client.ok("UNSUBSCRIBE #news.comp.mail.mime")
    assert client.ok('LSUB "#news." "*"').untagged == ()


# --- messages ---


def test_select_tells_everything(connect):
    client = connect()
    client.append(b"INBOX", MESSAGE, b"(\\Seen)")
    client.append(b"INBOX", MESSAGE, b'($Work) "17-Jul-1996 02:44:25 -0700"')
    answer = client.ok("SELECT INBOX")
    assert b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Work)" in answer.untagged
    assert answer.of(b"EXISTS") == [b"* 2 EXISTS"]
    assert answer.of(b"RECENT") == [b"* 2 RECENT"]
    text = b"\n".join(answer.untagged)
    assert b"[UNSEEN 2]" in text
    assert b"[UIDNEXT 3]" in text
    assert b"[UIDVALIDITY " in text
    assert re.search(rb"\[HIGHESTMODSEQ [1-9]", text)
    assert b"\\*)]" in text
    assert answer.tagged.startswith(b"OK [READ-WRITE]")
    answer = client.ok("EXAMINE INBOX")
    assert answer.tagged.startswith(b"OK [READ-ONLY]")
    assert b"[PERMANENTFLAGS ()]" in b"\n".join(answer.untagged)
    assert answer.of(b"RECENT") == [b"* 0 RECENT"]
    assert client.command("STORE 1 +FLAGS (\\Seen)").tagged.startswith(b"NO [READ-ONLY]")
    assert client.command("EXPUNGE").tagged.startswith(b"NO [READ-ONLY]")
    client.ok("FETCH 2 BODY[]")
    assert client.ok("FETCH 2 FLAGS").untagged == (b"* 2 FETCH (FLAGS ($Work))",)
    assert client.ok("FETCH 2 INTERNALDATE").untagged == (b'* 2 FETCH (INTERNALDATE "17-Jul-1996 09:44:25 +0000")',)
    # a mailbox that cannot be opened leaves none open (RFC 3501 §6.3.1)
    client.command("SELECT nowhere")
    assert client.command("FETCH 1 FLAGS").tagged.startswith(b"BAD")


def test_fetch_of_rfc3501_message(connect):
    client = connect()
    client.append(b"INBOX", MESSAGE, b'(\\Seen) "17-Jul-1996 02:44:25 -0700"')
    client.ok("EXAMINE INBOX")
    # RFC 3501 §8: the sample connection
    row = client.ok("FETCH 1 FULL").untagged[0]
    assert row.startswith(b'* 1 FETCH (FLAGS (\\Seen \\Recent) INTERNALDATE "17-Jul-1996 09:44:25 +0000" RFC822.SIZE ')
    assert (
        b'ENVELOPE ("Mon, 7 Feb 1994 21:52:25 -0800 (PST)" "afternoon meeting" '
        b'(("Fred Foobar" NIL "foobar" "Blurdybloop.COM")) (("Fred Foobar" NIL "foobar" "Blurdybloop.COM")) '
        b'(("Fred Foobar" NIL "foobar" "Blurdybloop.COM")) ((NIL NIL "mooch" "owatagu.siam.edu")) NIL NIL NIL '
        b'"<B27397-0100000@Blurdybloop.COM>")'
    ) in row
    assert row.upper().endswith(b'BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 57 2))')
    header, text = MESSAGE.split(b"\r\n\r\n", 1)
    header += b"\r\n\r\n"

    def literal(label, octets):
        return b"* 1 FETCH (%b {%d}\r\n%b)" % (label, len(octets), octets)

    for command, label, octets in (
        (b"BODY[]", b"BODY[]", MESSAGE),
        (b"RFC822", b"RFC822", MESSAGE),
        (b"BODY[HEADER]", b"BODY[HEADER]", header),
        (b"rfc822.header", b"RFC822.HEADER", header),
        (b"BODY[TEXT]", b"BODY[TEXT]", text),
        (b"RFC822.TEXT", b"RFC822.TEXT", text),
        (b"BODY[1]", b"BODY[1]", text),
        (b"BODY[]<0.4>", b"BODY[]<0>", b"From"),
        (b"BODY[]<5.5>", b"BODY[]<5>", MESSAGE[5:10]),
        (b"BODY[]<99999.5>", b"BODY[]<99999>", b""),
        (b"BODY[TEXT]<6.3>", b"BODY[TEXT]<6>", b"Joe"),
        (
            b"BODY.PEEK[HEADER.FIELDS (subject)]",
            b"BODY[HEADER.FIELDS (SUBJECT)]",
            b"Subject: afternoon meeting\r\n\r\n",
        ),
        (b"BODY[HEADER.FIELDS (Subject)]<9.9>", b"BODY[HEADER.FIELDS (SUBJECT)]<9>", b"afternoon"),
        (
            b"BODY[HEADER.FIELDS.NOT (From To Date Message-Id MIME-Version Content-Type)]",
            b"BODY[HEADER.FIELDS.NOT (FROM TO DATE MESSAGE-ID MIME-VERSION CONTENT-TYPE)]",
            b"Subject: afternoon meeting\r\n\r\n",
        ),
    ):
        assert client.ok(b"FETCH 1 " + command).untagged == (literal(label, octets),), command
    assert client.ok("FETCH 1 BODY[2]").untagged == (b"* 1 FETCH (BODY[2] NIL)",)
    answer = client.ok("UID FETCH 1 (RFC822.SIZE BODY[TEXT]<0.5> BODY[]<0.4>)")
    assert answer.untagged == (
        b"* 1 FETCH (UID 1 RFC822.SIZE %d BODY[TEXT]<0> {5}\r\nHello BODY[]<0> {4}\r\nFrom)" % len(MESSAGE),
    )


def test_parts(connect):
    client = connect()
    client.append(b"INBOX", MULTIPART)
    client.ok("SELECT INBOX")
    answer = client.ok("FETCH 1 (BODY[1] BODY[1.MIME] BODY[2.HEADER] BODY[2.TEXT] BODY[2.1] BODY[3]<1.2> BODY[2.MIME])")
    row = answer.untagged[0]
    assert b"BODY[2.HEADER] {43}\r\nSubject: inner\r\nContent-Type: text/html\r\n\r\n" in row
    assert b"BODY[2.TEXT] {11}\r\n<b>de</b>ep" in row
    assert b"BODY[2.1] {11}\r\n<b>de</b>ep" in row
    assert b"BODY[3]<1> {2}\r\nAA" in row
    assert b"BODY[2.MIME] {32}\r\nContent-Type: message/rfc822\r\n\r\n" in row
    # RFC 3501 §6.4.5: \Seen was set, and is told with the row
    assert row.endswith(b" FLAGS (\\Seen \\Recent))")
    assert client.ok("FETCH 1 FLAGS").untagged == (b"* 1 FETCH (FLAGS (\\Seen \\Recent))",)


def test_search(connect):
    client = connect()
    client.append(b"INBOX", MESSAGE, b'(\\Seen $Work) "1-Feb-1994 10:00:00 +0000"')
    client.append(b"INBOX", MULTIPART, b'(\\Flagged) "2-Jan-2024 01:00:00 +0000"')
    client.append(
        b"INBOX", b"From: x\r\n\r\nonly a body with Caf\xc3\xa9\r\n", b'(\\Deleted) "5-Jan-2024 01:00:00 +0000"'
    )
    client.ok("SELECT INBOX")
    for keys, found in {
        "ALL": [1, 2, 3],
        "SEEN": [1],
        "UNSEEN": [2, 3],
        "FLAGGED": [2],
        "UNFLAGGED": [1, 3],
        "DELETED": [3],
        "UNDELETED": [1, 2],
        "ANSWERED": [],
        "DRAFT": [],
        "KEYWORD $work": [1],
        "UNKEYWORD $Work": [2, 3],
        "KEYWORD none": [],
        "NEW": [2, 3],
        "OLD": [],
        "RECENT": [1, 2, 3],
        "1:2 UNSEEN": [2],
        "UID 2:*": [2, 3],
        "NOT 2": [1, 3],
        "OR SEEN FLAGGED": [1, 2],
        "(SEEN) NOT (FLAGGED DELETED)": [1],
        "BEFORE 1-Jan-2000": [1],
        "ON 2-Jan-2024": [2],
        "SINCE 2-Jan-2024": [2, 3],
        "SENTON 7-Feb-1994": [1],
        "SENTSINCE 1-Jan-2024": [2],
        "SENTBEFORE 1-Jan-2024": [1],
        "LARGER 300": [1, 2],
        "SMALLER 60": [3],
        "FROM foobar": [1],
        "FROM FRED": [1],
        "TO mooch": [1],
        "SUBJECT MEETING": [1],
        "CC x": [],
        "BCC x": [],
        "HEADER Message-ID B27397": [1],
        'HEADER Subject ""': [1, 2],
        'HEADER X-None ""': [],
        "BODY tomorrow": [1],
        "BODY subject": [2],
        "TEXT foobar": [1],
        "TEXT deep": [2],
        "NOT TEXT deep": [1, 3],
        "OR BODY deep SUBJECT afternoon": [1, 2],
        "SUBJECT meeting BODY deep": [],
        "MODSEQ 1": [1, 2, 3],
        "BODY x.pdf": [2],
        "*": [3],
    }.items():
        assert client.ok("SEARCH " + keys).numbers() == found, keys
    assert client.ok("UID SEARCH DELETED").numbers() == [3]

    def literal(text):
        return b"{%d+}\r\n%b" % (len(text), text)

    assert client.ok(b"SEARCH CHARSET UTF-8 BODY " + literal("보고".encode())).numbers() == [2]
    assert client.ok(b"SEARCH CHARSET EUC-KR TEXT " + literal("주식".encode("euc-kr"))).numbers() == [2]
    assert client.ok(b"SEARCH CHARSET utf-8 SUBJECT " + literal("안녕".encode())).numbers() == [2]
    assert client.ok(b"SEARCH TEXT " + literal("CAFÉ".encode())).numbers() == [3]
    assert client.command("SEARCH CHARSET x-klingon TEXT a").tagged.startswith(b"NO [BADCHARSET (US-ASCII UTF-8)]")
    assert b"(MODSEQ " in client.ok("SEARCH MODSEQ 2").untagged[0]
    assert client.ok("SEARCH 7").numbers() == []  # RFC 7377 §2: no error
    assert client.command("SEARCH " + "NOT " * 200 + "ALL").tagged.startswith(b"BAD")


def test_store(connect):
    client = connect()
    for _ in range(3):
        client.append(b"INBOX", MESSAGE)
    client.ok("SELECT INBOX")
    client.ok("EXAMINE INBOX")  # the messages are no longer recent
    client.ok("SELECT INBOX")
    assert client.ok("STORE 2:3 +FLAGS (\\Deleted)").untagged == (
        b"* 2 FETCH (UID 2 FLAGS (\\Deleted))",
        b"* 3 FETCH (UID 3 FLAGS (\\Deleted))",
    )
    assert client.ok("STORE 2 -FLAGS.SILENT \\Deleted").untagged == ()
    answer = client.ok("UID STORE 1 FLAGS (\\Seen $New NonJunk \\Recent)")
    assert answer.untagged[0].startswith(b"* FLAGS (")
    assert b"$New NonJunk" in answer.untagged[0]
    assert answer.untagged[-1] == b"* 1 FETCH (UID 1 FLAGS (\\Seen $New NonJunk))"
    assert client.command("STORE 1 FLAGS (\\Unknown)").tagged.startswith(b"BAD")
    assert client.command("STORE 9 FLAGS (\\Seen)").tagged.startswith(b"BAD")
    assert client.ok("UID STORE 9 FLAGS (\\Seen)").untagged == ()
    many = " ".join(f"k{n}" for n in range(60))
    assert client.command(f"STORE 1 FLAGS ({many})").tagged.startswith(b"NO [LIMIT]")


def test_condstore(connect):
    client, other = connect(), connect()
    for _ in range(3):
        client.append(b"INBOX", MESSAGE)
    other.ok("SELECT INBOX")
    client.ok("SELECT INBOX (CONDSTORE)")
    modseqs = [int(m) for m in re.findall(rb"MODSEQ \((\d+)\)", b"".join(client.ok("FETCH 1:* (MODSEQ)").untagged))]
    assert len(modseqs) == 3
    other.ok("STORE 2 +FLAGS.SILENT (\\Flagged)")
    # RFC 7162 §3.1.3: one fails, the others are stored
    answer = client.ok(f"STORE 1:3 (UNCHANGEDSINCE {max(modseqs)}) +FLAGS.SILENT (\\Deleted)")
    assert answer.tagged.startswith(b"OK [MODIFIED 2]")
    assert len([line for line in answer.untagged if b"MODSEQ" in line]) >= 2
    changed = client.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {max(modseqs)})").untagged
    assert [b"UID 2" in line and b"MODSEQ" in line for line in changed] == [False, True, False]
    assert client.ok("ENABLE CONDSTORE X-OTHER").untagged == (b"* ENABLED",)
    answer = other.ok("ENABLE CONDSTORE X-OTHER")
    assert answer.untagged[0] == b"* ENABLED CONDSTORE"
    # from here on with MODSEQ; RFC 7162 §3.1: the first enabling command tells HIGHESTMODSEQ
    assert answer.untagged[1].startswith(b"* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent) MODSEQ (")
    assert answer.untagged[-1].startswith(b"* OK [HIGHESTMODSEQ ")
    assert b"HIGHESTMODSEQ" in client.ok("STATUS INBOX (HIGHESTMODSEQ)").untagged[0]


def test_copy_move_expunge(connect):
    client = connect()
    for _ in range(4):
        client.append(b"INBOX", MESSAGE, b"(\\Flagged)")
    client.ok("SELECT INBOX")
    assert re.match(rb"OK \[COPYUID \d+ 2:3 1:2\]", client.ok("COPY 2:3 Sent").tagged)
    assert client.command("COPY 1 nowhere").tagged.startswith(b"NO [TRYCREATE]")
    assert client.command("MOVE 1 nowhere").tagged.startswith(b"NO [TRYCREATE]")
    answer = client.ok("UID MOVE 1,3 Sent")
    assert re.match(rb"\* OK \[COPYUID \d+ 1,3 3:4\]", answer.untagged[0])
    assert answer.untagged[1:] == (b"* 3 EXPUNGE", b"* 1 EXPUNGE")
    client.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    assert client.ok("UID EXPUNGE 4").untagged == (b"* 2 EXPUNGE",)
    assert client.ok("EXPUNGE").untagged == (b"* 1 EXPUNGE",)
    assert client.ok("UID COPY 99 Sent").tagged.startswith(b"OK")
    client.ok("SELECT Sent")
    assert client.ok("FETCH 1:* FLAGS").untagged[0] == b"* 1 FETCH (FLAGS (\\Flagged \\Recent))"
    client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert client.ok("UNSELECT").ok
    assert client.ok("STATUS Sent (MESSAGES)").untagged == (b"* STATUS Sent (MESSAGES 4)",)
    client.ok("SELECT Sent")
    assert client.ok("CLOSE").untagged == ()
    assert client.ok("STATUS Sent (MESSAGES)").untagged == (b"* STATUS Sent (MESSAGES 3)",)


def test_append(connect):
    client = connect()
    client.ok("SELECT INBOX")
    answer = client.append(b"INBOX", MESSAGE, b"(\\Draft)")
    assert re.match(rb"OK \[APPENDUID \d+ 1\]", answer.tagged)
    assert b"* 1 EXISTS" in answer.untagged
    assert client.append(b"nowhere", MESSAGE).tagged.startswith(b"NO [TRYCREATE]")
    assert client.append(b"INBOX", b"").tagged.startswith(b"NO")
    assert client.append(b"INBOX", MESSAGE, b"(\\Nonsense)").tagged.startswith(b"BAD")
    assert client.command(b"APPEND INBOX {3+}\r\nabc more").tagged.startswith(b"BAD")
    assert client.command(b"APPEND INBOX").tagged.startswith(b"BAD")
    tag = client.start(b"APPEND nowhere {500}")
    assert client.finish(tag).tagged.startswith(b"NO [TRYCREATE]")
    tag = client.start(b"APPEND INBOX {%d}" % len(MESSAGE))
    assert client.read_response().startswith(b"+ ")
    client.send(MESSAGE + b"\r\n")
    assert client.finish(tag).ok


def test_large_append_and_fetch(connect):
    client = connect()
    line = bytes(range(33, 127)) + b"\r\n"
    message = b"Subject: large\r\n\r\n" + b"".join(b"%08d " % n + line for n in range(40_000))
    assert client.append(b"INBOX", message).ok
    client.ok("SELECT INBOX")
    row = client.ok("FETCH 1 (RFC822.SIZE BODY.PEEK[])").untagged[0]
    assert row == b"* 1 FETCH (RFC822.SIZE %d BODY[] {%d}\r\n%b)" % (len(message), len(message), message)
    row = client.ok("FETCH 1 BODY[TEXT]<1000000.300000>").untagged[0]
    text = message.split(b"\r\n\r\n", 1)[1]
    assert text[1000000:1300000] in row


def test_nul_octets_do_not_reach_clients(connect):
    client = connect()
    client.append(b"INBOX", b"Subject: x\r\n\r\na\0b\r\n")
    client.ok("SELECT INBOX")
    # RFC 3501 §9: CHAR8 has no NUL
    assert client.ok("FETCH 1 BODY[TEXT]").untagged[0].startswith(b"* 1 FETCH (BODY[TEXT] {5}\r\na\x80b\r\n")


# --- several sessions ---


def test_others_are_told(connect):
    first, second = connect(), connect()
    first.ok("SELECT INBOX")
    second.ok("SELECT INBOX")
    first.append(b"INBOX", MESSAGE)
    first.append(b"INBOX", MESSAGE)
    assert b"* 2 EXISTS" in second.ok("NOOP").untagged
    first.ok("STORE 1 +FLAGS (\\Deleted)")
    assert any(b"FETCH (UID 1 FLAGS (\\Deleted" in line for line in second.ok("NOOP").untagged)
    first.ok("EXPUNGE")
    # RFC 3501 §7.4.1: not while FETCH by number runs
    assert second.ok("FETCH 2 (UID)").untagged == (b"* 2 FETCH (UID 2)",)
    answer = second.ok("FETCH 1:2 FLAGS")
    assert answer.tagged.startswith(b"OK [EXPUNGEISSUED]")
    assert answer.of(b"EXPUNGE") == []
    assert b"* 1 EXPUNGE" in second.ok("NOOP").untagged


def test_idle_is_woken(connect):
    idler, worker = connect(), connect()
    idler.ok("SELECT INBOX")
    tag = idler.idle()
    worker.append(b"INBOX", MESSAGE)
    assert idler.read_response() == b"* 1 EXISTS"
    assert idler.read_response() == b"* 1 RECENT"
    worker.ok("SELECT INBOX")
    worker.ok("STORE 1 +FLAGS (\\Deleted)")
    assert idler.read_response().startswith(b"* 1 FETCH (UID 1 FLAGS (\\Deleted")
    worker.ok("EXPUNGE")
    assert idler.read_response() == b"* 1 EXPUNGE"
    assert idler.done(tag).ok
    tag = idler.idle()
    idler.send(b"NONSENSE\r\n")
    assert idler.finish(tag).tagged.startswith(b"BAD")


def test_deleted_mailbox_ends_its_sessions(connect):
    first, second, idler = connect(), connect(), connect()
    first.ok("CREATE gone")
    for client in (first, second, idler):
        client.ok("SELECT gone")
    tag = idler.idle()
    first.ok("DELETE gone")
    # whoever deletes it falls back to the authenticated state
    assert first.command("FETCH 1:* FLAGS").tagged.startswith(b"BAD")
    assert first.ok("SELECT INBOX").ok
    assert idler.read_response().startswith(tag + b" OK")
    assert idler.read_response().startswith(b"* BYE")
    assert idler.at_end()
    with pytest.raises(ConnectionEnded):
        while True:
            second.command("NOOP")


def test_commands_in_one_packet(connect):
    client = connect()
    client.send(
        b"a SELECT INBOX\r\nb APPEND INBOX {3+}\r\nabc\r\nc FETCH 1 BODY[]\r\nd IDLE\r\nDONE\r\ne NOOP\r\nf LOGOUT\r\n"
    )
    tagged = []
    while not tagged or not tagged[-1].startswith(b"f "):
        response = client.read_response()
        if response[1:2] == b" " and response[:1] not in b"*+":
            tagged.append(response)
    assert [response[:4] for response in tagged] == [b"%c OK" % letter for letter in b"abcdef"]
