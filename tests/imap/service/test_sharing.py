"""Two accounts, one mailbox: what a guest sees, may do, hears of, and loses. RFC 4314 over real sockets."""

import itertools

import pytest

from shared.testing.imap_client import ConnectionEnded, ImapClient
from shared.testing.stack import PASSWORD

MESSAGE = b"Subject: shared\r\n\r\nhello\r\n"
_pairs = itertools.count(1)


class Pair:
    """Alice, who shares, and Bob, who is a guest."""

    def __init__(self, stack):
        number = next(_pairs)
        self.stack = stack
        self.alice_address, self.bob_address = (f"{name}{number}@example.test" for name in ("alice", "bob"))
        stack.add_account(self.alice_address)
        stack.add_account(self.bob_address)
        self.clients = []
        self.alice, self.bob = self.connect(self.alice_address), self.connect(self.bob_address)

    def connect(self, address):
        self.clients.append(ImapClient(self.stack.port("imap")).login(address, PASSWORD))
        return self.clients[-1]

    def theirs(self, mailbox):
        return f'"shared/{self.alice_address}/{mailbox}"'

    def give(self, mailbox, rights):
        self.alice.ok(f"SETACL {mailbox} {self.bob_address} {rights}")


def told(answer):
    """The flags of the one FETCH response, but for \\Recent."""
    (line,) = answer.of(b"FETCH")
    return set(line.split(b"FLAGS (")[1].split(b")")[0].split()) - {b"\\Recent"}


@pytest.fixture
def pair(stack):
    made = Pair(stack)
    yield made
    for client in made.clients:
        client.close()


def test_rights_as_the_responses_tell_them(pair):
    alice, bob = pair.alice, pair.bob
    alice.ok("CREATE Team")
    pair.give("Team", "lrswida")
    me, other = pair.alice_address.encode(), pair.bob_address.encode()
    # RFC 4314 §2.1.1: "d" is "et", and is shown beside them
    assert alice.ok("GETACL Team").untagged == (b"* ACL Team %b lrswipkxteacd %b lrswitead" % (me, other),)
    pair.give("Team", "-s")
    pair.give("Team", "+k")
    alice.ok(f"SETACL Team -{pair.bob_address} w")
    assert alice.ok("GETACL Team").untagged == (
        b"* ACL Team %b lrswipkxteacd %b lrwikteacd -%b w" % (me, other, other),
    )
    theirs = pair.theirs("Team")
    assert bob.ok(f"MYRIGHTS {theirs}").untagged == (b"* MYRIGHTS shared/%b/Team lrikteacd" % me,)
    assert alice.ok(f"LISTRIGHTS Team {pair.bob_address}").untagged == (
        b'* LISTRIGHTS Team %b "" l r s w i p k x t e a c d' % other,
    )
    assert alice.ok(f"LISTRIGHTS Team {pair.alice_address}").untagged == (
        b"* LISTRIGHTS Team %b lrswipkxteacd" % me,
    )
    alice.ok(f"DELETEACL Team -{pair.bob_address}")
    alice.ok(f"SETACL Team {pair.bob_address} \"\"")
    assert alice.ok("GETACL Team").untagged == (b"* ACL Team %b lrswipkxteacd" % me,)


def test_what_is_refused(pair):
    alice, bob = pair.alice, pair.bob
    assert alice.command("SETACL INBOX anyone lrQ").tagged.startswith(b"BAD")
    assert alice.command("SETACL INBOX anyone lrq").tagged.startswith(b"BAD")
    assert alice.command("SETACL INBOX nobody@example.test lr").tagged.startswith(b"NO [CANNOT]")
    assert alice.command(f"SETACL INBOX {pair.alice_address} lr").tagged.startswith(b"NO [CANNOT]")
    # RFC 4314 §6: a mailbox that one may not see answers as one that is not there
    hidden, nothing = pair.theirs("INBOX"), pair.theirs("Nothing")
    for command in ("SELECT", "EXAMINE", "GETACL", "MYRIGHTS", "DELETE", "LISTRIGHTS anyone", "SETACL anyone lr", "STATUS"):
        name, *rest = command.split()
        more = "(MESSAGES)" if name == "STATUS" else " ".join(rest)
        answers = {bob.command(f"{name} {box} {more}".strip()).tagged for box in (hidden, nothing)}
        assert len(answers) == 1
        assert answers.pop().startswith(b"NO [NONEXISTENT]")
    assert bob.append(hidden.encode(), MESSAGE).tagged.startswith(b"NO [TRYCREATE]")
    pair.give("INBOX", "l")
    assert bob.command(f"SELECT {hidden}").tagged.startswith(b"NO [NOPERM]")
    assert bob.command(f"GETACL {hidden}").tagged.startswith(b"NO [NOPERM]")
    assert bob.append(hidden.encode(), MESSAGE).tagged.startswith(b"NO [NOPERM]")
    assert bob.command(f"CREATE {pair.theirs('New')}").tagged.startswith(b"NO [NOPERM]")
    for name in ("shared", "shared/x", "shared/a@b/c"):
        assert bob.command(f"CREATE {name}").tagged[:11] in (b"NO [CANNOT]", b"NO [NOPERM]")


def test_a_guest_who_may_only_read(pair):
    alice, bob = pair.alice, pair.bob
    assert alice.append(b"INBOX", MESSAGE).ok
    pair.give("INBOX", "lr")
    theirs = pair.theirs("INBOX")
    selected = bob.ok(f"SELECT {theirs}")
    assert selected.tagged.startswith(b"OK [READ-ONLY]")
    assert b"* OK [PERMANENTFLAGS ()] Nothing can be changed" in selected.untagged
    fetched = bob.ok("FETCH 1 (FLAGS BODY[TEXT])")
    assert b"hello" in fetched.untagged[0]
    assert b"\\Seen" not in fetched.untagged[0]
    assert bob.command("STORE 1 +FLAGS (\\Seen)").tagged.startswith(b"NO [READ-ONLY]")
    assert bob.command("EXPUNGE").tagged.startswith(b"NO [READ-ONLY]")
    # RFC 4314 §4: copies from it go to where he may write
    assert bob.ok("COPY 1 INBOX").tagged.startswith(b"OK [COPYUID")
    assert bob.command(f"COPY 1 {theirs}").tagged.startswith(b"NO [NOPERM]")
    bob.ok("CLOSE")
    assert b"* STATUS INBOX (MESSAGES 1)" in bob.ok("STATUS INBOX (MESSAGES)").untagged


def test_flags_as_far_as_the_rights_go(pair):
    alice, bob = pair.alice, pair.bob
    assert alice.append(b"INBOX", MESSAGE, b"(\\Flagged)").ok
    pair.give("INBOX", "lrst")
    selected = bob.ok(f"SELECT {pair.theirs('INBOX')}")
    assert selected.tagged.startswith(b"OK [READ-WRITE]")
    assert b"* OK [PERMANENTFLAGS (\\Seen \\Deleted)] Flags that are kept" in selected.untagged
    assert told(bob.ok("STORE 1 FLAGS (\\Seen \\Answered)")) == {b"\\Seen", b"\\Flagged"}
    assert bob.command("STORE 1 +FLAGS (\\Draft)").tagged.startswith(b"NO [NOPERM]")
    # what is not as a silent client computes is told
    assert told(bob.ok("STORE 1 FLAGS.SILENT (\\Deleted \\Draft)")) == {b"\\Flagged", b"\\Deleted"}
    assert bob.command("EXPUNGE").tagged.startswith(b"NO [NOPERM]")
    assert bob.command("MOVE 1 INBOX").tagged.startswith(b"NO [NOPERM]")
    # RFC 4314 §4: CLOSE without the right expunges nothing and says OK
    bob.ok("CLOSE")
    assert b"* STATUS INBOX (MESSAGES 1)" in alice.ok("STATUS INBOX (MESSAGES)").untagged
    pair.give("INBOX", "+e")
    bob.ok(f"SELECT {pair.theirs('INBOX')}")
    assert bob.ok("MOVE 1 INBOX").ok
    assert b"* STATUS INBOX (MESSAGES 0)" in alice.ok("STATUS INBOX (MESSAGES)").untagged


def test_news_reach_a_guest_who_idles(pair):
    alice, bob = pair.alice, pair.bob
    pair.give("INBOX", "lrs")
    bob.ok(f"SELECT {pair.theirs('INBOX')}")
    tag = bob.idle()
    assert alice.append(b"INBOX", MESSAGE).ok
    assert bob.read_response() == b"* 1 EXISTS"
    alice.ok("SELECT INBOX")
    alice.ok("STORE 1 +FLAGS (\\Flagged)")
    while b"FETCH" not in (line := bob.read_response()):
        assert line.startswith(b"* ")
    assert b"\\Flagged" in line
    bob.done(tag)
    # what the guest does reaches the owner
    tag = alice.idle()
    bob.ok("STORE 1 +FLAGS (\\Seen)")
    assert b"\\Seen" in alice.read_response()
    alice.done(tag)


def test_rights_that_change_are_felt_at_once(pair):
    alice, bob = pair.alice, pair.bob
    assert alice.append(b"INBOX", MESSAGE).ok
    pair.give("INBOX", "lrs")
    bob.ok(f"SELECT {pair.theirs('INBOX')}")
    second = pair.connect(pair.bob_address)
    second.ok(f"EXAMINE {pair.theirs('INBOX')}")
    alice.ok("SELECT INBOX")
    tag = bob.idle()
    pair.give("INBOX", "+wt")
    assert bob.read_response().startswith(b"* FLAGS")
    assert bob.read_response().startswith(b"* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)]")
    bob.done(tag)
    assert bob.ok("STORE 1 +FLAGS (\\Draft)").ok
    # RFC 4314 §5.1.1: who may no longer read is said goodbye; the owner's session goes on
    tag = bob.idle()
    alice.ok(f"DELETEACL INBOX {pair.bob_address}")
    with pytest.raises(ConnectionEnded):
        while True:
            bob.read_response()
    assert bob.at_end()
    with pytest.raises(ConnectionEnded):
        while True:
            second.command("NOOP")
    alice.ok("NOOP")
    assert alice.append(b"INBOX", MESSAGE).ok
    assert b"* 2 EXISTS" in alice.ok("NOOP").untagged or alice.ok("FETCH 2 FLAGS").ok
    again = pair.connect(pair.bob_address)
    assert again.command(f"SELECT {pair.theirs('INBOX')}").tagged.startswith(b"NO [NONEXISTENT]")


def test_the_owner_leaves_first(pair):
    """The view was made with her grant; it goes on with his."""
    alice, bob = pair.alice, pair.bob
    pair.give("INBOX", "lri")
    alice.ok("SELECT INBOX")
    bob.ok(f"SELECT {pair.theirs('INBOX')}")
    alice.ok("LOGOUT")
    assert bob.append(pair.theirs("INBOX").encode(), MESSAGE).ok
    assert bob.ok("FETCH 1 FLAGS").of(b"FETCH")


def test_a_mailbox_that_is_deleted_ends_all_sessions(pair):
    alice, bob = pair.alice, pair.bob
    alice.ok("CREATE Gone")
    pair.give("Gone", "lr")
    bob.ok(f"SELECT {pair.theirs('Gone')}")
    bob.idle()
    alice.ok("DELETE Gone")
    with pytest.raises(ConnectionEnded):
        while True:
            bob.read_response()


def test_mailboxes_in_anothers_tree(pair):
    alice, bob = pair.alice, pair.bob
    alice.ok("CREATE Projects")
    pair.give("Projects", "lrikx")
    inner = pair.theirs("Projects/2026")
    bob.ok(f"CREATE {inner}")
    assert bob.append(inner.encode(), MESSAGE, b"(\\Seen)").ok
    # "s" was not given: the flag is left out
    alice.ok("SELECT Projects/2026")
    assert b"\\Seen" not in alice.ok("FETCH 1 FLAGS").untagged[0]
    assert bob.command(f"RENAME {inner} Mine").tagged.startswith(b"NO [CANNOT]")
    bob.ok(f"RENAME {inner} {pair.theirs('Projects/2027')}")
    assert bob.command(f"RENAME {pair.theirs('Projects/2027')} {pair.theirs('Top')}").tagged.startswith(b"NO [NOPERM]")
    bob.ok(f"DELETE {pair.theirs('Projects/2027')}")


def test_the_namespace(pair):
    assert pair.bob.ok("NAMESPACE").untagged == (b'* NAMESPACE (("" "/")) (("shared/" "/")) NIL',)
    capabilities = pair.bob.ok("CAPABILITY").untagged[0].split()
    assert {b"ACL", b"RIGHTS=kxte", b"NAMESPACE"} <= set(capabilities)
