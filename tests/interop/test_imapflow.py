"""imapflow, the client library of Node.js programs: a whole session, with a second one that changes things under it."""

from pathlib import Path

from shared.testing.javascript import run_script
from shared.testing.mail_samples import korean_message, plain_message
from shared.testing.stack import PASSWORD

SCRIPT = Path(__file__).with_name("imapflow_session.js")


def test_session(stack, login, client, tmp_path_factory):
    named = "From: alice@example.test\r\nSubject: 홍길동 드림\r\nMessage-ID: <3@x>\r\n\r\nbody\r\n".encode()
    messages = [plain_message("one@x.test"), korean_message("two@x.test"), named]
    for message in messages:
        assert client.append(b"INBOX", message).ok
    seen = run_script(
        SCRIPT,
        tmp_path_factory.getbasetemp().parent / "cache",
        login.home,
        port=stack.port("imaps"),
        user=login.address,
        password=PASSWORD,
    )
    assert {"IDLE", "MOVE", "UIDPLUS", "CONDSTORE"} <= set(seen["capabilities"])
    assert [each for each in seen["mailboxes"] if each["path"] == "INBOX"] == [
        {"path": "INBOX", "use": "\\Inbox", "messages": 3}
    ]
    assert {each["use"] for each in seen["mailboxes"]} >= {"\\Sent", "\\Drafts", "\\Trash", "\\Junk", "\\Archive"}
    assert [(each["uid"], each["octets"], each["size"]) for each in seen["fetched"]] == [
        (uid, len(message), len(message)) for uid, message in enumerate(messages, 1)
    ]
    assert seen["fetched"][2]["subject"] == "홍길동 드림"
    assert seen["found"] == [3]
    assert seen["both"] == [1, 2, 3]
    exists, answered, *deleted, expunged = seen["news"]
    assert exists == ["exists", 4]
    assert (answered[:2], set(answered[2]) - {"\\Recent"}) == (["flags", 1], {"\\Answered"})
    # imapflow deletes by \Deleted and UID EXPUNGE; both may be told in one go
    assert [each[:2] for each in deleted] in ([], [["flags", 2]])
    assert expunged == ["expunge", 2]
    assert seen["moved"]["uidMap"] == {"1": 1}
    assert (seen["there"], seen["downloaded"]) == (1, len(messages[0]))
    assert seen["status"]["messages"] == 2
