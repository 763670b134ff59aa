"""The grammar: every command example of RFC 3501 and the extensions, what clients get wrong, and parse(render(x)) == x."""

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.imap.commands.table import HANDLERS
from services.imap.protocol import arguments as a
from services.imap.protocol import search_keys as k
from services.imap.protocol import sequence_set
from services.imap.protocol.arguments import FetchItem, Section, SectionText, StatusItem, StoreMode
from services.imap.protocol.encode import build_astring, build_mailbox, build_string
from services.imap.protocol.fetch_grammar import section_label
from services.imap.protocol.framing import CommandFrame, Framer, FramingLimits, MessageLiteral
from services.imap.protocol.grammar import PARSERS, CommandError, parse_append_command, parse_command
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.sequence_set import SequenceSet
from services.imap.protocol.state import COMMANDS, REFUSALS, State, Updates, Verdict, judge
from shared.wire import mutf7

LIMITS = GrammarLimits()
WIDE = FramingLimits(
    line_octets=1 << 20, literal_octets=1 << 20, command_octets=1 << 20, literals=1000, message_literals=True
)


def frame(data):
    framer = Framer(WIDE)
    framer.feed(data + b"\r\n")
    event = framer.next_event()
    while not isinstance(event, CommandFrame | MessageLiteral):
        event = framer.next_event()
    return event.frame if isinstance(event, MessageLiteral) else event


def parse(data):
    return parse_command(frame(data), LIMITS)


def numbers(text):
    return sequence_set.parse(text, 1000)


def flag(name):
    return k.KeyFlag(k.SearchFlag[name])


DAY = k.KeyDate(k.DateField.INTERNAL, k.Comparison.SINCE, 8797)
HEADER = Section(text=SectionText.HEADER)
EXAMPLES = {
    # RFC 3501 §6.1
    b"abcd CAPABILITY": a.NoArguments(),
    b"a002 NOOP": a.NoArguments(),
    b"A023 LOGOUT": a.NoArguments(),
    # RFC 2971 §3.1
    b'a023 ID ("name" "sodr" "version" "19.34" "vendor" "Pink Floyd Music Limited")': a.IdArguments(
        ((b"name", b"sodr"), (b"version", b"19.34"), (b"vendor", b"Pink Floyd Music Limited"))
    ),
    b"a042 ID NIL": a.IdArguments(()),
    # RFC 3501 §6.2
    b"a002 STARTTLS": a.NoArguments(),
    b"A001 AUTHENTICATE GSSAPI": a.AuthenticateArguments("GSSAPI", None),
    b"C01 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=": a.AuthenticateArguments("PLAIN", b"dGVzdAB0ZXN0AHRlc3Q="),
    b"C01 AUTHENTICATE EXTERNAL =": a.AuthenticateArguments("EXTERNAL", b"="),
    b"a001 LOGIN SMITH SESAME": a.LoginArguments(b"SMITH", b"SESAME"),
    b"A001 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man": a.LoginArguments(b"FRED FOOBAR", b"fat man"),
    b'a login "a\\"b\\\\c" ""': a.LoginArguments(b'a"b\\c', b""),
    # RFC 3501 §6.3
    b"A142 SELECT INBOX": a.SelectArguments("INBOX"),
    b"A932 EXAMINE blurdybloop": a.SelectArguments("blurdybloop"),
    b"a SELECT inbox (CONDSTORE)": a.SelectArguments("INBOX", condstore=True),
    b"A003 CREATE owatagusiam/": a.CreateArguments("owatagusiam", trailing_delimiter=True),
    b"A004 CREATE owatagusiam/blurdybloop": a.CreateArguments("owatagusiam/blurdybloop"),
    b"t2 CREATE MySpecial (USE (\\Drafts))": a.CreateArguments("MySpecial", special_use="\\Drafts"),
    b"A683 DELETE blurdybloop": a.MailboxArguments("blurdybloop"),
    b"A684 DELETE foo.bar": a.MailboxArguments("foo.bar"),
    b"A683 RENAME blurdybloop sarasoon": a.RenameArguments("blurdybloop", "sarasoon"),
    b"Z433 RENAME INBOX old-mail": a.RenameArguments("INBOX", "old-mail"),
    b"A002 SUBSCRIBE #news.comp.mail.mime": a.MailboxArguments("#news.comp.mail.mime"),
    b"A002 UNSUBSCRIBE #news.comp.mail.mime": a.MailboxArguments("#news.comp.mail.mime"),
    b'A101 LIST "" ""': a.ListArguments("", ("",)),
    b'A102 LIST #news.comp.mail.misc ""': a.ListArguments("#news.comp.mail.misc", ("",)),
    b'A103 LIST /usr/staff/jones ""': a.ListArguments("/usr/staff/jones", ("",)),
    b"A202 LIST ~/Mail/ %": a.ListArguments("~/Mail/", ("%",)),
    b'A002 LSUB "#news." "comp.mail.*"': a.ListArguments("#news.", ("comp.mail.*",)),
    b'A003 LSUB "#news." "comp.%"': a.ListArguments("#news.", ("comp.%",)),
    b"A042 STATUS blurdybloop (UIDNEXT MESSAGES)": a.StatusArguments(
        "blurdybloop", (StatusItem.UIDNEXT, StatusItem.MESSAGES)
    ),
    # RFC 5258 §5, RFC 6154 §5, RFC 5819 §3
    b'A02 LIST (SUBSCRIBED) "" "*"': a.ListArguments("", ("*",), extended=True, select_subscribed=True),
    b'A03 LIST () "" "%" RETURN (CHILDREN)': a.ListArguments(
        "", ("%",), extended=True, returns=frozenset({a.ListReturn.CHILDREN})
    ),
    b'A04 LIST (REMOTE) "" "%" RETURN (CHILDREN)': a.ListArguments(
        "", ("%",), extended=True, returns=frozenset({a.ListReturn.CHILDREN})
    ),
    b'C02 LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"': a.ListArguments(
        "", ("%",), extended=True, select_subscribed=True, recursive_match=True
    ),
    b'BBB LIST "" ("INBOX" "Drafts" "Sent/%")': a.ListArguments("", ("INBOX", "Drafts", "Sent/%"), extended=True),
    b't3 LIST (SPECIAL-USE) "" "*"': a.ListArguments("", ("*",), extended=True, select_special_use=True),
    b't1 LIST "" "%" RETURN (SPECIAL-USE)': a.ListArguments(
        "", ("%",), extended=True, returns=frozenset({a.ListReturn.SPECIAL_USE})
    ),
    b'A01 LIST "" % RETURN (STATUS (MESSAGES UNSEEN))': a.ListArguments(
        "",
        ("%",),
        extended=True,
        returns=frozenset({a.ListReturn.STATUS}),
        status_items=(StatusItem.MESSAGES, StatusItem.UNSEEN),
    ),
    # RFC 5161 §3.1
    b"t2 ENABLE CONDSTORE X-GOOD-IDEA": a.EnableArguments(("CONDSTORE", "X-GOOD-IDEA")),
    # RFC 3501 §6.4
    b"FXXZ CHECK": a.NoArguments(),
    b"A341 CLOSE": a.NoArguments(),
    b"A202 EXPUNGE": a.NoArguments(),
    b"A101 UID EXPUNGE 3000:3002": a.UidExpungeArguments(numbers(b"3000:3002")),
    b'A282 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"': a.SearchArguments(
        k.KeyAnd((flag("FLAGGED"), DAY, k.KeyNot(k.KeyHeader("FROM", "Smith"))))
    ),
    b'A283 SEARCH TEXT "string not in mailbox"': a.SearchArguments(k.KeyText("string not in mailbox", header_too=True)),
    b"A284 SEARCH CHARSET UTF-8 TEXT {6+}\r\n\xed\x95\x9c\xea\xb8\x80": a.SearchArguments(
        k.KeyText("한글", header_too=True)
    ),
    # RFC 7162 §3.1.5
    b'a SEARCH MODSEQ "/flags/\\\\draft" all 620162338': a.SearchArguments(k.KeyModSeq(620162338), uses_modseq=True),
    b"t SEARCH OR NOT MODSEQ 720162338 LARGER 50000": a.SearchArguments(
        k.KeyOr(k.KeyNot(k.KeyModSeq(720162338)), k.KeySize(larger=True, octets=50000)), uses_modseq=True
    ),
    b"A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])": a.FetchArguments(
        numbers(b"2:4"), (FetchItem.FLAGS, Section(text=SectionText.HEADER_FIELDS, fields=(b"DATE", b"FROM")))
    ),
    b"a003 fetch 12 full": a.FetchArguments(
        numbers(b"12"),
        (FetchItem.FLAGS, FetchItem.INTERNALDATE, FetchItem.RFC822_SIZE, FetchItem.ENVELOPE, FetchItem.BODY),
    ),
    b"a004 fetch 12 body[header]": a.FetchArguments(numbers(b"12"), (HEADER,)),
    b"a FETCH 1 (BODY.PEEK[4.2.HEADER]<0.2048> RFC822.SIZE)": a.FetchArguments(
        numbers(b"1"),
        (Section((4, 2), SectionText.HEADER, partial=(0, 2048), peek=True), FetchItem.RFC822_SIZE),
    ),
    b"s100 UID FETCH 1:* (FLAGS MODSEQ) (CHANGEDSINCE 12345)": a.FetchArguments(
        numbers(b"1:*"), (FetchItem.FLAGS, FetchItem.MODSEQ), 12345
    ),
    b"A999 UID FETCH 4827313:4828442 FLAGS": a.FetchArguments(numbers(b"4827313:4828442"), (FetchItem.FLAGS,)),
    b"A003 STORE 2:4 +FLAGS (\\Deleted)": a.StoreArguments(
        numbers(b"2:4"), StoreMode.ADD, silent=False, flags=("\\Deleted",)
    ),
    b"d105 STORE 7,5,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\\Deleted)": a.StoreArguments(
        numbers(b"7,5,9"), StoreMode.ADD, silent=True, flags=("\\Deleted",), unchanged_since=320162338
    ),
    b"a005 store 12 flags \\deleted $Work": a.StoreArguments(
        numbers(b"12"), StoreMode.REPLACE, silent=False, flags=("\\deleted", "$Work")
    ),
    b"A003 COPY 2:4 MEETING": a.CopyArguments(numbers(b"2:4"), "MEETING"),
    b"a UID MOVE 42:69 foo": a.CopyArguments(numbers(b"42:69"), "foo"),
}


@pytest.mark.parametrize("data", EXAMPLES)
def test_examples(data):
    assert parse(data).arguments == EXAMPLES[data]


TOLERATED = {
    # what clients get wrong, and Dovecot takes
    b"a  NOOP": a.NoArguments(),
    b"a NOOP ": a.NoArguments(),
    b"a FETCH 1 (FLAGS  UID )": a.FetchArguments(numbers(b"1"), (FetchItem.FLAGS, FetchItem.UID)),
    b"a FETCH 1 (ALL BODY[])": a.FetchArguments(
        numbers(b"1"),
        (FetchItem.FLAGS, FetchItem.INTERNALDATE, FetchItem.RFC822_SIZE, FetchItem.ENVELOPE, Section()),
    ),
    b"a SELECT \xed\x8e\xb8\xec\xa7\x80": a.SelectArguments("편지"),
    b'a LIST "" *  ': a.ListArguments("", ("*",)),
    b"a SEARCH  ALL  ": a.SearchArguments(k.KeyAll()),
    b"a STATUS x ( MESSAGES )": a.StatusArguments("x", (StatusItem.MESSAGES,)),
}


@pytest.mark.parametrize("data", TOLERATED)
def test_tolerance(data):
    assert parse(data).arguments == TOLERATED[data]


WRONG = [
    *(
        b"",
        b" ",
        b"a",
        b"a ",
        b"+ NOOP",
        b"* NOOP",
        b"a NOOP x",
        b"a UID",
        b"a UID NOOP",
        b"a LOGIN x",
        b"a LOGIN x y z",
    ),
    *(b"a SELECT", b"a SELECT x (QRESYNC)", b"a STATUS x ()", b"a STATUS x (FOO)", b"a STATUS x", b"a LIST x"),
    *(b"a FETCH 1", b"a FETCH x FLAGS", b"a FETCH 0 FLAGS", b"a FETCH 1 ()", b"a FETCH 1 FOO", b"a FETCH 1 BODY[MIME]"),
    *(
        b"a FETCH 1 BODY[",
        b"a FETCH 1 BODY[0]",
        b"a FETCH 1 BODY[1.FOO]",
        b"a FETCH 1 BODY[]<1>",
        b"a FETCH 1 BODY[]<1.0>",
    ),
    *(
        b"a FETCH 1 BODY[HEADER.FIELDS ()]",
        b"a FETCH 1 (FLAGS",
        b"a FETCH 1 FLAGS (CHANGEDSINCE x)",
        b"a FETCH 1 BODY[1.]x",
    ),
    *(b"a STORE 1 FLAGS", b"a STORE 1 FLAG (x)", b"a STORE 1 FLAGS (\\Foo)", b"a STORE 1 (X 1) FLAGS (x)"),
    *(b"a SEARCH", b"a SEARCH FOO", b"a SEARCH OR ALL", b"a SEARCH (ALL", b"a SEARCH ALL)", b"a SEARCH ON 31-Feb-2000"),
    *(
        b"a SEARCH LARGER x",
        b"a SEARCH KEYWORD",
        b"a COPY 1",
        b"a COPY x y",
        b'a LOGIN "x y',
        b"a ID (x y)",
        b"a ENABLE",
    ),
    *(
        b'a LIST (RECURSIVEMATCH) "" *',
        b'a LIST (FOO) "" *',
        b'a LIST "" ()',
        b"a APPEND x",
        b"a UID EXPUNGE",
        b"a EXPUNGE 1",
    ),
    b"a SEARCH " + b"(" * 500,
    b"a SEARCH " + b"NOT " * 500 + b"ALL",
    b"a SEARCH " + b"ALL " * 5000,
    b"a FETCH 1 BODY[" + b"1." * 200 + b"1]",
    b"a FETCH " + b"1,3," * 20_001 + b"1 FLAGS",
]


@pytest.mark.parametrize("data", WRONG)
def test_bad(data):
    with pytest.raises(CommandError) as caught:
        parse(data)
    assert caught.value.reply.status == "BAD"
    assert caught.value.tag == (b"a" if data.startswith(b"a ") else caught.value.tag)


REFUSED = {
    b"a SELECT &x": "CANNOT",
    b"a SELECT {1+}\r\n\x01": "CANNOT",
    b"a SELECT " + b"x" * 1001: "LIMIT",
    b"a CREATE x (USE (\\Sent \\Trash))": "USEATTR",
}


@pytest.mark.parametrize("data", REFUSED)
def test_refused(data):
    with pytest.raises(CommandError) as caught:
        parse(data)
    assert (caught.value.reply.status, caught.value.reply.code) == ("NO", REFUSED[data])


# --- there and back ---

NAMES = st.text(st.characters(blacklist_categories=("Cc", "Cs")), max_size=20).filter(lambda n: n.upper() != "INBOX")
OCTETS = st.binary(max_size=30)
SETS = st.builds(
    SequenceSet, st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=5).map(tuple)
)
KEYWORDS = st.text("abcXYZ$0_-", min_size=1, max_size=8)
FLAGS = st.lists(st.one_of(KEYWORDS, st.sampled_from(["\\Seen", "\\Deleted"])), max_size=4).map(tuple)
PARTIALS = st.none() | st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 2**32 - 1))
FIELDS = st.lists(st.binary(min_size=1, max_size=6).map(bytes.upper), min_size=1, max_size=3).map(tuple)
PATHS = st.lists(st.integers(1, 50), max_size=4).map(tuple)
SECTIONS = st.one_of(
    st.builds(
        Section,
        PATHS,
        st.sampled_from([SectionText.ALL, SectionText.HEADER, SectionText.TEXT]),
        partial=PARTIALS,
        peek=st.booleans(),
    ),
    st.builds(Section, PATHS.filter(bool), st.just(SectionText.MIME), partial=PARTIALS, peek=st.booleans()),
    st.builds(
        Section,
        PATHS,
        st.sampled_from([SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT]),
        FIELDS,
        PARTIALS,
        st.booleans(),
    ),
)
ITEMS = st.lists(st.one_of(st.sampled_from(FetchItem), SECTIONS), min_size=1, max_size=5, unique=True).map(tuple)
MODSEQS = st.none() | st.integers(0, 2**63 - 1)
TEXTS = st.text(st.characters(blacklist_categories=("Cs",)), max_size=10)


def render_text(octets):
    """A string as clients send it: quoted if it can be, else a literal that does not wait."""
    return (
        build_string(octets).replace(b"}\r\n", b"+}\r\n", 1)
        if not octets.isascii() or b"\0" in octets
        else (build_string(octets) if not set(b"\r\n") & set(octets) else b"{%d+}\r\n%b" % (len(octets), octets))
    )


def render_section(section):
    label = section_label(Section(section.path, section.text)).removesuffix(b"]")
    if section.fields:
        label += b" (" + b" ".join(render_text(field) for field in section.fields) + b")"
    text = label + b"]"
    if section.partial is not None:
        text += b"<%d.%d>" % section.partial
    return text.replace(b"BODY[", b"BODY.PEEK[", 1) if section.peek else text


@given(SETS, ITEMS, MODSEQS)
def test_fetch_there_and_back(messages, items, since):
    texts = [item.value if isinstance(item, FetchItem) else render_section(item) for item in items]
    data = b"a UID FETCH " + sequence_set.render(messages) + b" (" + b" ".join(texts) + b")"
    if since is not None:
        data += b" (CHANGEDSINCE %d)" % since
    assert parse(data) == a.Command(b"a", "UID FETCH", a.FetchArguments(messages, items, since))


@given(SETS, st.sampled_from(StoreMode), st.booleans(), FLAGS, MODSEQS)
def test_store_there_and_back(messages, mode, silent, flags, since):
    data = b"a STORE " + sequence_set.render(messages) + b" "
    data += b"" if since is None else b"(UNCHANGEDSINCE %d) " % since
    data += mode.value.encode() + (b"FLAGS.SILENT" if silent else b"FLAGS") + b" (" + " ".join(flags).encode() + b")"
    assert parse(data).arguments == a.StoreArguments(messages, mode, silent, flags, since)


@given(NAMES, st.sampled_from(["SELECT", "EXAMINE"]))
def test_mailbox_there_and_back(name, command):
    data = b"a " + command.encode() + b" " + build_mailbox(name)
    assert parse(data).arguments == a.SelectArguments(name)
    assert mutf7.decode(mutf7.encode(name)) == name


@given(OCTETS, OCTETS)
@example(b"same", b"same")
def test_login_there_and_back(user, password):
    data = b"a LOGIN " + render_text(user) + b" " + render_text(password)
    assert parse(data).arguments == a.LoginArguments(user, password)
    # nothing of the password is in it, whatever else is
    assert repr(parse(data)) == repr(parse(b"a LOGIN " + render_text(user) + b" another"))


@given(st.binary(max_size=20))
def test_astring_is_one_token(octets):
    data = b"a LOGIN " + build_astring(octets).replace(b"}\r\n", b"+}\r\n", 1) + b" x"
    if b"\0" not in octets or b"{" in build_astring(octets):
        assert parse(data).arguments == a.LoginArguments(octets, b"x")


def outcome(function, whole):
    """How a command is answered; anything but a Command or a CommandError comes through."""
    try:
        function(whole, LIMITS)
    except CommandError as error:
        return error.reply.status
    return "OK"


@given(st.binary(max_size=60), st.sampled_from(sorted(PARSERS)))
def test_any_bytes_give_a_command_or_an_answer(rest, name):
    for data in (rest, b"a " + name.encode() + b" " + rest, b"a " + name.encode() + rest):
        fragments = data.replace(b"\n", b"").split(b"\r")
        whole = CommandFrame(tuple(fragments), tuple(b"x" for _ in fragments[1:]))
        for function in (parse_command, parse_append_command):
            assert outcome(function, whole) in ("OK", "BAD", "NO")


def test_mutated_examples_give_a_command_or_an_answer():
    dice = random.Random(1)
    for data in EXAMPLES:
        for _ in range(40):
            mutated = bytearray(data.replace(b"\r\n", b""))
            for _ in range(dice.randint(1, 3)):
                mutated[dice.randrange(len(mutated))] = dice.choice(b' ()[]<>{}"\\*%.:,0a\x00\xff')
            assert outcome(parse_command, CommandFrame((bytes(mutated),))) in ("OK", "BAD", "NO")


# --- the table ---


def test_tables_name_the_same_commands():
    assert set(COMMANDS) == set(PARSERS) == set(HANDLERS)


def test_every_cell_of_the_table():
    for name, rule in COMMANDS.items():
        for state in State:
            for read_only in (False, True):
                verdict = judge(name, state, read_only=read_only)
                if state is State.LOGOUT:
                    assert verdict is Verdict.OVER
                elif state not in rule.states:
                    assert verdict not in (Verdict.ALLOWED, Verdict.READ_ONLY)
                    assert REFUSALS[verdict][0] == "BAD"
                elif read_only and rule.writes:
                    assert (verdict is Verdict.READ_ONLY) == (state is State.SELECTED)
                else:
                    assert verdict is Verdict.ALLOWED
    assert judge("FOO", State.SELECTED, read_only=False) is Verdict.UNKNOWN


def test_message_numbers_are_refused_after_enable_uidonly():
    # RFC 9586 §3: every command that has a sibling by UID
    by_number = {name for name in COMMANDS if f"UID {name}" in COMMANDS and name not in ("EXPUNGE", "ESEARCH")}
    assert by_number == {name for name, rule in COMMANDS.items() if rule.by_number}
    assert by_number >= {"FETCH", "STORE", "SEARCH", "COPY", "MOVE"}
    for name in COMMANDS:
        verdict = judge(name, State.SELECTED, read_only=False, uidonly=True)
        assert (verdict is Verdict.UID_REQUIRED) == (name in by_number)
    assert REFUSALS[Verdict.UID_REQUIRED][0] == "BAD"
    assert REFUSALS[Verdict.UID_REQUIRED][1].startswith("[UIDREQUIRED] ")


def test_expunge_never_while_numbers_are_in_use():
    # RFC 3501 §7.4.1
    for name in ("FETCH", "STORE", "SEARCH"):
        assert COMMANDS[name].updates is Updates.NO_EXPUNGE
    for name in ("UID FETCH", "UID STORE", "UID SEARCH", "NOOP", "EXPUNGE", "IDLE", "CHECK", "MOVE"):
        assert COMMANDS[name].updates is Updates.ALL
