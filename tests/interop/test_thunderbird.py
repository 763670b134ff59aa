"""Thunderbird with a real window: it loads the mailbox, hears of new mail while it idles, marks as read, deletes into Trash."""

import re

from shared.testing.mail_samples import korean_message, plain_message
from shared.testing.thunderbird import Thunderbird


def test_a_person_reads_and_deletes(stack, login, client):
    for number in range(3):
        assert client.append(b"INBOX", plain_message(f"mail{number}@x.test")).ok
    korean = korean_message("korean@x.test")
    assert client.append(b"INBOX", korean).ok
    client.ok("SELECT INBOX")

    def seen():
        client.ok("NOOP")
        return client.ok("UID SEARCH SEEN").numbers()

    def subjects(mailbox):
        client.ok(f"EXAMINE {mailbox}")
        fetched = client.ok("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        return {found for line in fetched.untagged for found in re.findall(rb"<([a-z0-9]+)@x\.test>", line)}

    with Thunderbird(stack.port("imap"), login) as thunderbird:
        thunderbird.log_in()
        thunderbird.wait_loaded(b"<mail0@x.test>", b"<mail2@x.test>", korean[-200:].strip())
        # it idles now: what arrives is shown, and loaded, without being asked for
        assert client.append(b"INBOX", plain_message("fresh@x.test")).ok
        thunderbird.wait_loaded(b"<fresh@x.test>")

        def read_one():
            thunderbird.click()
            return seen()

        thunderbird.wait_until("message marked as read", read_one)
        assert seen() == [1]
        for _ in range(4):  # a busy machine loses a key now and then
            thunderbird.key("Delete")
            if thunderbird.comes_true(lambda: subjects("Trash") == {b"mail0"}, 20.0):
                break
        assert subjects("INBOX") == {b"mail1", b"mail2", b"korean", b"fresh"}
    assert '"level": "error"' not in stack["imap"].log
