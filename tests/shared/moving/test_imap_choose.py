"""Which mailboxes move, and what they are called here."""

from shared.moving.imap.choose import Choice, choose
from shared.moving.imap.responses import Listed, Namespaces
from shared.wire.mutf7 import encode

OURS = {"\\Sent": "Sent", "\\Trash": "Trash", "\\Drafts": "Drafts", "\\Junk": "Junk"}


def listed(name: str, *attributes: str, delimiter: bytes = b"/") -> Listed:
    return Listed(encode(name), delimiter, frozenset(attributes))


def names(*mailboxes: Listed, choice: Choice | None = None, namespaces: Namespaces | None = None, copies: bool = False) -> list[str]:
    found = choose(mailboxes, namespaces or Namespaces(), choice or Choice(), OURS, knows_copies=copies)
    return [each.name for each in found.mailboxes]


def test_inbox_is_first_and_what_is_no_mailbox_is_left_out():
    assert names(listed("b"), listed("inbox"), listed("a", "\\noselect"), listed("x", "\\nonexistent")) == ["INBOX", "b"]


def test_special_mailboxes_go_into_ours():
    assert names(listed("Sent Items", "\\sent"), listed("Papierkorb"), listed("Entwürfe"), listed("스팸메일함")) == [
        "Drafts", "Trash", "Sent", "Junk",
    ]  # fmt: skip
    # by name only where the server does not say which one it is
    assert names(listed("Gesendet"), listed("x", "\\sent")) == ["Gesendet", "Sent"]
    assert names(listed("Work/Sent Items")) == ["Work/Sent Items"]
    assert names(listed("Sent Items", "\\sent"), choice=Choice(keep_names=True)) == ["Sent Items"]


def test_two_never_become_one():
    assert names(listed("Sent"), listed("Sent Items", "\\sent")) == ["Sent", "Sent Items"]
    assert names(listed("Sent Items"), listed("Sent Messages")) == ["Sent", "Sent Messages"]
    assert names(listed("Archive"), listed("Archiv")) == ["Archiv", "Archive"]
    both = Choice(renamed={"Sent Items": "Sent"})
    assert names(listed("Sent"), listed("Sent Items"), choice=both) == ["Sent", "Sent"]


def test_prefixes_and_other_delimiters():
    spaces = Namespaces(b"INBOX.", (b"user.",))
    wires = [listed(name, delimiter=b".") for name in ("INBOX", "INBOX.Sent", "INBOX.a.b/c", "user.bob.x")]
    assert names(*wires, namespaces=spaces) == ["INBOX", "Sent", "a/b_c"]
    assert names(listed("INBOX.x", delimiter=b".")) == ["INBOX/x"]
    assert names(listed("shared.x", delimiter=b".")) == []
    assert names(listed("shared.x", delimiter=b"."), choice=Choice(renamed={"shared/x": "x"})) == ["x"]


def test_patterns():
    mailboxes = [listed(name) for name in ("INBOX", "Projects", "Projects/2024", "보관/1")]
    assert names(*mailboxes, choice=Choice(only=("projects*",))) == ["Projects", "Projects/2024"]
    assert names(*mailboxes, choice=Choice(without=("Projects/*", "inbox"))) == ["Projects", "보관/1"]
    assert names(*mailboxes, choice=Choice(only=("보관/*",))) == ["보관/1"]


def test_gmail():
    """Views are left out; of All Mail comes what has no label, and it comes last."""
    mailboxes = [
        listed("INBOX"), listed("[Gmail]", "\\noselect"), listed("[Gmail]/All Mail", "\\all"), listed("[Gmail]/Starred", "\\flagged"),
        listed("[Gmail]/Important", "\\important"), listed("[Gmail]/Sent Mail", "\\sent"), listed("[Gmail]/Spam", "\\junk"), listed("zoo"),
    ]  # fmt: skip
    found = choose(mailboxes, Namespaces(), Choice(), OURS, knows_copies=True)
    assert [(each.name, each.shows_all) for each in found.mailboxes] == [
        ("INBOX", False), ("Sent", False), ("Junk", False), ("zoo", False), ("Archive", True),
    ]  # fmt: skip
    # another server does not say what is the same message elsewhere
    assert names(*mailboxes) == ["INBOX", "Sent", "Junk", "zoo"]
    assert names(*mailboxes, choice=Choice(only=("[Gmail]/All*",))) == []
    # who names it means it
    assert names(*mailboxes, choice=Choice(only=("[Gmail]/All Mail", "INBOX"), keep_names=True)) == ["INBOX", "[Gmail]/All Mail"]


def test_a_name_for_what_is_not_there_is_told():
    found = choose([listed("x")], Namespaces(), Choice(renamed={"X": "y"}), OURS)
    assert found.problems == ["mailbox X is not there, or left out: it gets no other name"]


def test_names_that_can_be_none():
    found = choose([Listed(b"a..b", b".", frozenset()), listed("x")], Namespaces(), Choice(), OURS)
    assert [each.name for each in found.mailboxes] == ["x"]
    assert "a..b is left out" in found.problems[0]
