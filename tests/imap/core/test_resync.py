"""What a client says it knows, and what it is told in return; RFC 7162 §3.2.5, §3.2.6 and §7."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.imap.protocol import sequence_set
from services.imap.protocol.arguments import FetchArguments, FetchItem, SelectArguments
from services.imap.protocol.framing import CommandFrame
from services.imap.protocol.grammar import CommandError, parse_command
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.resync_grammar import KnownPairs, Resync
from services.imap.protocol.sequence_set import SequenceSet
from services.imap.resync import gaps, last_agreed_uid, within

LIMITS = GrammarLimits()


def parse(line, limits=LIMITS):
    return parse_command(CommandFrame((line,)), limits).arguments


def numbers(text):
    return sequence_set.parse(text, 1000)


GOOD = {
    # RFC 7162 §3.2.5, the examples
    b"A02 SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))": Resync(
        67890007, 20050715194045000, numbers(b"41,43:211,214:541")
    ),
    b"A03 SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541))": Resync(
        67890007, 90060115194045000, numbers(b"41:211,214:541")
    ),
    b"B04 SELECT INBOX (QRESYNC (67890007 90060115194045000 1:29997 (5000,7500,9000,9990:9999 15000,22500,27000,29970,"
    b"29973,29976,29979,29982,29985,29988,29991,29994,29997)))": Resync(
        67890007,
        90060115194045000,
        numbers(b"1:29997"),
        KnownPairs(
            numbers(b"5000,7500,9000,9990:9999"),
            numbers(b"15000,22500,27000,29970,29973,29976,29979,29982,29985,29988,29991,29994,29997"),
        ),
    ),
    b"a EXAMINE INBOX (qresync (1 2))": Resync(1, 2),
    b"a SELECT INBOX (QRESYNC (1 2 (1:3 4:6)))": Resync(1, 2, None, KnownPairs(numbers(b"1:3"), numbers(b"4:6"))),
}


@pytest.mark.parametrize(("line", "resync"), GOOD.items())
def test_select_with_qresync(line, resync):
    assert parse(line) == SelectArguments("INBOX", False, resync)


def test_select_with_both_parameters():
    assert parse(b"a SELECT x (CONDSTORE QRESYNC (1 2))") == SelectArguments("x", True, Resync(1, 2))


@pytest.mark.parametrize(
    "parameters",
    [
        b"QRESYNC",
        b"QRESYNC ()",
        b"QRESYNC (1)",
        b"QRESYNC (0 1)",
        b"QRESYNC (4294967296 1)",
        b"QRESYNC (1 9223372036854775808)",
        b"QRESYNC (1 2 1:*)",
        b"QRESYNC (1 2 *)",
        b"QRESYNC (1 2 1:3 (1:* 1:3))",
        b"QRESYNC (1 2 1:3 (1:2 1:3))",
        b"QRESYNC (1 2 1:3 (2,1 1:2))",
        b"QRESYNC (1 2 1:3 (1:2 4,3))",
        b"QRESYNC (1 2 1:3 (2:1 1:2))",
        b"QRESYNC (1 2 1:3 (1 1) x)",
        b"QRESYNC (1 2) QRESYNC (1 2)",
        b"QRESYNC 1 2",
        b"UNKNOWN",
    ],
)
def test_broken_parameters(parameters):
    with pytest.raises(CommandError) as failed:
        parse(b"a SELECT INBOX (" + parameters + b")")
    assert failed.value.reply.status == "BAD"


def test_too_many_ranges():
    many = b",".join(b"%d" % number for number in range(1, 2 * LIMITS.set_ranges + 3, 2))
    with pytest.raises(CommandError):
        parse(b"a SELECT INBOX (QRESYNC (1 2 " + many + b"))")


def test_uid_fetch_vanished():
    # RFC 7162 §3.2.6
    flags = (FetchItem.FLAGS,)
    line = b"s100 UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)"
    assert parse(line) == FetchArguments(numbers(b"300:500"), flags, 12345, True)
    assert parse(b"a UID FETCH 1 FLAGS (VANISHED CHANGEDSINCE 1)") == FetchArguments(numbers(b"1"), flags, 1, True)
    with pytest.raises(CommandError):
        parse(b"a UID FETCH 1 FLAGS (VANISHED)")


_UIDS = st.sets(st.integers(1, 200)).map(sorted)
_SPANS = st.lists(st.tuples(st.integers(1, 220), st.integers(1, 220)), max_size=5).map(
    lambda pairs: SequenceSet(tuple(pairs)).spans(220) if pairs else []
)


@given(_UIDS, _SPANS)
def test_gaps_are_what_is_not_there(uids, spans):
    found = list(gaps(uids, spans))
    expected = [uid for low, high in spans for uid in range(low, high + 1) if uid not in set(uids)]
    assert [uid for low, high in found for uid in range(low, high + 1)] == expected
    # compact: within a span no two ranges touch
    assert all(low > before + 1 for (_, before), (low, _) in itertools.pairwise(found)) or len(spans) > 1


@given(_UIDS, _SPANS)
def test_within(uids, spans):
    inside = {uid for low, high in spans for uid in range(low, high + 1)}
    assert within(uids, spans) == [uid for uid in uids if uid in inside]


def test_gaps_cost_follows_what_is_missing():
    class Counting(list):
        looks = 0

        def __getitem__(self, at):
            Counting.looks += 1
            return super().__getitem__(at)

    uids = Counting(uid for uid in range(1, 100_001) if uid not in (5, 77_777))
    assert list(gaps(uids, [(1, 100_000)])) == [(5, 5), (77_777, 77_777)]
    assert Counting.looks < 3000


def test_message_sequence_match_data():
    # RFC 7162 §3.2.5.2: the mailbox's fourth message has UID 8 as the client says, the twelfth has not
    told = [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 25]
    assert last_agreed_uid(KnownPairs(numbers(b"4,12"), numbers(b"8,24")), told) == 8
    assert last_agreed_uid(KnownPairs(numbers(b"4,11"), numbers(b"8,22")), told) == 22
    assert last_agreed_uid(KnownPairs(numbers(b"1"), numbers(b"3")), told) == 0
    assert last_agreed_uid(KnownPairs(numbers(b"100:200"), numbers(b"100:200")), told) == 0
    # ranges of any length cost nothing
    assert last_agreed_uid(KnownPairs(numbers(b"1:4000000000"), numbers(b"2:4000000001")), told) == 2


def test_names_in_utf8():
    plain, utf8 = GrammarLimits(), GrammarLimits(utf8_names=True)
    assert parse(b"a SELECT &vPSwuNO4ycDVaA-", plain).mailbox == "보낸편지함"
    assert parse(b"a SELECT &vPSwuNO4ycDVaA-", utf8).mailbox == "&vPSwuNO4ycDVaA-"
    for limits in (plain, utf8):
        # raw UTF-8 is understood in any case
        assert parse('a SELECT "보낸편지함"'.encode(), limits).mailbox == "보낸편지함"
    assert parse(b"a SELECT A&B", utf8).mailbox == "A&B"
    # RFC 6855 §3: a quoted string that is not UTF-8 is BAD
    with pytest.raises(CommandError) as failed:
        parse(b'a SELECT "\xff"', utf8)
    assert failed.value.reply.status == "BAD"
    with pytest.raises(CommandError) as failed:
        parse('a CREATE "a\u2028b"'.encode(), utf8)
    assert failed.value.reply.code == "CANNOT"


def test_what_enabling_takes_away():
    # RFC 6855 §3: no CHARSET after ENABLE UTF8=ACCEPT; RFC 9051 §6.3.11: no RECENT after ENABLE IMAP4rev2
    search, status = b"a SEARCH CHARSET UTF-8 ALL", b"a STATUS INBOX (RECENT)"
    assert parse(search)
    assert parse(status)
    for line, limits in ((search, GrammarLimits(utf8_accept=True)), (status, GrammarLimits(no_recent=True))):
        with pytest.raises(CommandError) as failed:
            parse(line, limits)
        assert failed.value.reply.status == "BAD"
