"""NOTIFY over real sockets: several sessions, a store that is restarted, limits, the end of a login and of a mailbox."""

import threading
from collections.abc import Callable

import pytest

from shared.testing.imap_client import ConnectionEnded, ImapClient
from shared.testing.stack import PASSWORD, Stack

MESSAGE = b"Subject: x\r\n\r\ntext\r\n"
Connect = Callable[[], ImapClient]


def test_everybody_hears_of_what_anybody_does(connect: Connect) -> None:
    listeners = [connect() for _ in range(5)]
    for number, client in enumerate(listeners):
        client.ok(f"CREATE box{number}")
    for client in listeners:
        client.ok("NOTIFY SET (PERSONAL (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))")
    actor = connect()
    for number in range(5):
        assert actor.append(b"box%d" % number, MESSAGE).ok
        for client in listeners:
            line = client.read_response()
            assert line == b"* STATUS box%d (UIDNEXT 2 MESSAGES 1 UNSEEN 1)" % number
    # one of them acts: the others hear of it, it does not
    listeners[0].ok("CREATE last")
    for client in listeners[1:]:
        assert client.read_response() == b'* LIST (\\HasNoChildren) "/" last'
        assert client.read_response().startswith(b"* STATUS last (MESSAGES 0 UIDNEXT 1 UIDVALIDITY ")
    assert listeners[0].ok("NOOP").untagged == ()


def test_nothing_comes_in_the_middle_of_a_command(connect: Connect) -> None:
    client, actor = connect(), connect()
    client.ok("NOTIFY SET (PERSONAL (MessageNew MessageExpunge))")
    stop = threading.Event()

    def act() -> None:
        while not stop.is_set():
            actor.append(b"Archive", MESSAGE)

    thread = threading.Thread(target=act)
    thread.start()
    try:
        client.read_response()
        for _ in range(50):
            tag = client.start(b'LIST "" *')
            before, inside = [], []
            while not (line := client.read_response()).startswith(tag + b" "):
                (inside if inside or line.startswith(b"* LIST") else before).append(line)
            assert len(inside) == 6
            assert all(line.startswith(b"* LIST") for line in inside)
            assert all(line.startswith(b"* STATUS Archive (UIDNEXT ") for line in before)
    finally:
        stop.set()
        thread.join()


def test_pipelined_commands_and_notifications_share_the_stream(connect: Connect) -> None:
    client, actor = connect(), connect()
    actor.append(b"INBOX", MESSAGE)
    client.ok("SELECT INBOX")
    client.ok("NOTIFY SET (SELECTED (MessageNew (UID BODY.PEEK[]) MessageExpunge FlagChange))")
    tags = [client.start(b"UID FETCH 1 (FLAGS)") for _ in range(20)]
    for _ in range(10):
        actor.append(b"INBOX", MESSAGE)
    answers = [client.finish(tag) for tag in tags]
    assert all(answer.ok for answer in answers)
    fetched = [line for answer in answers for line in answer.untagged if b"BODY[]" in line]
    while len(fetched) < 10:
        line = client.read_response()
        if b"BODY[]" in line:
            fetched.append(line)
    assert all(line.endswith(b"BODY[] {%d}\r\n%b)" % (len(MESSAGE), MESSAGE)) for line in fetched)


def test_a_large_new_message_streams(connect: Connect) -> None:
    client, actor = connect(), connect()
    client.ok("SELECT INBOX")
    client.ok("NOTIFY SET (SELECTED (MessageNew (BODY.PEEK[]) MessageExpunge))")
    large = b"Subject: large\r\n\r\n" + b"0123456789abcde\n" * 40_000
    assert actor.append(b"INBOX", large).ok
    while not (line := client.read_response()).startswith(b"* 1 FETCH"):
        assert line.endswith((b"EXISTS", b"RECENT"))
    assert line.endswith(large + b")")
    # it was not marked as read
    assert b"\\Seen" not in client.ok("FETCH 1 FLAGS").untagged[0]


def test_the_store_is_restarted_under_it(stack: Stack, connect: Connect) -> None:
    client, actor = connect(), connect()
    client.ok("NOTIFY SET (PERSONAL (MessageNew MessageExpunge MailboxName))")
    store = stack["store"]
    store.kill()
    store.restart()
    assert actor.append(b"Archive", MESSAGE).ok
    actor.ok("CREATE meanwhile")
    seen = set()
    while seen != {b"Archive", b"LIST", b"meanwhile"}:
        line = client.read_response()
        seen.add(b"LIST" if line.startswith(b"* LIST") else line.split()[2])
    assert client.ok("NOOP").untagged == ()
    assert actor.append(b"Archive", MESSAGE).ok
    assert client.read_response() == b"* STATUS Archive (UIDNEXT 3 MESSAGES 2)"


def test_it_ends_with_the_login_and_with_none(connect: Connect, account: str) -> None:
    client, actor = connect(), connect()
    client.ok("NOTIFY SET (PERSONAL (MessageNew MessageExpunge))")
    client.ok("UNAUTHENTICATE")
    client.login(account, PASSWORD)
    assert actor.append(b"Archive", MESSAGE).ok
    assert client.ok("NOOP").untagged == ()
    client.ok("NOTIFY SET (PERSONAL (MessageNew MessageExpunge))")
    client.ok("NOTIFY NONE")
    assert actor.append(b"Archive", MESSAGE).ok
    assert client.ok("NOOP").untagged == ()


def test_the_selected_mailbox_is_deleted(connect: Connect) -> None:
    client, actor = connect(), connect()
    client.ok("CREATE doomed")
    client.ok("SELECT doomed")
    client.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge))")
    actor.ok("DELETE doomed")
    assert client.read_response().startswith(b"* BYE")
    with pytest.raises(ConnectionEnded):
        client.read_response()


def test_own_expunges_are_told_whatever_was_asked_for(connect: Connect) -> None:
    client = connect()
    for _ in range(3):
        client.append(b"INBOX", MESSAGE)
    client.ok("SELECT INBOX")
    client.ok("NOTIFY SET (SELECTED NONE)")
    client.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert client.ok("EXPUNGE").of(b"EXPUNGE") == [b"* 2 EXPUNGE"]
    assert client.ok("MOVE 1 Archive").of(b"EXPUNGE") == [b"* 1 EXPUNGE"]
    assert client.ok("UID FETCH 1:* UID").untagged == (b"* 1 FETCH (UID 3)",)
