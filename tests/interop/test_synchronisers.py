"""Programs that keep a copy of the mailboxes: nothing is lost, nothing comes twice, changes of both sides meet."""

import mailbox

from shared.testing.clients import maildir, mbsync, offlineimap
from shared.testing.mail_samples import korean_message, plain_message

MANY = 5000


def small(number: int) -> bytes:
    return plain_message(f"{number}.m@x.test")


def fill(client, count):
    """MULTIAPPEND (RFC 3502), a hundred messages at a time."""
    for start in range(0, count, 100):
        messages = [small(number) for number in range(start, min(start + 100, count))]
        tag = client.start(b"APPEND INBOX" + b"".join(b" {%d+}\r\n%b" % (len(each), each) for each in messages))
        assert client.finish(tag).ok


def by_subject(box):
    return {message["Subject"]: key for key, message in box.iteritems()}


def set_flags(box, key, flags):
    message = box[key]
    message.set_flags(flags)
    message.set_subdir("cur")
    box[key] = message


def test_mbsync_with_5000_messages_and_conflicts(stack, login, client):
    fill(client, MANY)
    port = stack.port("imaps")
    inbox = mbsync(port, login) / "INBOX"
    assert sorted(maildir(inbox)) == sorted(small(number) for number in range(MANY))
    # both sides change: the same messages, different ones, and what the other side deletes
    near = mailbox.Maildir(inbox)
    keys = by_subject(near)
    for number in range(400):
        set_flags(near, keys[f"{number}.m@x.test"], "S")
    for number in range(1000, 1300):
        near.remove(keys[f"{number}.m@x.test"])
    client.ok("SELECT INBOX")
    client.ok("UID STORE 201:600 +FLAGS.SILENT (\\Flagged)")
    client.ok("UID STORE 1200:1500 +FLAGS.SILENT (\\Answered)")
    client.ok("UID STORE 3001:3200 +FLAGS.SILENT (\\Deleted)")
    client.ok("UID EXPUNGE 3001:3200")
    assert client.append(b"INBOX", korean_message("new@x.test")).ok
    mbsync(port, login)
    client.ok("NOOP")
    assert client.ok("UID SEARCH SEEN").numbers() == list(range(1, 401))
    assert client.ok("UID SEARCH FLAGGED").numbers() == list(range(201, 601))
    there = client.ok("UID SEARCH ALL").numbers()
    assert there == [uid for uid in range(1, MANY + 2) if not 1001 <= uid <= 1300 and not 3001 <= uid <= 3200]
    mine = mailbox.Maildir(inbox)
    flags = {message["Subject"]: set(message.get_flags()) for message in mine.itervalues()}
    assert len(flags) == len(there)
    assert flags["300.m@x.test"] == {"S", "F"}
    assert flags["500.m@x.test"] == {"F"}
    assert flags["1400.m@x.test"] == {"R"}
    before = client.ok("UID FETCH 1:* (FLAGS)").untagged
    mbsync(port, login)
    client.ok("NOOP")
    assert client.ok("UID FETCH 1:* (FLAGS)").untagged == before


def test_offlineimap_both_ways(stack, login, client):
    fill(client, 200)
    assert client.append(b"INBOX", korean_message("korean@x.test")).ok
    client.ok("CREATE Projects/2024")
    assert client.append(b"Projects/2024", small(7)).ok
    port = stack.port("imaps")
    mail = offlineimap(port, login)
    box = mailbox.Maildir(mail / "INBOX")
    assert len(box) == 201
    assert maildir(mail / "Projects" / "2024") == [small(7)]
    keys = by_subject(box)
    set_flags(box, keys["3.m@x.test"], "FS")
    box.remove(keys["4.m@x.test"])
    box.add(mailbox.MaildirMessage(b"From: me@x.test\nSubject: near\nMessage-ID: <near@x.test>\n\nnew here\n"))
    client.ok("SELECT INBOX")
    client.ok("UID STORE 10 +FLAGS.SILENT (\\Answered)")
    offlineimap(port, login)
    client.ok("NOOP")
    assert client.ok("UID SEARCH FLAGGED SEEN").numbers() == [4]
    assert 5 not in client.ok("UID SEARCH UNDELETED").numbers()
    assert client.ok("UID SEARCH SUBJECT near").numbers() == [202]
    flags = {message["Subject"]: message.get_flags() for message in mailbox.Maildir(mail / "INBOX").itervalues()}
    assert flags["9.m@x.test"] == "R"
    before = client.ok("UID FETCH 1:* (FLAGS)").untagged
    offlineimap(port, login)
    client.ok("NOOP")
    assert client.ok("UID FETCH 1:* (FLAGS)").untagged == before
