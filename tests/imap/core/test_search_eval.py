"""Keys on columns against a plain evaluation, what keys become when a search begins, responses, saved results and contexts."""

from array import array

import trio
from hypothesis import given
from hypothesis import strategies as st

from services.imap.commands.search import Outcome, _saved, _told_numbers
from services.imap.progress import Progress
from services.imap.protocol.arguments import FetchItem
from services.imap.protocol.search_arguments import PartialRange, ReturnOption
from services.imap.protocol.search_keys import (
    Comparison,
    DateField,
    KeyAge,
    KeyAll,
    KeyAnd,
    KeyArrived,
    KeyDate,
    KeyFlag,
    KeyFuzzy,
    KeyHeader,
    KeyKeyword,
    KeyModSeq,
    KeyNot,
    KeyNumbers,
    KeyOr,
    KeySize,
    KeyText,
    KeyUids,
    SearchFlag,
)
from services.imap.protocol.search_responses import (
    Correlator,
    Results,
    build_esearch,
    build_search,
    build_sort,
    compact_in_order,
)
from services.imap.protocol.sequence_set import SAVED_RESULT, SequenceSet
from services.imap.relevancy import scores
from services.imap.search_columns import SLICE_MESSAGES, ColumnKeys, Snapshot, snapshot_of, take_snapshot
from services.imap.search_contexts import MAX_CONTEXTS, MAX_RESULTS, MAX_SORTED, SearchContext, SearchContexts
from services.imap.search_prepare import Moment, fuzzy_texts, names_numbers, prepare
from services.imap.searching import find
from services.imap.updates import Selected
from services.imap.view import Columns
from shared.contract.types import ChangesPage
from shared.model.ids import MailboxId, ModSeq, Uid
from shared.model.packed import U32, pack_i64, pack_u32, pack_u64

SEEN, DELETED = 1, 8
DAY = 86400


def page(rows=(), vanished=(), keywords=("a", "b")):
    """``rows``: UID, flags, modseq, size, date."""
    columns = list(zip(*rows, strict=True)) or [()] * 5
    return ChangesPage(
        uids=pack_u32(columns[0]),
        flags=pack_u64(columns[1]),
        modseqs=pack_u64(columns[2]),
        sizes=pack_u32(columns[3]),
        internal_dates=pack_i64(columns[4]),
        vanished=pack_u32(vanished),
        keywords=tuple(keywords),
        uid_next=Uid(max(columns[0], default=0) + 1),
        highest_modseq=ModSeq(max(columns[2], default=0)),
        more=False,
    )


def make(rows):
    columns = Columns(MailboxId(1), 1)
    columns.apply_page(page(rows))
    return columns


def told(columns):
    return Selected(columns, read_only=False, first_recent_uid=4)


# --- columns ---

UIDS = st.builds(
    lambda pairs: SequenceSet(tuple(pairs)),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=3),
)
LEAVES = st.one_of(
    st.just(KeyAll()),
    st.builds(KeyFlag, st.sampled_from(SearchFlag)),
    st.builds(KeyKeyword, st.sampled_from(["A", "b", "c"])),
    st.builds(KeyNumbers, UIDS),
    st.builds(KeyUids, UIDS),
    st.builds(KeySize, st.booleans(), st.integers(0, 4)),
    st.builds(KeyModSeq, st.integers(0, 6)),
    st.builds(KeyDate, st.just(DateField.INTERNAL), st.sampled_from(Comparison), st.integers(-1, 3)),
    st.builds(KeyAge, st.booleans(), st.integers(1, 3 * DAY)),
)
KEYS = st.recursive(
    LEAVES,
    lambda keys: st.one_of(
        st.builds(KeyNot, keys),
        st.builds(KeyOr, keys, keys),
        st.builds(KeyFuzzy, keys),
        st.builds(KeyAnd, st.lists(keys, min_size=2, max_size=4).map(tuple)),
    ),
    max_leaves=8,
)
NOW = 3 * DAY


def within(messages, number, largest):
    return any(low <= number <= high for low, high in messages.spans(largest))


def plain(key, number, row, rows, recent):
    uid, flags, modseq, size, date = row
    again = lambda inner: plain(inner, number, row, rows, recent)  # noqa: E731
    match key:
        case KeyAll():
            return True
        case KeyFlag(SearchFlag.RECENT):
            return uid >= recent
        case KeyFlag(flag):
            return bool(flags & flag_bits()[flag])
        case KeyKeyword(name):
            return name.lower() in ("a", "b") and bool(flags >> (keyword_bit() + "ab".index(name.lower())) & 1)
        case KeyNumbers(messages):
            return within(messages, number, len(rows))
        case KeyUids(messages):
            return within(messages, uid, rows[-1][0])
        case KeySize(larger, octets):
            return size > octets if larger else size < octets
        case KeyModSeq(least):
            return modseq >= least
        case KeyDate(_, comparison, day):
            mine = date // DAY
            return {Comparison.BEFORE: mine < day, Comparison.ON: mine == day, Comparison.SINCE: mine >= day}[
                comparison
            ]
        case KeyAge(older, seconds):
            return date <= NOW - seconds if older else date > NOW - seconds
        case KeyNot(inner):
            return not again(inner)
        case KeyFuzzy(inner):
            return again(inner)
        case KeyOr(left, right):
            return again(left) or again(right)
        case KeyAnd(keys):
            return all(map(again, keys))
    raise AssertionError(key)


def flag_bits():
    from services.imap.search_columns import _BITS

    return _BITS


def keyword_bit():
    from shared.model.flags import FIRST_KEYWORD_BIT

    return FIRST_KEYWORD_BIT


@st.composite
def mailboxes(draw):
    uids = sorted(draw(st.sets(st.integers(1, 10), max_size=6)))
    bits = [0, 1, 2, 4, 8, 16, 1 << keyword_bit(), 2 << keyword_bit()]
    return [
        (
            uid,
            sum(draw(st.sets(st.sampled_from(bits), max_size=4))),
            draw(st.integers(1, 6)),
            draw(st.integers(0, 4)),
            draw(st.integers(-DAY, 3 * DAY)),
        )
        for uid in uids
    ]


def search(snapshot, key):
    found = []

    async def run():
        found.extend(await find(None, snapshot, key))

    trio.run(run)
    return found


@given(mailboxes(), KEYS)
def test_columns_as_a_plain_evaluation(rows, key):
    selected = told(make(rows))
    snapshot = take_snapshot(selected)
    prepared = prepare(key, Moment(selected.told, SequenceSet(()), NOW))
    expected = [at for at, row in enumerate(rows) if plain(key, at + 1, row, rows, 4)]
    assert search(snapshot, prepared) == expected
    test = ColumnKeys(snapshot).test(prepared)
    assert [at for at in range(len(rows)) if test(at)] == expected


FLAG_KEYS = st.builds(KeyFlag, st.sampled_from(SearchFlag))


@given(mailboxes(), st.lists(FLAG_KEYS | st.builds(KeyNot, FLAG_KEYS), min_size=1, max_size=4))
def test_flags_alone_as_a_plain_evaluation(rows, keys):
    selected = told(make(rows))
    expected = [at for at, row in enumerate(rows) if all(plain(key, at + 1, row, rows, 4) for key in keys)]
    assert search(take_snapshot(selected), KeyAnd(tuple(keys))) == expected
    # a session that is behind has its columns as lists
    selected.columns.apply_page(page(vanished=[rows[0][0]] if rows else ()))
    left = {row[0] for row in rows[1:]}
    behind = take_snapshot(selected)
    found = search(behind, KeyAnd(tuple(keys)))
    assert [behind.uids[at] for at in found] == [rows[at][0] for at in expected if rows[at][0] in left]


def test_a_large_mailbox_goes_in_slices():
    count = SLICE_MESSAGES * 2 + 5
    snapshot = snapshot_of(make([(uid, SEEN if uid % 2 else 0, 1, 1, 0) for uid in range(1, count + 1)]))
    pieces = list(ColumnKeys(snapshot).slices([KeyFlag(SearchFlag.SEEN)]))
    assert len(pieces) == 3
    assert [index for piece in pieces for index in piece] == list(range(0, count, 2))
    assert search(snapshot, KeyFlag(SearchFlag.SEEN)) == list(range(0, count, 2))
    # what a set of UIDs does not name is not looked at
    assert [list(piece) for piece in ColumnKeys(snapshot).slices([KeyUids(SequenceSet(((5, 6),)))])] == [[4, 5]]


def test_what_is_expunged_but_still_told_is_not_found():
    columns = make([(uid, 0, 1, 1, 0) for uid in (1, 2, 3)])
    selected = told(columns)
    columns.apply_page(page(vanished=[2]))
    snapshot = take_snapshot(selected)
    assert list(snapshot.numbers) == [1, 3]
    key = prepare(KeyNumbers(SequenceSet(((2, 3),))), Moment(selected.told, SequenceSet(()), 0))
    assert [snapshot.uids[at] for at in search(snapshot, key)] == [3]


# --- preparing ---


def test_keys_at_the_moment_of_the_search():
    moment = Moment([3, 7, 9], SequenceSet(((3, 3),)), 1000)
    assert prepare(KeyNumbers(SequenceSet(((2, 0),))), moment) == KeyUids(SequenceSet(((7, 9),)))
    assert prepare(KeyNumbers(SequenceSet(((3, 9), (7, 8)))), moment) == KeyUids(SequenceSet(((9, 9),)))
    assert prepare(KeyNumbers(SAVED_RESULT), moment) == KeyUids(SequenceSet(((3, 3),)))
    assert prepare(KeyUids(SAVED_RESULT), moment) == KeyUids(SequenceSet(((3, 3),)))
    assert prepare(KeyUids(SequenceSet(((0, 0),))), moment) == KeyUids(SequenceSet(((9, 9),)))
    assert prepare(KeyAge(True, 10), moment) == KeyArrived(True, 990)
    fuzzy = prepare(KeyFuzzy(KeyHeader("SUBJECT", "IMAP  break")), moment)
    assert fuzzy == KeyAnd((KeyHeader("SUBJECT", "imap"), KeyHeader("SUBJECT", "break")))
    assert prepare(KeyFuzzy(KeyText("one", True)), moment) == KeyText("one", True)
    nested = KeyAnd((KeyAnd((KeyAll(), KeyAll())), KeyAll()))
    assert prepare(nested, moment) == KeyAnd((KeyAll(),) * 3)


def test_what_is_in_a_key():
    key = KeyAnd((KeyFuzzy(KeyOr(KeyText("a", True), KeyNot(KeyText("b", True)))), KeyText("c", False)))
    assert list(fuzzy_texts(key)) == [KeyText("a", True)]
    assert names_numbers(KeyNot(KeyOr(KeyAll(), KeyFuzzy(KeyNumbers(SequenceSet(((1, 1),)))))))
    assert not names_numbers(KeyAnd((KeyUids(SequenceSet(((1, 1),))), KeyNumbers(SAVED_RESULT))))


def test_scores():
    assert scores([0, 0, 2, 1], [1, 2, 0, 0]) == [17, 34, 100, 67]
    assert scores([0], [5]) == [100]
    assert scores([], []) == []
    many = scores([0] * 500, list(range(500)))
    assert min(many) >= 1
    assert max(many) == 100


# --- responses ---

TAG = Correlator(b"A1", by_uid=False)
ALL = frozenset(ReturnOption)


def test_esearch_of_rfc4731_section3():
    numbers = [2, 10, 11, 12, 13, 14, 15, 21]

    def build(*options, partial=None, modseq=None, numbers=numbers, correlator=TAG):
        return build_esearch(correlator, Results(numbers, frozenset(options), partial, modseq))

    assert build(ReturnOption.MIN, ReturnOption.COUNT) == b'* ESEARCH (TAG "A1") MIN 2 COUNT 8\r\n'
    assert build(ReturnOption.ALL) == b'* ESEARCH (TAG "A1") ALL 2,10:15,21\r\n'
    assert build(ReturnOption.MAX, modseq=7) == b'* ESEARCH (TAG "A1") MAX 21 MODSEQ 7\r\n'
    assert build(ReturnOption.ALL, ReturnOption.MIN, numbers=[], modseq=0) == b'* ESEARCH (TAG "A1")\r\n'
    assert build(ReturnOption.COUNT, numbers=[]) == b'* ESEARCH (TAG "A1") COUNT 0\r\n'
    # RFC 9394 §3.1
    assert build(partial=PartialRange(3, 2)) == b'* ESEARCH (TAG "A1") PARTIAL (3:2 10:11)\r\n'
    assert build(partial=PartialRange(1, 2, True)) == b'* ESEARCH (TAG "A1") PARTIAL (-1:-2 15,21)\r\n'
    assert build(partial=PartialRange(9, 12)) == b'* ESEARCH (TAG "A1") PARTIAL (9:12 NIL)\r\n'
    # RFC 7377 §2.1
    elsewhere = Correlator(b'x"', True, "받은", 7)
    assert build(ReturnOption.COUNT, correlator=elsewhere) == (
        b'* ESEARCH (TAG "x\\"" MAILBOX &vBvHQA- UIDVALIDITY 7) UID COUNT 8\r\n'
    )


def test_ranges_keep_the_order():
    assert compact_in_order([23765, 23764, 23763, 23761]) == b"23765,23764,23763,23761"
    assert compact_in_order([5, 6, 7, 3, 4, 4]) == b"5:7,3:4,4"
    assert build_sort([], None) == b"* SORT\r\n"
    assert build_sort([5, 3], 9) == b"* SORT 5 3 (MODSEQ 9)\r\n"
    assert build_search([], 9) == b"* SEARCH\r\n"


@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(19_990, 20_010) | st.integers(0, 99)), st.none() | st.just(7))
def test_numbers_are_written_in_decimals(numbers, modseq):
    end = f" (MODSEQ {modseq})" if modseq is not None and numbers else ""
    assert build_search(array("I", numbers), modseq).decode() == "".join(
        ["* SEARCH", *(f" {number}" for number in numbers), end, "\r\n"]
    )


def test_a_result_in_the_order_of_the_numbers():
    snapshot = snapshot_of(make([(uid, 0, 1, 1, 0) for uid in (3, 5, 8, 9)]))
    for order in ([], [2], [0, 1, 2, 3], [1, 2], [0, 3]):
        outcome = Outcome(snapshot, KeyAll(), order, order, (), None)
        assert list(_told_numbers(snapshot.uids, outcome)) == [snapshot.uids[at] for at in order]
        assert list(_told_numbers(snapshot.numbers, outcome)) == [at + 1 for at in order]
    # sorted, with ends as those of a run
    sorted_outcome = Outcome(snapshot, KeyAll(), [0, 1, 2, 3], [0, 2, 1, 3], (), None)
    assert list(_told_numbers(snapshot.uids, sorted_outcome)) == [3, 8, 5, 9]


@given(st.integers(1, 9), st.integers(1, 9), st.booleans(), st.integers(0, 9))
def test_partial_ranges(first, last, from_end, count):
    start, stop = PartialRange(first, last, from_end).slice_of(count)
    wanted = range(min(first, last), max(first, last) + 1)
    positions = [count - at if from_end else at - 1 for at in wanted]
    assert list(range(count))[start:stop] == sorted(at for at in positions if 0 <= at < count)


def test_progress():
    written = []
    now = [0.0]

    async def write(line):
        written.append(line)

    async def run():
        progress = Progress(b"t", write, lambda: now[0])
        progress.total = 10
        await progress.note(3)
        now[0] = 6.0
        await progress.note(3)
        await progress.note(1)
        now[0] = 12.0
        await progress.note(9)

    trio.run(run)
    assert written == [
        b'* OK [INPROGRESS ("t" 6 10)] Still searching\r\n',
        b'* OK [INPROGRESS ("t" 9 10)] Still searching\r\n',
    ]


# --- the saved result ---


def outcome(snapshot, found):
    return Outcome(snapshot, KeyAll(), found, found, (), None)


@given(mailboxes(), st.data())
def test_a_saved_result_is_right_through_expunges(rows, data):
    columns = make(rows)
    selected = told(columns)
    snapshot = take_snapshot(selected)
    found = [at for at in range(len(rows)) if data.draw(st.booleans())]
    selected.saved = _saved(outcome(snapshot, found), frozenset({ReturnOption.SAVE}), None)
    expected = {rows[at][0] for at in found}
    assert set(selected.uids_of(selected.resolve(SAVED_RESULT, by_uid=False))) == expected
    gone = {row[0] for row in rows if data.draw(st.booleans())}
    columns.apply_page(page([(20, 0, 9, 0, 0)], vanished=sorted(gone)))
    selected.render(expunge=True)
    assert set(selected.uids_of(selected.resolve(SAVED_RESULT, by_uid=True))) == expected - gone


def test_what_is_saved_by_return_options():
    """RFC 5182 §2.4, RFC 9394 §3.2."""
    snapshot = snapshot_of(make([(uid, 0, 1, 1, 0) for uid in (2, 4, 6, 8, 10)]))
    found = range(5)
    option = ReturnOption

    def saved(*options, partial=None):
        ranges = _saved(outcome(snapshot, found), frozenset({option.SAVE, *options}), partial).ranges
        return [uid for uid in snapshot.uids if any(low <= uid <= high for low, high in ranges)]

    assert saved() == [2, 4, 6, 8, 10]
    assert saved(option.MIN) == [2]
    assert saved(option.MAX) == [10]
    assert saved(option.MIN, option.MAX) == [2, 10]
    assert saved(option.MIN, option.COUNT) == [2, 4, 6, 8, 10]
    assert saved(option.ALL, option.MAX) == [2, 4, 6, 8, 10]
    assert saved(option.PARTIAL, partial=PartialRange(2, 3)) == [4, 6]
    assert saved(option.PARTIAL, option.MAX, partial=PartialRange(2, 3)) == [4, 6, 10]
    assert saved(option.PARTIAL, partial=PartialRange(8, 9)) == []
    assert saved(option.PARTIAL, option.COUNT, partial=PartialRange(2, 3)) == [2, 4, 6, 8, 10]
    none = Snapshot((), snapshot.uids[:0], (), (), (), (), (), 1)
    assert _saved(outcome(none, ()), frozenset({option.SAVE, option.MIN}), None) == SequenceSet(())


# --- contexts ---


def follow(selected, contexts, *, expunge=True):
    """What is told after a change, as ``updating.write_updates`` does."""
    pieces = []

    async def run():
        await contexts.catch_up(None)
        pieces.append(contexts.render_gone())
        pieces.append(selected.render(expunge=expunge))
        pieces.append(contexts.render_changes())

    trio.run(run)
    return b"".join(pieces)


def start(selected, key, by_uid=True, tag=b"B1"):
    contexts = SearchContexts(selected)
    keep(selected, contexts, key, by_uid, tag)
    return contexts


def keep(selected, contexts, key, by_uid, tag, items=()):
    from array import array

    snapshot = take_snapshot(selected)
    uids = array(U32, [snapshot.uids[at] for at in search(snapshot, key)])
    columns = selected.columns
    contexts.add(
        SearchContext(Correlator(tag, by_uid), key, (), uids, items=items),
        columns.generation,
        columns.uids[-1] if columns.uids else 0,
    )


def test_contexts_follow_flags_arrivals_and_expunges():
    columns = make([(uid, 0, 1, 1, 0) for uid in (1, 2, 3)])
    selected = told(columns)
    contexts = start(selected, KeyFlag(SearchFlag.SEEN))
    assert follow(selected, contexts) == b""
    columns.apply_page(page([(2, SEEN, 2, 1, 0), (5, SEEN, 3, 1, 0)]))
    assert follow(selected, contexts).splitlines() == [
        b"* 2 FETCH (UID 2 FLAGS (\\Seen))",
        b"* 4 EXISTS",
        b"* 1 RECENT",
        b'* ESEARCH (TAG "B1") UID ADDTO (0 2,5)',
    ]
    columns.apply_page(page([(2, 0, 4, 1, 0)]))
    assert b'* ESEARCH (TAG "B1") UID REMOVEFROM (0 2)\r\n' in follow(selected, contexts)
    columns.apply_page(page(vanished=[5]))
    assert follow(selected, contexts, expunge=False) == b'* ESEARCH (TAG "B1") UID REMOVEFROM (0 5)\r\n'
    assert follow(selected, contexts).startswith(b"* 4 EXPUNGE\r\n")
    assert contexts.cancel(b"B1")
    assert not contexts.cancel(b"B1")


def test_what_is_told_of_new_messages_among_the_results():
    # RFC 5465 §7
    columns = make([(uid, 0, 1, 1, 0) for uid in (1, 2)])
    selected = told(columns)
    contexts = SearchContexts(selected)
    for tag, key, items in (
        (b"A", KeyFlag(SearchFlag.SEEN), (FetchItem.UID,)),
        (b"B", KeyAll(), (FetchItem.FLAGS,)),
        (b"C", KeyAll(), ()),
    ):
        keep(selected, contexts, key, True, tag, items)
    # 1: only its flags; 5, 6: new; 7: filed by the client itself; 8: new, and gone before it was told
    columns.apply_page(page([(1, SEEN, 2, 1, 0), *((uid, SEEN * (uid != 6), 3, 1, 0) for uid in (5, 6, 7, 8))]))

    async def catch_up():
        await contexts.catch_up(None, {7})
        contexts.render_gone()

    trio.run(catch_up)
    columns.apply_page(page(vanished=[8]))
    # not told yet
    assert contexts.take_fresh() == {}
    selected.render(expunge=True)
    assert contexts.take_fresh() == {5: (FetchItem.UID, FetchItem.FLAGS), 6: (FetchItem.FLAGS,)}
    assert contexts.take_fresh() == {}
    assert b'(TAG "A") UID ADDTO (0 1,5,7)' in contexts.render_changes()
    columns.apply_page(page([(6, SEEN, 4, 1, 0)]))
    trio.run(catch_up)
    selected.render(expunge=True)
    assert contexts.take_fresh() == {}
    # nothing is remembered for ever
    assert not any(context.fresh for context in contexts._contexts.values())


def test_numbers_are_those_of_the_client():
    columns = make([(uid, SEEN, 1, 1, 0) for uid in (1, 2, 3)])
    selected = told(columns)
    contexts = start(selected, KeyFlag(SearchFlag.SEEN), by_uid=False)
    columns.apply_page(page([(9, SEEN, 3, 1, 0)], vanished=[1, 3]))
    lines = follow(selected, contexts).splitlines()
    assert lines[0] == b'* ESEARCH (TAG "B1") REMOVEFROM (0 1,3)'
    assert lines[-1] == b'* ESEARCH (TAG "B1") ADDTO (0 2)'


@given(mailboxes(), st.lists(st.tuples(st.integers(1, 12), st.integers(0, 2)), max_size=12), st.booleans())
def test_a_client_that_follows_has_what_a_search_finds(rows, steps, by_uid):
    columns = make(rows)
    selected = told(columns)
    key = KeyFlag(SearchFlag.SEEN)
    contexts = start(selected, key, by_uid)
    client = {selected.told[at] for at in search(take_snapshot(selected), key)}
    modseq = 10
    for uid, change in steps:
        modseq += 1
        if change == 2:
            columns.apply_page(page(vanished=[uid]))
        elif columns.position(uid) >= 0 or uid > (columns.uid_next - 1):
            columns.apply_page(page([(uid, change, modseq, 1, 0)]))
        before = list(selected.told)
        for line in follow(selected, contexts).splitlines():
            if b"ESEARCH" not in line:
                continue
            added = b"ADDTO" in line
            numbers = line.rsplit(b" ", 1)[1].rstrip(b")")
            named = [
                n
                for part in numbers.split(b",")
                for n in range(int(part.split(b":")[0]), int(part.split(b":")[-1]) + 1)
            ]
            uids = set(named) if by_uid else {(selected.told if added else before)[n - 1] for n in named}
            client = client | uids if added else client - uids
        assert client == {selected.told[at] for at in search(take_snapshot(selected), key)}


def test_a_context_that_grows_too_large_is_given_up(monkeypatch):
    """A search that finds nothing is kept; what comes later is bounded as well."""
    monkeypatch.setattr("services.imap.search_contexts.MAX_RESULTS", 3)
    columns = make([(uid, 0, 1, 1, 0) for uid in (1, 2, 3, 4)])
    selected = told(columns)
    contexts = start(selected, KeyFlag(SearchFlag.SEEN))
    columns.apply_page(page([(uid, SEEN, 2, 1, 0) for uid in (1, 2, 3)]))
    assert b"UID ADDTO (0 1:3)" in follow(selected, contexts)
    columns.apply_page(page([(4, SEEN, 3, 1, 0)]))
    said = follow(selected, contexts)
    assert b'* NO [NOUPDATE "B1"]' in said
    assert b"ADDTO" not in said
    assert not contexts
    assert not contexts.cancel(b"B1")


def test_limits_of_contexts():
    columns = make([(1, SEEN, 1, 1, 0)])
    selected = told(columns)
    contexts = SearchContexts(selected)
    for number in range(MAX_CONTEXTS):
        assert contexts.has_room(1, is_sorted=True)
        keep(selected, contexts, KeyAll(), True, b"t%d" % number)
    assert not contexts.has_room(1, is_sorted=False)
    contexts = SearchContexts(selected)
    assert contexts.has_room(MAX_RESULTS, is_sorted=False)
    assert not contexts.has_room(MAX_RESULTS + 1, is_sorted=False)
    assert not contexts.has_room(MAX_SORTED + 1, is_sorted=True)
