"""Views and what sessions tell of them, without a store: pages in, untagged responses out."""

from array import array

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.imap import view as view_module
from services.imap.protocol import sequence_set
from services.imap.protocol.responses import vanished_lines
from services.imap.updates import PLAIN, Dialect, Selected, missing
from services.imap.view import MAX_AHEAD, Columns
from shared.contract.types import ChangesPage
from shared.model.flags import SystemFlag
from shared.model.ids import MailboxId, ModSeq, Uid
from shared.model.packed import pack_i64, pack_u32, pack_u64

SEEN = 1


def page(rows=(), vanished=(), keywords=(), highest=0):
    """``rows``: (uid, flags, modseq)."""
    return ChangesPage(
        uids=pack_u32([row[0] for row in rows]),
        modseqs=pack_u64([row[2] for row in rows]),
        flags=pack_u64([row[1] for row in rows]),
        sizes=pack_u32([100 for _ in rows]),
        internal_dates=pack_i64([0 for _ in rows]),
        vanished=pack_u32(vanished),
        keywords=tuple(keywords),
        uid_next=Uid(max([row[0] for row in rows], default=0) + 1),
        highest_modseq=ModSeq(highest),
        more=False,
    )


def make(*rows):
    columns = Columns(MailboxId(1), 1)
    columns.apply_page(page(rows))
    return columns


QRESYNC = Dialect(modseq=True, vanished=True, resyncs=True)
UIDONLY = Dialect(vanished=True, by_uid=True)
REV2 = Dialect(recent=False)
DIALECTS = (PLAIN, Dialect(modseq=True), QRESYNC, UIDONLY, REV2, Dialect(True, True, True, False, True))


def select(columns, first_recent=1000, dialect=PLAIN):
    return Selected(columns, read_only=False, first_recent_uid=first_recent, dialect=dialect)


def test_new_messages():
    columns = make((1, 0, 1))
    session = select(columns, first_recent=2)
    assert session.render(expunge=True) == b""
    columns.apply_page(page([(2, 0, 2), (5, 0, 3)]))
    assert session.render(expunge=False) == b"* 3 EXISTS\r\n* 2 RECENT\r\n"
    assert session.in_step


def test_expunges_wait_until_they_may():
    columns = make((1, 0, 1), (2, 0, 1), (3, 0, 1), (4, 0, 1))
    session = select(columns, dialect=Dialect(modseq=True))
    columns.apply_page(page(vanished=[1, 3]))
    columns.apply_page(page([(4, SEEN, 5), (9, 0, 6)]))
    assert session.render(expunge=False) == (b"* 4 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (5))\r\n* 5 EXISTS\r\n")
    assert session.render(expunge=False) == b""
    assert session.render(expunge=True) == b"* 3 EXPUNGE\r\n* 1 EXPUNGE\r\n"
    assert list(session.told) == [2, 4, 9]
    assert session.in_step


def test_a_message_that_came_and_went_untold():
    columns = make((1, 0, 1))
    session = select(columns)
    columns.apply_page(page([(2, 0, 2)]))
    columns.apply_page(page(vanished=[2]))
    assert session.render(expunge=True) == b""
    columns.apply_page(page([(3, 0, 3)]))
    assert session.render(expunge=True) == b"* 2 EXISTS\r\n"


def test_old_pages_bring_nothing_back():
    columns = make((1, 0, 1), (2, 0, 1))
    columns.apply_vanished([2])
    columns.apply_flags([1], [SEEN], [9], (), None)
    assert not columns.apply_page(page([(1, 0, 5), (2, SEEN, 5)]))
    assert list(columns.uids) == [1]
    assert list(columns.flags) == [SEEN]


def test_own_changes_are_not_told_twice_but_surprises_are():
    columns = make((1, 0, 1), (2, 4, 1))
    mine, other = select(columns), select(columns)
    # the store answers +FLAGS.SILENT \\Seen; message 2 has another's \\Answered, which nobody told us
    columns.apply_flags([1, 2], [1, 7], [3, 3], (), mine, lambda old: old | 1)
    assert mine.render(expunge=True) == b"* 2 FETCH (UID 2 FLAGS (\\Seen \\Answered \\Flagged))\r\n"
    assert other.render(expunge=True) == (
        b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 2 FETCH (UID 2 FLAGS (\\Seen \\Answered \\Flagged))\r\n"
    )


def test_new_keywords_are_told_first():
    columns = make((1, 0, 1))
    session = select(columns)
    columns.apply_page(page([(1, 1 << 8, 2)], keywords=["$Todo"]))
    assert session.render(expunge=True) == (
        b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Todo)\r\n* 1 FETCH (UID 1 FLAGS ($Todo))\r\n"
    )


def test_an_older_page_hides_no_keyword():
    columns = make((1, 0, 1))
    session = select(columns)
    columns.apply_flags([1], [1 << 8], [5], ("$New",), None)
    # on its way while the keyword was made
    columns.apply_page(page([(2, 0, 4)]))
    assert b"* 1 FETCH (UID 1 FLAGS ($New))\r\n" in session.render(expunge=True)


def test_resolve_by_what_was_told():
    columns = make((10, 0, 1), (20, 0, 1), (30, 0, 1))
    session = select(columns)
    columns.apply_page(page(vanished=[10]))
    session.render(expunge=False)
    ranges = session.resolve(sequence_set.parse(b"2:*", 9), by_uid=False)
    assert list(session.uids_of(ranges)) == [20, 30]
    assert session.number_of(20) == 2
    assert session.number_of(11) == 0


def test_vanished_instead_of_expunge():
    # RFC 7162 §3.2.10: only what the client knows, in ranges
    columns = make(*[(uid, 0, uid) for uid in range(1, 9)])
    session = select(columns, dialect=Dialect(modseq=True, vanished=True))
    columns.apply_page(page([(9, 0, 9)]))
    columns.apply_page(page(vanished=[2, 3, 4, 8, 9]))
    columns.apply_page(page([(10, 0, 10)]))
    assert session.render(expunge=False) == b"* 9 EXISTS\r\n"
    assert session.render(expunge=True) == b"* VANISHED 2:4,8\r\n"
    assert list(session.told) == [1, 5, 6, 7, 10]
    assert session.in_step


def test_long_lists_of_vanished_are_several_responses():
    uids = list(range(1, 20_001, 2))
    lines = b"".join(vanished_lines(sequence_set.ranges_of(uids), earlier=True)).decode().splitlines()
    assert len(lines) > 5
    assert max(map(len, lines)) < 8192
    assert all(line.startswith("* VANISHED (EARLIER) ") for line in lines)
    assert ",".join(line.split()[-1] for line in lines) == ",".join(map(str, uids))
    assert list(vanished_lines([])) == []


def test_uidfetch_instead_of_fetch():
    # RFC 9586 §3.3: no message sequence number, and the UID is not repeated
    columns = make((5, 0, 1), (7, 0, 1))
    session = select(columns, dialect=UIDONLY)
    columns.apply_page(page([(7, SEEN, 5)]))
    assert session.render(expunge=False) == b"* 7 UIDFETCH (FLAGS (\\Seen))\r\n"
    columns.apply_page(page([(7, 0, 6)], vanished=[5]))
    assert session.render(expunge=True) == b"* VANISHED 5\r\n* 7 UIDFETCH (FLAGS ())\r\n"
    assert session.flags_line(1, 7, 0, flags=False) == b""


def test_nothing_is_recent_in_rev2():
    # RFC 9051 appendix E, 12
    columns = make((1, 0, 1))
    session = select(columns, first_recent=1, dialect=REV2)
    assert session.recent() == 0
    columns.apply_page(page([(2, 0, 2)]))
    columns.apply_page(page([(1, SEEN, 3)]))
    assert session.render(expunge=True) == b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 2 EXISTS\r\n"


def test_enabling_while_a_mailbox_is_selected():
    columns = make((1, 0, 1), (2, 0, 1))
    session = select(columns, first_recent=1)
    columns.apply_page(page([(2, SEEN, 2)], vanished=[1]))
    session.speak(Dialect(vanished=True, by_uid=True, recent=False))
    assert session.render(expunge=True) == b"* VANISHED 1\r\n* 2 UIDFETCH (FLAGS (\\Seen))\r\n"


def test_a_held_back_expunge_holds_highestmodseq_back():
    # RFC 7162 §6, the example of a delayed VANISHED; and §3.2
    columns = make((6, 0, 90), (7, 0, 95), (8, 0, 99))
    columns.highest_modseq = 99
    session = select(columns, dialect=QRESYNC)
    columns.apply_page(page(vanished=[8], highest=100))
    columns.highest_modseq = 100
    columns.apply_flags([6, 7], [SEEN, SEEN], [103, 101], (), session)
    columns.note_own(103)
    assert session.render(expunge=False) == b"* OK [HIGHESTMODSEQ 99] Told up to here\r\n"
    # the view caught up; the client is still told what is safe
    columns.highest_modseq = 103
    assert session.render(expunge=False) == b"* OK [HIGHESTMODSEQ 99] Told up to here\r\n"
    assert session.render(expunge=True) == b"* VANISHED 8\r\n* OK [HIGHESTMODSEQ 103] Told up to here\r\n"
    assert session.render(expunge=True) == b""


def test_own_modseqs_in_any_order():
    columns = make((1, 0, 1))
    columns.highest_modseq = 1
    columns.note_own(4)
    columns.note_own(3)
    assert (columns.highest_modseq, columns.largest_modseq) == (1, 4)
    columns.note_own(2)
    assert columns.highest_modseq == 4
    # the memory is bounded: the store is asked instead
    for modseq in range(6, 6 + MAX_AHEAD + 1):
        columns.note_own(modseq)
    columns.note_own(5)
    assert columns.highest_modseq == 5


def test_the_next_modseq_of_ours_leaves_no_gap():
    columns = make((1, 0, 1))
    columns.highest_modseq = 1
    session = select(columns, dialect=QRESYNC)
    columns.apply_flags([1], [SEEN], [2], (), session)
    columns.note_own(2)
    assert session.render(expunge=False) == b""
    assert session.safe_modseq == columns.highest_modseq == 2
    # 3 is another's and not yet here
    columns.apply_flags([1], [0], [4], (), session)
    columns.note_own(4)
    assert columns.highest_modseq == 2
    assert session.render(expunge=False) == b"* OK [HIGHESTMODSEQ 2] Told up to here\r\n"


@given(st.sets(st.integers(1, 300)), st.sets(st.integers(1, 300)), st.sets(st.integers(301, 320)))
def test_missing(told, gone, new):
    assert missing(sorted(told), sorted((told - gone) | new)) == sorted(told & gone)


class Client:
    """What a client believes, from the responses alone."""

    def __init__(self, session):
        self.messages = [[uid, session.columns.flags[i]] for i, uid in enumerate(session.columns.uids)]
        self.exists = len(self.messages)
        self.by_uid = session.dialect.by_uid
        self.vanished = session.dialect.vanished

    def forget(self, uid):
        """One whose UID the client has not heard yet is there all the same, between those with lower and with higher ones."""
        for place, entry in enumerate(self.messages):
            if entry is not None and entry[0] == uid:
                del self.messages[place]
                return
        after = max((place for place, entry in enumerate(self.messages) if entry is not None and entry[0] < uid), default=-1)
        del self.messages[self.messages.index(None, after + 1)]

    def hear(self, data):
        for line in data.decode().splitlines():
            words = line.split()
            if words[1] in ("FLAGS", "OK"):
                continue
            if words[1] == "VANISHED":
                assert self.vanished
                for piece in words[2].split(","):
                    low, _, high = piece.partition(":")
                    gone = set(range(int(low), int(high or low) + 1))
                    for uid in gone:
                        self.forget(uid)
                self.exists = len(self.messages)
                continue
            number = int(words[1])
            if words[2] == "UIDFETCH":
                assert self.by_uid
                flags = 1 if "\\Seen" in line else 0
                for entry in self.messages:
                    if entry is not None and entry[0] == number:
                        entry[1] = flags
                continue
            if words[2] == "EXPUNGE":
                assert not self.vanished
                del self.messages[number - 1]
                self.exists -= 1
            elif words[2] == "EXISTS":
                assert number >= self.exists
                self.messages += [None] * (number - self.exists)
                self.exists = number
            elif words[2] == "FETCH":
                assert not self.by_uid
                entry = self.messages[number - 1]
                if entry is not None:
                    assert entry[0] == int(words[4])
                flags = 1 if "\\Seen" in line else 0
                self.messages[number - 1] = [int(words[4]), flags]


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["new", "flag", "expunge", "own flag", "own silent", "tell", "tell all", "many"]),
        st.integers(0, 30),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@example([("new", 0)] * 3 + [("expunge", 0)] * 2 + [("own flag", 2), ("expunge", 3)], False, QRESYNC, PLAIN)
@given(_STEPS, st.booleans(), st.sampled_from(DIALECTS), st.sampled_from(DIALECTS))
def test_every_client_ends_up_with_the_truth(steps, short_log, first, second):
    log = view_module.MAX_LOG_ENTRIES
    view_module.MAX_LOG_ENTRIES = 3 if short_log else log
    try:
        _play(steps, (first, second))
    finally:
        view_module.MAX_LOG_ENTRIES = log


def _play(steps, dialects):
    columns = make((1, 0, 1), (2, 0, 1), (3, 0, 1))
    truth = {1: 0, 2: 0, 3: 0}
    modseq = next_uid = 10
    sessions = [select(columns, dialect=dialect) for dialect in dialects]
    clients = [Client(session) for session in sessions]

    def tell(index, *, expunge):
        clients[index].hear(sessions[index].render(expunge=expunge))
        assert clients[index].exists == len(sessions[index].told)

    for what, number in steps:
        modseq += 1
        uid = sorted(truth)[number % len(truth)] if truth else 0
        if what == "new":
            next_uid += 1
            truth[next_uid] = 0
            columns.apply_page(page([(next_uid, 0, modseq)], highest=modseq))
        elif what == "many":
            for other in list(truth):
                truth[other] ^= 1
                modseq += 1
                columns.apply_page(page([(other, truth[other], modseq)], highest=modseq))
        elif what == "flag" and uid:
            truth[uid] ^= 1
            columns.apply_page(page([(uid, truth[uid], modseq)], highest=modseq))
        elif what == "expunge" and uid:
            del truth[uid]
            columns.apply_page(page(vanished=[uid], highest=modseq))
        elif what in ("own flag", "own silent") and uid:
            session, client = sessions[0], clients[0]
            tell(0, expunge=False)
            truth[uid] ^= 1
            columns.apply_flags([uid], [truth[uid]], [modseq], (), session, lambda old, now=truth[uid]: now)
            place = session.number_of(uid)
            if place:
                client.hear(session.flags_line(place, uid, columns.position(uid)))
        elif what == "tell":
            tell(number % 2, expunge=False)
        elif what == "tell all":
            tell(number % 2, expunge=True)
    for index, client in enumerate(clients):
        tell(index, expunge=True)
        assert list(sessions[index].told) == sorted(truth)
        assert sessions[index].in_step
        for place, entry in enumerate(client.messages):
            if entry is not None:
                assert entry == [sorted(truth)[place], truth[sorted(truth)[place]]]


def test_removing_keeps_columns_together():
    columns = make(*[(uid, uid, uid) for uid in range(1, 200)])
    columns.apply_vanished([1, 5, 6, 7, 199, 300])
    assert list(columns.uids) == list(columns.flags) == list(columns.modseqs)
    assert len(columns.sizes) == len(columns.dates) == len(columns.uids) == 194
    assert columns.position(8) == 3
    assert array("I", [2, 3, 4, 8]) == columns.uids[:4]


@settings(deadline=None)
@given(st.sets(st.integers(1, 120)), st.lists(st.sets(st.integers(1, 130)), max_size=4))
def test_expunging_leaves_the_others_as_they_were(uids, rounds):
    rows = [(uid, uid % 7, uid * 3) for uid in sorted(uids)]
    columns = make(*rows)
    told = columns.uids
    before = list(told)
    sizes, dates = columns.lend()
    for gone in rounds:
        assert list(columns._remove(gone)) == sorted(gone & {row[0] for row in rows})
        rows = [row for row in rows if row[0] not in gone]
        assert list(zip(columns.uids, columns.flags, columns.modseqs, strict=True)) == rows
        assert len(columns.sizes) == len(columns.dates) == len(rows)
    # what was shared and lent is still what it was
    assert list(told) == before
    assert len(sizes) == len(dates) == len(before)


def test_looking_for_a_system_flag():
    columns = make((1, 1, 1), (2, 1 | 1 << 63, 1), (3, 1 << 40, 1), (5, 9, 1))
    assert columns.first_without(SystemFlag.SEEN) == 2
    assert list(columns.uids_with(SystemFlag.DELETED)) == [5]
    assert list(columns.uids_with(SystemFlag.SEEN)) == [1, 2, 5]
    assert not columns.uids_with(SystemFlag.DRAFT)
    assert columns.first_without(SystemFlag.DRAFT) == 0
    assert make().first_without(SystemFlag.SEEN) == -1
    assert make((1, 1, 1)).first_without(SystemFlag.SEEN) == -1


def test_what_changed_after_a_modseq_in_a_large_mailbox():
    columns = make(*[(uid, 0, uid) for uid in range(1, 5001)])
    columns.apply_flags([7, 4000], [1, 1], [5001, 5002], (), None)
    assert columns.changed_after(5000) == [7, 4000]
    assert columns.changed_after(4998) == [7, 4000, 4999, 5000]


@given(
    st.lists(st.tuples(st.integers(1, 60), st.sampled_from([0, 1, 9, 256]), st.integers(1, 9)), max_size=30),
    st.lists(st.integers(1, 70), max_size=30),
    st.tuples(st.integers(0, 60), st.integers(0, 60)),
    st.sampled_from(DIALECTS),
    st.integers(1, 80),
    st.booleans(),
)
def test_many_flags_are_told_like_each_alone(rows, picked, run, dialect, first_recent, flags):
    """``flags_lines`` has a short way for neighbours; what it says is the same."""
    columns = make(*{row[0]: row for row in sorted(rows)}.values())
    session = select(columns, first_recent, dialect)
    told = columns.uids[: len(columns.uids)]
    columns.apply_page(page([(90, 0, 20)]))  # nobody was told of it
    for uids in (array("I", sorted(set(picked))), told[run[0] : run[1]], told):
        expected = b"".join(
            session.flags_line(session.number_of(uid), uid, columns.position(uid), flags=flags)
            for uid in uids
            if session.number_of(uid)
        )
        assert session.flags_lines(uids, flags=flags) == expected
    session.render(expunge=True)
    expected = b"".join(
        session.flags_line(number, uid, number - 1, flags=flags) for number, uid in enumerate(columns.uids, 1)
    )
    assert session.flags_lines(columns.uids, flags=flags) == expected
