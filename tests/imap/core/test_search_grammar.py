"""Searching commands as they are read: what the RFCs print, what is refused, and render there and back."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.imap.protocol.arguments import FetchItem, Section, SectionText
from services.imap.protocol.framing import CommandFrame
from services.imap.protocol.grammar import CommandError, parse_command
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.search_arguments import (
    CancelUpdateArguments,
    PartialRange,
    ReturnOption,
    SortCriterion,
    SortField,
    Source,
    SourceKind,
    ThreadAlgorithm,
)
from services.imap.protocol.search_keys import (
    Comparison,
    DateField,
    KeyAge,
    KeyAll,
    KeyAnd,
    KeyDate,
    KeyFlag,
    KeyFuzzy,
    KeyHeader,
    KeyKeyword,
    KeyModSeq,
    KeyNot,
    KeyNumbers,
    KeyObject,
    KeyOr,
    KeySize,
    KeyText,
    KeyUids,
    SearchFlag,
)
from services.imap.protocol.sequence_set import SAVED_RESULT, SequenceSet, render

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def parse(line: bytes, **limits):
    return parse_command(CommandFrame((line,), ()), GrammarLimits(**limits))


def test_rfc5465_section7_update_with_items():
    fields = Section(text=SectionText.HEADER_FIELDS, fields=(b"TO", b"FROM"))
    for space in (b"", b" "):
        line = b"a00 SEARCH RETURN (COUNT UPDATE%b(UID BODY[HEADER.FIELDS (TO FROM)]) MIN) FROM boss" % space
        found = parse(line).arguments
        assert found.update_items == (FetchItem.UID, fields)
        assert found.returns == {ReturnOption.COUNT, ReturnOption.UPDATE, ReturnOption.MIN}
    assert parse(b"a SORT RETURN (UPDATE (FLAGS)) (DATE) UTF-8 ALL").arguments.update_items == (FetchItem.FLAGS,)
    found = parse(b"a ESEARCH IN (SELECTED PERSONAL) RETURN (UPDATE (UID)) ALL").arguments
    assert (found.update_items, len(found.sources)) == ((FetchItem.UID,), 2)
    assert parse(b"a SEARCH RETURN (UPDATE) ALL").arguments.update_items == ()
    for wrong in (b"UPDATE ()", b"UPDATE (FLAGS", b"UPDATE (NOTHING)", b"COUNT (UID)", b"UPDATE  (UID)"):
        with pytest.raises(CommandError) as caught:
            parse(b"a SEARCH RETURN (" + wrong + b") ALL")
        assert caught.value.reply.status == "BAD"


def test_rfc5256_section3_sort():
    found = parse(b"A283 SORT (SUBJECT REVERSE DATE) UTF-8 ALL").arguments
    assert found.sort == (SortCriterion(SortField.SUBJECT), SortCriterion(SortField.DATE, reverse=True))
    assert found.key == KeyAll()
    assert found.returns is None
    found = parse(b'A284 SORT (SUBJECT) US-ASCII TEXT "not in mailbox"').arguments
    assert found.key == KeyText("not in mailbox", header_too=True)
    found = parse(b"A283 THREAD ORDEREDSUBJECT UTF-8 SINCE 5-MAR-2000").arguments
    assert found.algorithm is ThreadAlgorithm.ORDEREDSUBJECT
    assert isinstance(found.key, KeyDate)


def test_rfc5267_and_rfc9394_return_options():
    found = parse(b"E01 UID SORT RETURN () (REVERSE DATE) UTF-8 UNDELETED UNKEYWORD $Junk").arguments
    assert found.returns == {ReturnOption.ALL}
    assert found.key == KeyAnd((KeyNot(KeyFlag(SearchFlag.DELETED)), KeyNot(KeyKeyword("$Junk"))))
    found = parse(b"A01 UID SEARCH RETURN (PARTIAL -1:-100) UNDELETED").arguments
    assert found.partial == PartialRange(1, 100, from_end=True)
    assert parse(b'B04 CANCELUPDATE "B01" C2').arguments == CancelUpdateArguments((b"B01", b"C2"))
    found = parse(b"10 UID FETCH 25900:26600 (UID FLAGS) (PARTIAL -1:-30 CHANGEDSINCE 98305)").arguments
    assert (found.partial, found.changed_since) == (PartialRange(1, 30, from_end=True), 98305)


def test_rfc7377_section3_sources():
    found = parse(b'tag1 ESEARCH IN (mailboxes "folder1" subtree "folder2") unseen').arguments
    assert found.sources == (
        Source(SourceKind.MAILBOXES, ("folder1",)),
        Source(SourceKind.SUBTREE, ("folder2",)),
    )
    assert found.returns == {ReturnOption.ALL}
    found = parse(
        b'tag2 ESEARCH IN (mailboxes (a b) subtree-one "folder2" personal) RETURN (COUNT) subject "chad"'
    ).arguments
    assert found.sources[0].names == ("a", "b")
    assert found.sources[1:] == (Source(SourceKind.SUBTREE_ONE, ("folder2",)), Source(SourceKind.PERSONAL))
    assert found.key == KeyHeader("SUBJECT", "chad")
    assert parse(b'tag1 UID ESEARCH FROM "frobozz" 1:100').arguments.sources == (Source(SourceKind.SELECTED),)


def test_rfc5182_section2_saved_result():
    assert parse(b"A283 FETCH $ FLAGS").arguments.messages == SAVED_RESULT
    assert parse(b'E283 COPY $ "Other Messages"').arguments.messages == SAVED_RESULT
    assert parse(b"F284 STORE $ +FLAGS.Silent (\\Deleted)").arguments.messages == SAVED_RESULT
    assert parse(b"A301 UID SEARCH UID $ SMALLER 4096").arguments.key == KeyAnd(
        (KeyUids(SAVED_RESULT), KeySize(False, 4096))
    )
    assert parse(b"P283 SEARCH CHARSET UTF-8 (OR $ 1,3000:3021) TEXT a").arguments.key.keys[0] == KeyOr(
        KeyNumbers(SAVED_RESULT), KeyNumbers(SequenceSet(((1, 1), (3000, 3021))))
    )
    assert parse(b"B283 SEARCH RETURN (SAVE) CHARSET KOI8-X (OR $ 1) TEXT x").arguments.bad_charset


@pytest.mark.parametrize("charset", [b"foo", b"rot13", b"unicode_escape", b"hex"])
def test_bad_charsets(charset):
    assert parse(b"a SEARCH CHARSET " + charset + b" ALL").arguments.bad_charset
    assert parse(b"a SORT (SUBJECT) " + charset + b" ALL").arguments.bad_charset


def test_rfc6203_relevancy_needs_fuzzy():
    found = parse(b'C1 SORT (RELEVANCY) UTF-8 FUZZY SUBJECT "Helo"').arguments
    assert found.key == KeyFuzzy(KeyHeader("SUBJECT", "Helo"))
    for wrong in (b"a SEARCH RETURN (RELEVANCY ALL) ALL", b"a SORT (RELEVANCY) UTF-8 ALL"):
        with pytest.raises(CommandError):
            parse(wrong)


@pytest.mark.parametrize(
    "line",
    [
        b"a SEARCH RETURN (PARTIAL 1:2 ALL) ALL",
        b"a SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL",
        b"a SEARCH RETURN (PARTIAL 1:-2) ALL",
        b"a SEARCH RETURN (PARTIAL 0:2) ALL",
        b"a SEARCH RETURN (PARTIAL 1:*) ALL",
        b"a SEARCH RETURN (FOO) ALL",
        b"a SEARCH RETURN (MIN",
        b"a SORT ALL",
        b"a SORT () UTF-8 ALL",
        b"a SORT (FOO) UTF-8 ALL",
        b"a SORT (REVERSE) UTF-8 ALL",
        b"a SORT (SUBJECT) UTF-8",
        b"a SORT (" + b"DATE " * 21 + b"SIZE) UTF-8 ALL",
        b"a THREAD FOO UTF-8 ALL",
        b"a ESEARCH IN (selected-delayed) ALL",
        b"a ESEARCH IN () ALL",
        b"a ESEARCH IN (mailboxes ()) ALL",
        b"a ESEARCH IN (personal (x y)) ALL",
        b"a ESEARCH IN (personal) RETURN (SAVE) ALL",
        b"a ESEARCH IN (personal) RETURN (UPDATE) ALL",
        b"a CANCELUPDATE",
        b"a SEARCH OLDER 0",
        b"a SEARCH 1,$",
        b"a SEARCH TEXT " + b"x" * 4097,
        b"a SEARCH EMAILID",
        b"a FETCH 1 FLAGS (PARTIAL 1)",
    ],
)
def test_bad(line):
    with pytest.raises(CommandError) as caught:
        parse(line)
    assert caught.value.reply.status == "BAD"


def test_limits_of_lists():
    for line in (
        b"a ESEARCH IN (mailboxes (" + b"x " * 30 + b")) ALL",
        b"a ESEARCH IN (" + b"personal " * 30 + b") ALL",
        b"a CANCELUPDATE" + b" x" * 30,
    ):
        with pytest.raises(CommandError):
            parse(line, list_items=20)
        parse(line, list_items=100)


# --- there and back ---

SETS = st.builds(
    SequenceSet,
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=4).map(tuple),
) | st.just(SAVED_RESULT)
TEXTS = st.text('abc XYZ"\\é한()', max_size=8)
WORDS = st.text("ABC-", min_size=1, max_size=8)
LEAVES = st.one_of(
    st.just(KeyAll()),
    st.builds(KeyFlag, st.sampled_from(SearchFlag)),
    st.builds(KeyKeyword, st.text("abc$", min_size=1, max_size=5)),
    st.builds(KeyNumbers, SETS),
    st.builds(KeyUids, SETS),
    st.builds(KeyDate, st.sampled_from(DateField), st.sampled_from(Comparison), st.integers(0, 20000)),
    st.builds(KeySize, st.booleans(), st.integers(0, 2**40)),
    st.builds(KeyHeader, WORDS, TEXTS),
    st.builds(KeyText, TEXTS, st.booleans()),
    st.builds(KeyModSeq, st.integers(0, 2**62)),
    st.builds(KeyAge, st.booleans(), st.integers(1, 2**31)),
    st.builds(KeyObject, st.booleans(), st.text("abc_-09", min_size=1, max_size=20)),
)
KEYS = st.recursive(
    LEAVES,
    lambda keys: st.one_of(
        st.builds(KeyNot, keys),
        st.builds(KeyOr, keys, keys),
        st.builds(KeyFuzzy, keys),
        st.builds(KeyAnd, st.lists(keys, min_size=2, max_size=4).map(tuple)),
    ),
    max_leaves=12,
)


def quoted(text: str) -> bytes:
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


def date(day: int) -> bytes:
    from datetime import date as calendar

    when = calendar.fromordinal(day + calendar(1970, 1, 1).toordinal())
    return f"{when.day}-{MONTHS[when.month - 1]}-{when.year}".encode()


def render_key(key) -> bytes:
    match key:
        case KeyAll():
            return b"ALL"
        case KeyFlag(flag):
            return flag.name.encode()
        case KeyKeyword(keyword):
            return b"KEYWORD " + keyword.encode()
        case KeyNumbers(messages):
            return render(messages)
        case KeyUids(uids):
            return b"UID " + render(uids)
        case KeyDate(field, comparison, day):
            prefix = {DateField.INTERNAL: "", DateField.SENT: "SENT", DateField.SAVED: "SAVED"}[field]
            return f"{prefix}{comparison.name} ".encode() + date(day)
        case KeySize(larger, octets):
            return b"%b %d" % (b"LARGER" if larger else b"SMALLER", octets)
        case KeyHeader(field, text):
            return b"HEADER " + field.encode() + b" " + quoted(text)
        case KeyText(text, header_too):
            return (b"TEXT " if header_too else b"BODY ") + quoted(text)
        case KeyModSeq(modseq):
            return b"MODSEQ %d" % modseq
        case KeyAge(older, seconds):
            return b"%b %d" % (b"OLDER" if older else b"YOUNGER", seconds)
        case KeyObject(thread, name):
            return (b"THREADID " if thread else b"EMAILID ") + name.encode()
        case KeyFuzzy(inner):
            return b"FUZZY " + render_key(inner)
        case KeyNot(inner):
            return b"NOT " + render_key(inner)
        case KeyOr(left, right):
            return b"OR " + render_key(left) + b" " + render_key(right)
        case KeyAnd(keys):
            return b"(" + b" ".join(map(render_key, keys)) + b")"
    raise AssertionError(key)


@given(KEYS)
def test_keys_there_and_back(key):
    assert parse(b"a UID SEARCH CHARSET UTF-8 " + render_key(key)).arguments.key == key


WORD = st.sampled_from(
    b'a SEARCH SORT THREAD ESEARCH UID RETURN ( ) IN PARTIAL 1:2 -1:-2 $ MIN FUZZY NOT OR TEXT mailboxes DATE REVERSE UTF-8 x "'.split()
)


@given(
    st.lists(WORD | st.binary(max_size=4), max_size=15),
    st.sampled_from([b"SEARCH", b"SORT", b"THREAD", b"ESEARCH", b"CANCELUPDATE"]),
)
def test_nothing_else_is_raised(words, name):
    line = b"a " + name + b" " + b" ".join(words)
    with suppress(CommandError):
        parse(line.replace(b"\r", b"").replace(b"\n", b""))
