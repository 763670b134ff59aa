"""ACL, QUOTA and METADATA: every example of RFC 4314, 9208 and 5464, limits, and parse(render(x)) == x."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.imap.protocol import acl_grammar as acl
from services.imap.protocol import metadata_grammar as metadata
from services.imap.protocol import quota_grammar as quota
from services.imap.protocol.arguments import MailboxArguments
from services.imap.protocol.encode import build_astring, build_mailbox, build_nstring
from services.imap.protocol.framing import CommandFrame, Framer, FramingLimits
from services.imap.protocol.grammar import CommandError, parse_command
from services.imap.protocol.limits import GrammarLimits
from shared.model.rights import ALL_RIGHTS, LETTERS, NO_RIGHTS, Rights, effective, format_rights, parse_rights

LIMITS = GrammarLimits()
WIDE = FramingLimits(
    line_octets=1 << 20, literal_octets=1 << 20, command_octets=1 << 20, literals=1000, message_literals=True
)


def parse(data):
    framer = Framer(WIDE)
    framer.feed(data + b"\r\n")
    event = framer.next_event()
    while not isinstance(event, CommandFrame):
        event = framer.next_event()
    return parse_command(event, LIMITS).arguments


def rights(text):
    found = parse_rights(text)
    assert found is not None
    return found


Get, Set, Options = metadata.GetMetadataArguments, metadata.SetMetadataArguments, metadata.MetadataOptions
COMMANDS = {
    # RFC 4314 §2.1.1, §3
    b"A001 SeTacl INBOX/Drafts David lrswida": acl.SetAclArguments("INBOX/Drafts", "David", "", rights("lrswiaet")),
    b"A003 Setacl INBOX/Drafts Byron lrswikda": acl.SetAclArguments("INBOX/Drafts", "Byron", "", rights("lrswiketa")),
    b"A002 SETACL INBOX/Drafts Chris +cda": acl.SetAclArguments("INBOX/Drafts", "Chris", "+", rights("kxeta")),
    b"A1 SETACL INBOX -Fred -w": acl.SetAclArguments("INBOX", "-Fred", "-", Rights.WRITE),
    b'A1 SETACL INBOX anyone ""': acl.SetAclArguments("INBOX", "anyone", "", NO_RIGHTS),
    b"A002 getacl INBOX/Drafts": MailboxArguments("INBOX/Drafts"),
    b"B002 DeleteAcl INBOX Fred": acl.AclArguments("INBOX", "Fred"),
    b"a001 LISTRIGHTS ~/Mail/saved smith": acl.AclArguments("~/Mail/saved", "smith"),
    b"A003 MYRIGHTS INBOX": MailboxArguments("INBOX"),
    # RFC 9208 §4.1
    b'G0001 GETQUOTA "!partition/sda4"': quota.QuotaArguments("!partition/sda4"),
    b"G0002 GETQUOTAROOT INBOX": MailboxArguments("INBOX"),
    b'S0001 SETQUOTA "#user/alice" (STORAGE 510)': quota.QuotaArguments("#user/alice", (("STORAGE", 510),)),
    b'S0001 SETQUOTA "" ()': quota.QuotaArguments(""),
    b'S0001 SETQUOTA "" (STORAGE 1 message 2)': quota.QuotaArguments("", (("STORAGE", 1), ("MESSAGE", 2))),
    # RFC 5464 §4.2, §4.3
    b'a GETMETADATA "" /shared/comment': Get("", ("/shared/comment",)),
    b'a GETMETADATA "INBOX" /private/comment': Get("INBOX", ("/private/comment",)),
    b'a GETMETADATA "INBOX" (/shared/comment /private/comment)': Get("INBOX", ("/shared/comment", "/private/comment")),
    b'a GETMETADATA "INBOX" (MAXSIZE 1024) (/shared/comment /private/comment)': Get(
        "INBOX", ("/shared/comment", "/private/comment"), Options(1024)
    ),
    b"a GETMETADATA (MAXSIZE 10 DEPTH infinity) INBOX /private": Get("INBOX", ("/private",), Options(10, "infinity")),
    b'a GETMETADATA "INBOX" (DEPTH 1) (/private/filters/values)': Get(
        "INBOX", ("/private/filters/values",), Options(None, "1")
    ),
    b'a GETMETADATA "INBOX" /private/comment /shared/Comment': Get("INBOX", ("/private/comment", "/shared/comment")),
    b"a SETMETADATA INBOX (/private/comment {33+}\r\nMy new comment across\r\ntwo lines.)": Set(
        "INBOX", (("/private/comment", b"My new comment across\r\ntwo lines."[:33]),)
    ),
    b"a SETMETADATA INBOX (/private/x ~{3+}\r\na\0b)": Set("INBOX", (("/private/x", b"a\0b"),)),
    b"a SETMETADATA INBOX (/private/comment NIL)": Set("INBOX", (("/private/comment", None),)),
    b'a SETMETADATA INBOX (/private/comment "My new comment" /shared/comment "This one is for you!")': Set(
        "INBOX", (("/private/comment", b"My new comment"), ("/shared/comment", b"This one is for you!"))
    ),
}


@pytest.mark.parametrize("data", COMMANDS)
def test_the_examples(data):
    if b"{33+}" in data:
        data = data.replace(b"{33+}", b"{%d+}" % len(b"My new comment across\r\ntwo lines."))
        assert parse(data) == Set("INBOX", (("/private/comment", b"My new comment across\r\ntwo lines."),))
        return
    assert parse(data) == COMMANDS[data]


REFUSED = {
    # RFC 4314 §3.1
    b"A035 SETACL INBOX/Drafts John lrQswicda": b"BAD",
    b"A036 SETACL INBOX/Drafts John lrqswicda": b"BAD",
    b"a SETACL INBOX John": b"BAD",
    b"a SETACL INBOX John +": None,
    b"a SETACL INBOX " + b"x" * 401 + b" lr": b"NO [LIMIT]",
    b'a SETACL INBOX "\xff" lr': b"BAD",
    b"a GETACL": b"BAD",
    b"a MYRIGHTS INBOX x": b"BAD",
    b"a GETQUOTA " + b"x" * 401: b"NO [LIMIT]",
    b'a SETQUOTA "" (STORAGE)': b"BAD",
    b'a SETQUOTA "" (STORAGE -1)': b"BAD",
    b'a SETQUOTA "" (STORAGE 99999999999999999999)': b"BAD",
    b'a SETQUOTA "" (' + b"A 1 " * 21 + b")": b"BAD",
    b'a SETQUOTA ""': b"BAD",
    # RFC 5464 §3.1
    b"a GETMETADATA INBOX comment": b"BAD",
    b"a GETMETADATA INBOX /private//comment": b"BAD",
    b"a GETMETADATA INBOX /private/comment/": b"BAD",
    b'a GETMETADATA INBOX "/private/com*"': b"BAD",
    b'a GETMETADATA INBOX "/private/com%"': b"BAD",
    b'a GETMETADATA INBOX "/private/\xc3\xa9"': b"BAD",
    b"a GETMETADATA INBOX /other/x": b"BAD",
    b"a GETMETADATA INBOX ()": b"BAD",
    b"a GETMETADATA (DEPTH 2) INBOX /private": b"BAD",
    b"a GETMETADATA (SIZE 2) INBOX /private": b"BAD",
    b"a GETMETADATA INBOX /private/" + b"x" * 300: b"NO [LIMIT]",
    b"a GETMETADATA INBOX (" + b" ".join(b"/private/%d" % n for n in range(101)) + b")": b"NO [LIMIT]",
    b"a SETMETADATA INBOX ()": b"BAD",
    b"a SETMETADATA INBOX (/private x)": b"BAD",
    b"a SETMETADATA INBOX (/private/a atom)": b"BAD",
    b"a SETMETADATA INBOX /private/a NIL": b"BAD",
    b"a SETMETADATA INBOX (" + b" ".join(b"/private/%d NIL" % n for n in range(101)) + b")": b"NO [METADATA TOOMANY]",
}


@pytest.mark.parametrize("data", REFUSED)
def test_what_is_refused(data):
    expected = REFUSED[data]
    if expected is None:
        parse(data)
        return
    with pytest.raises(CommandError) as caught:
        parse(data)
    assert caught.value.reply.render(b"t").startswith(b"t " + expected)


def test_the_responses():
    # RFC 4314 §2.1.1, §3.6 to §3.8
    assert acl.build_acl("INBOX", [("Fred", int(ALL_RIGHTS)), ("-x y", 1)], utf8=False) == (
        b'* ACL INBOX Fred lrswipkxteacd "-x y" l\r\n'
    )
    assert acl.build_my_rights("INBOX", 0, utf8=False) == b'* MYRIGHTS INBOX ""\r\n'
    assert acl.build_list_rights("a", "anyone", 0, utf8=False) == (
        b'* LISTRIGHTS a anyone "" l r s w i p k x t e a c d\r\n'
    )
    assert acl.build_list_rights("a", "me", int(ALL_RIGHTS), utf8=False) == b"* LISTRIGHTS a me lrswipkxteacd\r\n"
    # RFC 9208 §4.2
    assert quota.build_quota("", [("STORAGE", 10, 512)]) == b'* QUOTA "" (STORAGE 10 512)\r\n'
    assert quota.build_quota("#user/alice", [("STORAGE", 54, 111), ("MESSAGE", 42, 1000)]) == (
        b"* QUOTA #user/alice (STORAGE 54 111 MESSAGE 42 1000)\r\n"
    )
    assert quota.build_quota_root("INBOX", [""], utf8=False) == b'* QUOTAROOT INBOX ""\r\n'
    assert quota.build_quota_root("comp.mail.mime", [], utf8=False) == b"* QUOTAROOT comp.mail.mime\r\n"
    # RFC 5464 §4.2, §4.4.1
    assert metadata.build_metadata("", [("/shared/comment", b"Shared comment")], utf8=False) == (
        b'* METADATA "" (/shared/comment "Shared comment")\r\n'
    )
    values = [
        ("/private/filters/values/small", b"SMALLER 5000"),
        ("/private/filters/values/boss", b'FROM "boss@example.com"'),
    ]
    assert metadata.build_metadata("INBOX", values, utf8=False) == (
        b'* METADATA INBOX (/private/filters/values/small "SMALLER 5000"'
        b' /private/filters/values/boss "FROM \\"boss@example.com\\"")\r\n'
    )
    assert metadata.build_metadata("INBOX", [("/private/x", b"a\0b")], utf8=False) == (
        b"* METADATA INBOX (/private/x ~{3}\r\na\0b)\r\n"
    )


def test_rights_as_letters():
    for bits in range(int(ALL_RIGHTS) + 1):
        text = format_rights(bits)
        assert parse_rights(text) == bits or set(text) & set("cd")
        shown = "".join(letter for letter in text if letter in LETTERS)
        assert parse_rights(shown) == bits
        # RFC 4314 §2.1.1
        assert ("c" in text) == bool(set("kx") & set(shown))
        assert ("d" in text) == bool(set("te") & set(shown))
    assert parse_rights("c") == rights("kx")
    assert parse_rights("d") == rights("te")
    assert parse_rights("lR") is None


def test_negative_rights_win():
    assert effective([(False, 7), (True, 2), (False, 8), (True, 64)]) == 13
    assert effective([]) == NO_RIGHTS


NAMES = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=("Cc", "Cs")), min_size=1, max_size=40
)


@given(NAMES, NAMES, st.sampled_from(["", "+", "-"]), st.integers(0, int(ALL_RIGHTS)))
def test_set_acl_comes_back(mailbox, identifier, mode, bits):
    letters = "".join(letter for letter in format_rights(bits) if letter in LETTERS)
    command = b"a SETACL %b %b %b" % (
        build_mailbox(mailbox), build_astring(identifier.encode()), build_astring((mode + letters).encode())
    )  # fmt: skip
    expected = "INBOX" if mailbox.upper() == "INBOX" else mailbox
    command = command.replace(b"}\r\n", b"+}\r\n")
    assert parse(command) == acl.SetAclArguments(expected, identifier, mode, Rights(bits))


ENTRY = st.from_regex(r"/(private|shared)(/[a-z0-9_.-]{1,10}){1,4}", fullmatch=True)


@given(
    st.dictionaries(
        ENTRY, st.none() | st.binary(max_size=60).filter(lambda value: b"}\r\n" not in value), min_size=1, max_size=8
    )
)
def test_set_metadata_comes_back(values):
    pairs = b" ".join(b"%b %b" % (entry.encode(), build_nstring(value)) for entry, value in values.items())
    command = (b"a SETMETADATA INBOX (%b)" % pairs).replace(b"}\r\n", b"+}\r\n")
    assert parse(command) == Set("INBOX", tuple(values.items()))


@given(st.binary(max_size=60))
def test_nothing_else_is_raised(data):
    for name in (b"SETACL", b"LISTRIGHTS", b"SETQUOTA", b"GETQUOTA", b"GETMETADATA", b"SETMETADATA"):
        framer = Framer(WIDE)
        framer.feed(b"a " + name + b" " + data.replace(b"\n", b"") + b"\r\n")
        event = framer.next_event()
        if isinstance(event, CommandFrame):
            with contextlib.suppress(CommandError):
                parse_command(event, LIMITS)
