"""Servers that are not like Dovecot: what can come, comes; the rest is named."""

import json

from shared.testing.clients import HOST, Login
from shared.testing.imap_client import ImapClient
from shared.testing.moved_mail import counts, pillarbox
from shared.testing.odd_imap import Folder, Message, OddServer
from shared.testing.stack import PASSWORD, Stack


def text(number: int) -> bytes:
    return b"From: a@b.test\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\nSubject: %d\r\n\r\nText %d\r\n" % (number, number)


def move(stack: Stack, server: OddServer, login: Login, *more: str, ok: tuple[int, ...] = (0,)) -> str:
    file = login.file("there", "secret\n")
    words = ["import", "imap", f"{HOST}:{server.port}", "--user", "u", "--account", login.address, "--password-file", str(file)]
    return pillarbox(stack, *words, "--tls", "none", "--json", *more, ok=ok)


def uids(stack: Stack, login: Login, mailbox: str = "INBOX") -> list[int]:
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        client.ok(f'SELECT "{mailbox}"')
        return client.ok("UID SEARCH ALL").numbers()


def test_messages_that_do_not_come_are_named_and_come_later(stack, login):
    messages = {number: Message(text(number)) for number in range(1, 31)}
    messages[7].refused = True
    messages[20].ends = 9
    with OddServer({"INBOX": Folder(messages)}) as server:
        said = move(stack, server, login, "--jobs", "2", ok=(1,))
        assert counts(said)["INBOX"][0] == 28
        problems = json.loads(said)["problems"]
        assert problems[0] == "INBOX: UID 7: cannot read it"
        assert "INBOX: UID 20: the server has closed the connection" in problems[1]
        assert uids(stack, login) == [uid for uid in messages if uid not in (7, 20)]
        messages[7].refused, messages[20].ends = False, 0
        # their UIDs have passed
        assert counts(move(stack, server, login))["INBOX"] == (2, 28, 0, 0)
        assert uids(stack, login)[-2:] == [31, 32]
        assert counts(move(stack, server, login))["INBOX"] == (0, 30, 0, 0)
        assert not [line for line in server.commands if line.startswith(("SELECT", "STORE", "EXPUNGE"))]
        assert all("PEEK" in line for line in server.commands if "BODY" in line)


def test_a_connection_that_ends_once_is_made_anew(stack, login):
    messages = {number: Message(text(number), ends=number == 5) for number in range(1, 11)}
    with OddServer({"INBOX": Folder(messages)}) as server:
        assert counts(move(stack, server, login))["INBOX"] == (10, 0, 0, 0)
        assert uids(stack, login) == list(messages)


def test_sizes_and_dates_that_are_wrong(stack, login):
    """Each is read once; without a date it has the one that it says of itself."""
    messages = {number: Message(text(number), size=9, date="never", flags="\\Seen \\Strange a(") for number in (1, 2)}
    for message in messages.values():
        message.flags = "\\Seen \\Strange $ok"
    with OddServer({"INBOX": Folder(messages)}) as server:
        assert counts(move(stack, server, login))["INBOX"] == (2, 0, 0, 0)
        read = len([line for line in server.commands if "BODY" in line])
        assert counts(move(stack, server, login))["INBOX"] == (0, 2, 0, 0)
        assert len([line for line in server.commands if "BODY" in line]) == read
    with ImapClient(stack.port("imap")).login(login.address, PASSWORD) as client:
        client.ok("SELECT INBOX")
        said = b"".join(client.ok("UID FETCH 1 (FLAGS INTERNALDATE)").untagged)
        assert b'" 1-Jan-2024 10:00:00 +0000"' in said
        assert b"FLAGS (\\Seen $ok" in said


def test_gmail(stack, login):
    """A message is in each of its labels, and once in Archive if it has none."""
    folders = {
        "INBOX": Folder({1: Message(text(1), copy=11)}),
        "[Gmail]": Folder(attributes="\\Noselect"),
        "[Gmail]/All Mail": Folder({number: Message(text(number), copy=10 + number) for number in (1, 2, 3)}, "\\All", 7),
        "[Gmail]/Sent Mail": Folder({5: Message(text(2), copy=12)}, "\\Sent", 8),
        "[Gmail]/Starred": Folder({6: Message(text(1), copy=11)}, "\\Flagged", 9),
    }
    with OddServer(folders, "X-GM-EXT-1") as server:
        said = move(stack, server, login)
        assert {name: each[0] for name, each in counts(said).items()} == {"INBOX": 1, "Sent": 1, "Archive": 1}
        assert uids(stack, login, "Archive") == [3]
        assert uids(stack, login, "Sent") == [5]
        assert {name: each[0] for name, each in counts(move(stack, server, login)).items()} == {"INBOX": 0, "Sent": 0, "Archive": 0}


def test_a_message_without_an_end_is_refused(stack, login):
    with OddServer({"INBOX": Folder({1: Message(text(1)), 2: Message(b"x" * 10, size=2**31)})}) as server:
        said = move(stack, server, login, ok=(1,))
        assert "larger than" in json.loads(said)["problems"][0]
        assert uids(stack, login) == [1]


def test_a_mailbox_that_is_made_anew_there(stack, login):
    """Everything is another message's UID: what is here stays, and by its content nothing comes twice."""
    folder = Folder({number: Message(text(number)) for number in (1, 2)})
    with OddServer({"INBOX": folder}) as server:
        move(stack, server, login)
        folder.uidvalidity += 1
        folder.messages[3] = Message(text(3))
        assert counts(move(stack, server, login))["INBOX"] == (1, 2, 0, 0)
        assert uids(stack, login) == [1, 2, 3]
