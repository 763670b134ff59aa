"""LIST with what is told beside names, over real sockets; names that are hard; many mailboxes."""

import re
import unicodedata

import pytest

from services.imap.protocol.encode import build_mailbox
from shared.testing.imap_client import ImapClient
from shared.testing.stack import PASSWORD

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"


def name_of(line):
    """The mailbox of a LIST response that is an atom or a quoted string."""
    found = re.match(rb'\* (?:LIST|LSUB) \([^)]*\) "/" ("?)([^"]*?)\1(?: \(.*)?\Z', line)
    assert found is not None, line
    return found.group(2)


def test_what_is_told_beside_names(connect):
    client = connect()
    client.ok("CREATE Work")
    client.ok("CREATE Work/Old/2025")
    client.ok("DELETE Work/Old")
    assert client.append(b"Work", MESSAGE, b"(\\Deleted)").ok
    client.ok('SETMETADATA Work (/private/comment "mine" /shared/comment "ours")')
    answer = client.ok(
        'LIST "" ("Work" "Work/*") RETURN (SUBSCRIBED CHILDREN MYRIGHTS'
        " STATUS (MESSAGES DELETED DELETED-STORAGE SIZE) METADATA (/private/comment /shared/x))"
    )
    octets = len(MESSAGE)
    assert answer.untagged == (
        b'* LIST (\\HasChildren) "/" Work',
        b"* STATUS Work (MESSAGES 1 DELETED 1 DELETED-STORAGE %d SIZE %d)" % (octets, octets),
        b"* MYRIGHTS Work lrswipkxteacd",
        b'* METADATA Work (/private/comment "mine" /shared/x NIL)',
        b'* LIST (\\NonExistent \\HasChildren) "/" Work/Old',
        b'* LIST (\\HasNoChildren) "/" Work/Old/2025',
        b"* STATUS Work/Old/2025 (MESSAGES 0 DELETED 0 DELETED-STORAGE 0 SIZE 0)",
        b"* MYRIGHTS Work/Old/2025 lrswipkxteacd",
        b"* METADATA Work/Old/2025 (/private/comment NIL /shared/x NIL)",
    )
    assert client.ok('LIST "" Work/%').untagged == (b'* LIST (\\Noselect \\HasChildren) "/" Work/Old',)
    assert client.ok("STATUS Work (DELETED-STORAGE)").untagged == (b"* STATUS Work (DELETED-STORAGE %d)" % octets,)


def test_selection_options(connect):
    client = connect()
    client.ok("CREATE Lists/imap")
    for name in ("Lists/imap", "Lists/gone"):
        client.ok(f"SUBSCRIBE {name}")
    answer = client.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "L%"')
    assert answer.untagged == (b'* LIST (\\HasChildren) "/" Lists ("CHILDINFO" ("SUBSCRIBED"))',)
    answer = client.ok('LIST (SUBSCRIBED) "" "Lists/*"')
    assert answer.untagged == (
        b'* LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" Lists/gone',
        b'* LIST (\\HasNoChildren \\Subscribed) "/" Lists/imap',
    )
    answer = client.ok('LIST (SPECIAL-USE) "" "*" RETURN (SPECIAL-USE)')
    assert {name_of(line) for line in answer.untagged} == {b"Archive", b"Drafts", b"Junk", b"Sent", b"Trash"}
    assert b'* LIST (\\HasNoChildren \\Junk) "/" Junk' in answer.untagged
    client.ok("CREATE Spam (USE (\\Junk))")
    assert client.command("CREATE X (USE (\\All))").tagged.startswith(b"NO [USEATTR]")
    answer = client.ok('LIST (SPECIAL-USE) "" "*"')
    assert b'* LIST (\\HasNoChildren \\Junk) "/" Spam' in answer.untagged
    assert client.ok('LSUB "" "Lists/%"').untagged == (b'* LSUB () "/" Lists/gone', b'* LSUB () "/" Lists/imap')


def test_what_was_renamed_is_told_to_who_knows_rev2(connect):
    client, old = connect(), connect()
    client.ok("ENABLE IMAP4rev2")
    client.ok("CREATE a")
    assert client.ok("RENAME a b/c").of(b"LIST") == [b'* LIST () "/" b/c ("OLDNAME" (a))']
    assert old.ok("RENAME b/c d").untagged == ()
    decomposed = unicodedata.normalize("NFD", "Entwürfe")
    answer = client.command(b"CREATE " + build_mailbox(decomposed, utf8=True))
    assert answer.of(b"LIST") == [
        b'* LIST () "/" %b ("OLDNAME" (%b))' % (build_mailbox("Entwürfe", utf8=True), build_mailbox(decomposed, utf8=True))
    ]
    # both spellings are one mailbox
    assert client.command(b"CREATE " + build_mailbox("Entwürfe", utf8=True)).tagged.startswith(b"NO [ALREADYEXISTS]")
    selected = client.ok(b"SELECT " + build_mailbox(decomposed, utf8=True))
    assert any(b"OLDNAME" in line for line in selected.of(b"LIST"))


HARD = {
    "..": False, "../..": False, "a/../b": False, ".": False, "...": True,
    "~root": True, "a\\b": True, 'quo"te': True, "a&b": True, "한글/사진": True,
    "😀": True, "%": False, "a*": False, "a//b": False, "/a": False, "//": False, "a\x7fb": False, "x" * 401: False,
    "/".join("a" * 21): False, "/".join("a" * 20): True, "inbox": False, "shared": False, "shared/x": False, "Shared": True,
    "a\u2028b": False, "a\ufffeb": False, "a ": True, " ": True, "NIL": True, "(x)": True, "{3}": True,
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_hard_names(connect, name):
    """RFC 9051 §5.1: each is made, listed and deleted, or refused with a code, and the session goes on."""
    client = connect()
    encoded = build_mailbox(name)
    if b"}\r\n" in encoded:
        encoded = encoded.replace(b"}\r\n", b"+}\r\n")
    made = client.command(b"CREATE " + encoded)
    if not HARD[name]:
        assert re.match(rb"NO \[(CANNOT|LIMIT|ALREADYEXISTS|NOPERM)\]", made.tagged), made
        client.ok("NOOP")
        return
    assert made.ok
    listed = [line for line in client.ok('LIST "" "*"').untagged if line.endswith(b" " + encoded)]
    assert len(listed) == 1
    client.ok(b"SELECT " + encoded)
    client.ok(b"RENAME " + encoded + b" other/place")
    client.ok(b"RENAME other/place " + encoded)
    client.ok(b"SUBSCRIBE " + encoded)
    client.ok(b"DELETE " + encoded)
    assert client.command(b"SELECT " + encoded).tagged.startswith(b"NO [NONEXISTENT]")


def test_codes_of_refusals(connect):
    client = connect()
    client.ok("CREATE a/b")
    codes = {
        "CREATE a": b"ALREADYEXISTS", "CREATE INBOX": b"ALREADYEXISTS", "DELETE INBOX": b"CANNOT", "DELETE nothing": b"NONEXISTENT",
        "RENAME nothing x": b"NONEXISTENT", "RENAME a Sent": b"ALREADYEXISTS", "RENAME a a/c": b"CANNOT",
        "SELECT nothing": b"NONEXISTENT", "STATUS nothing (MESSAGES)": b"NONEXISTENT", 'CREATE "x%"': b"CANNOT",
    }  # fmt: skip
    for command, code in codes.items():
        assert client.command(command).tagged.startswith(b"NO [" + code + b"]"), command
    long = "y" * 1001
    assert client.command(f"CREATE {long}").tagged.startswith(b"NO [LIMIT]")
    # levels below stay
    client.ok("DELETE a")
    assert client.ok('LIST "" "a*"').untagged == (
        b'* LIST (\\Noselect \\HasChildren) "/" a', b'* LIST (\\HasNoChildren) "/" a/b',
    )  # fmt: skip


def test_a_thousand_mailboxes(stack, connect):
    client = connect()
    tags = [client.start(b"CREATE many/%d/%03d" % (number % 10, number)) for number in range(1000)]
    for tag in tags:
        assert client.finish(tag).ok
    everything = [name_of(line) for line in client.ok('LIST "" "*"').untagged]
    assert len(everything) == len(set(everything)) == 6 + 1 + 10 + 1000
    assert [name_of(line) for line in client.ok('LIST "" "many/%"').untagged] == [b"many/%d" % n for n in range(10)]
    assert len(client.ok('LIST "" "%"').untagged) == 7
    assert len(client.ok('LIST "" "many/3/*" RETURN (STATUS (MESSAGES UIDVALIDITY))').of(b"STATUS")) == 100


def test_other_accounts_mailboxes_in_the_list(stack, account, connect):
    guest_address = "guest-of-" + account
    stack.add_account(guest_address)
    owner = connect()
    owner.ok("CREATE Team")
    owner.ok("CREATE Team/Plans")
    assert owner.append(b"Team/Plans", MESSAGE).ok
    with ImapClient(stack.port("imap")).login(guest_address, PASSWORD) as guest:
        theirs = f"shared/{account}".encode()
        assert not [line for line in guest.ok('LIST "" "*"').untagged if theirs in line]
        owner.ok(f"SETACL Team {guest_address} l")
        owner.ok(f"SETACL Team/Plans {guest_address} lr")
        assert [line for line in guest.ok('LIST "" "*"').untagged if theirs in line] == [
            b'* LIST (\\Noselect \\HasChildren) "/" %b' % theirs,
            b'* LIST (\\Noselect \\HasChildren) "/" %b/Team' % theirs,
            b'* LIST (\\HasNoChildren) "/" %b/Team/Plans' % theirs,
        ]
        assert b'* LIST (\\Noselect \\HasChildren) "/" shared' in guest.ok('LIST "" "%"').untagged
        assert guest.ok(f'LIST "shared/" "{account}/Team/%" RETURN (MYRIGHTS STATUS (MESSAGES))').untagged == (
            b'* LIST (\\HasNoChildren) "/" %b/Team/Plans' % theirs,
            b"* STATUS %b/Team/Plans (MESSAGES 1)" % theirs,
            b"* MYRIGHTS %b/Team/Plans lr" % theirs,
        )
        assert guest.ok('LIST "shared/" ""').untagged == (b'* LIST (\\Noselect) "/" shared/',)
        guest.ok(f"SUBSCRIBE shared/{account}/Team/Plans")
        assert guest.ok('LIST (SUBSCRIBED) "" "shared/*"').untagged == (
            b'* LIST (\\HasNoChildren \\Subscribed) "/" %b/Team/Plans' % theirs,
        )
        # revoked: the subscription stays, as RFC 3501 §6.3.6 has it, the mailbox is not there
        owner.ok(f"DELETEACL Team/Plans {guest_address}")
        assert guest.ok('LIST (SUBSCRIBED) "" "shared/*"').untagged == (
            b'* LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" %b/Team/Plans' % theirs,
        )
