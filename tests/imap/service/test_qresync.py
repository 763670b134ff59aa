"""Coming back after a while (RFC 7162 §3.2.5): the difference is what is told, also where the store has forgotten."""

import re
import sqlite3

from shared.testing.imap_client import ImapClient
from shared.testing.stack import PASSWORD

MESSAGE = b"Subject: %d\r\n\r\nx\r\n"


def number(answer, code):
    return int(re.search(rb"\[%b (\d+)\]" % code, b"\n".join(answer.untagged))[1])


def fill(client, count):
    """``count`` messages, by copies of one."""
    assert client.append(b"INBOX", MESSAGE).ok
    client.ok("SELECT INBOX")
    present = 1
    while present < count:
        client.ok(f"UID COPY 1:{min(present, count - present)} INBOX")
        present += min(present, count - present)


def forget(stack, address):
    """The store loses what it knew of expunged messages, as it does beyond store.tombstones_per_mailbox."""
    with sqlite3.connect(stack.data_dir / "store" / "pillarbox.db", timeout=20) as database:
        database.execute("UPDATE mailbox SET tombstone_floor = highest_modseq")
        database.execute("DELETE FROM tombstone")
    database.close()


def test_a_reconnect_costs_the_difference(stack, account, connect):
    worker = connect()
    fill(worker, 3000)
    with ImapClient(stack.port("imap")).login(account, PASSWORD) as client:
        client.ok("ENABLE QRESYNC")
        known = client.ok("SELECT INBOX")
    worker.ok("UID STORE 100:199,2500 +FLAGS.SILENT (\\Deleted)")
    worker.ok("UID EXPUNGE 100:199,2500")
    worker.ok("UID STORE 7,2000 +FLAGS.SILENT (\\Flagged)")
    worker.append(b"INBOX", MESSAGE)
    with ImapClient(stack.port("imap")).login(account, PASSWORD) as client:
        client.ok("ENABLE QRESYNC")
        uidvalidity, modseq = number(known, b"UIDVALIDITY"), number(known, b"HIGHESTMODSEQ")
        answer = client.ok(f"SELECT INBOX (QRESYNC ({uidvalidity} {modseq}))")
        assert answer.of(b"VANISHED") == [b"* VANISHED (EARLIER) 100:199,2500"]
        assert [line.split(b" FLAGS")[0] for line in answer.of(b"FETCH")] == [
            b"* 7 FETCH (UID 7",
            b"* 1900 FETCH (UID 2000",
            b"* 2900 FETCH (UID 3001",
        ]
        assert len(b"".join(answer.untagged)) < 1000
        # nothing more since then
        modseq = number(answer, b"HIGHESTMODSEQ")
        answer = client.ok(f"SELECT INBOX (QRESYNC ({uidvalidity} {modseq}))")
        assert answer.of(b"VANISHED") == answer.of(b"FETCH") == []


def test_a_reconnect_after_very_many_changes(stack, account, connect):
    """Sets of changed UIDs are merged after some hundred commands: nothing gets lost, nothing is told that has not changed."""
    worker = connect()
    fill(worker, 1000)
    with ImapClient(stack.port("imap")).login(account, PASSWORD) as client:
        client.ok("ENABLE QRESYNC")
        known = client.ok("SELECT INBOX")
    worker.ok("UID STORE 10,500 +FLAGS.SILENT (\\Flagged)")
    worker.ok("UID STORE 600:649 +FLAGS.SILENT (\\Deleted)")
    worker.ok("UID EXPUNGE 600:649")
    for number_of in range(900):
        uid = 100 + number_of % 3 * 100
        worker.ok(f"UID STORE {uid} {'-+'[number_of // 3 % 2]}FLAGS.SILENT (\\Seen $x)")
    with ImapClient(stack.port("imap")).login(account, PASSWORD) as client:
        client.ok("ENABLE QRESYNC")
        uidvalidity, modseq = number(known, b"UIDVALIDITY"), number(known, b"HIGHESTMODSEQ")
        answer = client.ok(f"SELECT INBOX (QRESYNC ({uidvalidity} {modseq}))")
        assert answer.of(b"VANISHED") == [b"* VANISHED (EARLIER) 600:649"]
        told = [line.split(b"UID ")[1].split()[0] for line in answer.of(b"FETCH")]
        assert told == [b"10", b"100", b"200", b"300", b"500"]
        answer = client.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {number(answer, b'HIGHESTMODSEQ') - 2})")
        assert [line.split(b"UID ")[1].split()[0] for line in answer.of(b"FETCH")] == [b"200", b"300"]


def test_what_the_store_has_forgotten(stack, account, connect):
    client, worker = connect(), connect()
    fill(worker, 200)
    client.ok("ENABLE QRESYNC")
    known = client.ok("SELECT INBOX")
    client.ok("UNSELECT")
    uidvalidity, modseq = number(known, b"UIDVALIDITY"), number(known, b"HIGHESTMODSEQ")
    worker.ok("UID STORE 1:10,50,60:199 +FLAGS.SILENT (\\Deleted)")
    worker.ok("EXPUNGE")
    worker.ok("UID STORE 55 +FLAGS.SILENT (\\Seen)")
    forget(stack, account)
    # RFC 7162 §3.2.6: as if all that is gone was asked for, of the UIDs that the client knows
    answer = client.ok(f"SELECT INBOX (QRESYNC ({uidvalidity} {modseq}))")
    assert answer.of(b"VANISHED") == [b"* VANISHED (EARLIER) 1:10,50,60:199"]
    assert len(answer.of(b"FETCH")) == 1
    answer = client.ok(f"SELECT INBOX (QRESYNC ({uidvalidity} {modseq} 5:55,100))")
    assert answer.of(b"VANISHED") == [b"* VANISHED (EARLIER) 5:10,50,100"]
    answer = client.ok(f"SELECT INBOX (QRESYNC ({uidvalidity} {modseq} 1:190 (1,40 11,51)))")
    assert answer.of(b"VANISHED") == [b"* VANISHED (EARLIER) 60:190"]
    answer = client.ok(f"UID FETCH 40:* (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")
    assert answer.of(b"VANISHED") == [b"* VANISHED (EARLIER) 50,60:199"]
    # what is known since then is told exactly
    modseq = number(client.ok("SELECT INBOX"), b"HIGHESTMODSEQ")
    worker.ok("UID STORE 51 +FLAGS.SILENT (\\Deleted)")
    worker.ok("EXPUNGE")
    answer = client.ok(f"SELECT INBOX (QRESYNC ({uidvalidity} {modseq}))")
    assert answer.of(b"VANISHED") == [b"* VANISHED (EARLIER) 51"]


def test_uidonly_refuses_message_numbers_of_qresync(stack, account, connect):
    client = connect()
    client.append(b"INBOX", MESSAGE)
    client.ok("ENABLE QRESYNC UIDONLY")
    client.ok("SELECT INBOX")
    # RFC 9586 §3: the mailbox stays selected
    assert client.command("SELECT INBOX (QRESYNC (1 1 1:9 (1 1)))").tagged.startswith(b"BAD [UIDREQUIRED]")
    assert client.ok("UID FETCH 1 (FLAGS UID)").untagged == (b"* 1 UIDFETCH (FLAGS (\\Recent) UID 1)",)
    assert client.ok("UID FETCH 1 (BODY.PEEK[TEXT])").untagged == (b"* 1 UIDFETCH (BODY[TEXT] {3}\r\nx\r\n)",)


def test_it_survives_a_restart_of_the_store(stack, account, connect):
    client, worker = connect(), connect()
    fill(worker, 20)
    client.ok("ENABLE QRESYNC")
    known = client.ok("SELECT INBOX")
    worker.ok("UID STORE 3:5 +FLAGS.SILENT (\\Deleted)")
    worker.ok("EXPUNGE")
    stack["store"].stop()
    stack["store"].start()
    uidvalidity, modseq = number(known, b"UIDVALIDITY"), number(known, b"HIGHESTMODSEQ")
    answer = client.ok(f"SELECT INBOX (QRESYNC ({uidvalidity} {modseq}))")
    assert answer.of(b"VANISHED") == [b"* VANISHED (EARLIER) 3:5"]


def test_an_annotation_moves_the_mailbox_on(connect):
    # RFC 7162 §3.2
    client = connect()
    client.ok("ENABLE QRESYNC")
    before = number(client.ok("SELECT INBOX"), b"HIGHESTMODSEQ")
    client.ok('SETMETADATA INBOX (/private/comment "x")')
    client.ok('SETMETADATA "" (/private/comment "of the server, of no mailbox")')
    assert number(client.ok("SELECT INBOX"), b"HIGHESTMODSEQ") == before + 1
