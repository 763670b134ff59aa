"""Views of POP3: exact for every message that is there, small, and never older than the truth."""

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.store.domain.pop3_login import MaildropLogin, readings
from services.store.domain.pop3_view import (
    KEEP_DAYS_MAX,
    SPANS_MAX,
    TIDY_AT,
    Meaning,
    Session,
    TooManySpans,
    View,
    add,
    after,
    coarser,
    covered,
    cutoff,
    decode,
    encode,
    end_of_span,
    meaning,
    missing,
    old_ranges,
    tidied,
    union,
)
from shared.model.pop3 import Dele

uids = st.lists(st.integers(1, 60), max_size=40)
EVERYTHING = range(1, 61)


@given(st.lists(st.tuples(uids, st.integers(1, 5)), max_size=6))
def test_a_set_holds_what_was_added_with_its_first_day(added: list[tuple[list[int], int]]) -> None:
    spans, model = (), dict[int, int]()
    for some, day in added:
        spans = add(spans, some, day)
        model = {**dict.fromkeys(some, day), **model}
        assert covered(spans, EVERYTHING) == sorted(model)
        assert missing(spans, EVERYTHING) == [uid for uid in EVERYTHING if uid not in model]
        assert decode(encode(spans)) == spans
        days = {uid: day for first, last, day in spans for uid in range(first, last + 1)}
        assert days == model
    for uid in EVERYTHING:
        end = end_of_span(spans, uid)
        assert (uid in model) == (end >= uid)
        assert all(each in model for each in range(uid, end + 1))
    for day in range(6):
        old = [uid for first, last in union(old_ranges(spans, day)) for uid in range(first, last + 1)]
        assert old == sorted(uid for uid, first_day in model.items() if first_day <= day)


@given(st.lists(st.tuples(uids, st.integers(1, 3)), max_size=6), st.sets(st.integers(1, 60)))
def test_tidied_is_the_same_for_the_living_and_as_short_as_can_be(
    added: list[tuple[list[int], int]], living: set[int]
) -> None:
    spans = ()
    for some, day in added:
        spans = add(spans, some, day)
    tidy = tidied(spans, sorted(living))
    assert covered(tidy, sorted(living)) == covered(spans, sorted(living))
    days = {uid: day for first, last, day in spans for uid in range(first, last + 1)}
    assert all(days[uid] == day for first, last, day in tidy for uid in living if first <= uid <= last)
    least, before = 0, None
    for uid in sorted(living):
        least += days.get(uid) not in (None, before)
        before = days.get(uid)
    assert len(tidy) == least
    assert covered(coarser(spans), EVERYTHING) == covered(spans, EVERYTHING)
    assert {span[2] for span in coarser(spans)} <= {max(days.values(), default=0)}


def test_what_is_hidden_is_bounded_by_refusal_and_what_is_fetched_by_forgetting() -> None:
    living = range(1, 4 * SPANS_MAX)
    every_second = list(living[::2])
    with pytest.raises(TooManySpans):
        after(View(1), Session((), every_second, len(living)), 7, lambda: living)
    seen = after(View(1), Session(every_second, (), len(living)), 7, lambda: living)
    assert len(seen.fetched) == SPANS_MAX
    assert covered(seen.fetched, every_second) == every_second[-SPANS_MAX:]
    # days are given up before messages are
    view = View(1)
    for day, uid in enumerate(range(1, 2 * SPANS_MAX), 1):
        if len(view.hidden) == SPANS_MAX:
            break
        view = attrs.evolve(view, hidden=(*view.hidden, (uid, uid, day)))
    full = after(view, Session((), [SPANS_MAX + 1], 1), SPANS_MAX + 1, lambda: living)
    assert full.hidden == ((1, SPANS_MAX + 1, SPANS_MAX + 1),)


def test_a_mailbox_is_looked_at_when_its_view_has_grown() -> None:
    looks = []

    def living() -> range:
        looks.append(1)
        return range(1, 100_000, 2)

    view = View(1)
    for uid in range(1, 2 * TIDY_AT, 2):
        view = after(view, Session([uid], (), 1), 7, living)
    assert not looks
    assert len(view.fetched) == TIDY_AT
    view = after(view, Session([2 * TIDY_AT + 1], (), 1), 7, living)
    assert (len(looks), view.fetched, view.tidy_at) == (1, ((1, 2 * TIDY_AT + 1, 7),), TIDY_AT)


@pytest.mark.parametrize(
    ("fetched", "messages", "repeats"),
    [(50, 55, True), (50, 56, False), (49, 49, False), (900, 1000, True), (899, 1000, False)],
)
def test_who_fetches_nearly_all_again_twice_is_noticed(fetched: int, messages: int, repeats: bool) -> None:
    everything = Session(range(1, messages + 1), (), messages)
    view = after(View(1), everything, 1, list)
    assert view.repeats == 0
    again = Session(range(1, fetched + 1), (), messages)
    counts = []
    for _ in range(3):
        view = after(view, again, 2, list)
        counts.append(view.repeats)
    assert counts == ([1, 2, 2] if repeats else [0, 0, 0])
    # a look without fetching says nothing; fetching what is new says that the device knows
    assert after(view, Session((), (), messages), 3, list).repeats == counts[-1]
    assert after(view, Session([messages + 1], (), messages + 1), 3, list).repeats == 0


@pytest.mark.parametrize(
    ("dele", "days", "expected"),
    [
        (None, None, Meaning(Dele.TRASH, 9)),
        ("delete", None, Meaning(Dele.DELETE, 9)),
        ("hide", 0, Meaning(Dele.HIDE, 0)),
        (None, 5, Meaning(Dele.HIDE, 5)),
        (None, 0, Meaning(Dele.TRASH, 0)),
    ],
)
def test_what_dele_means(dele: str | None, days: int | None, expected: Meaning) -> None:
    assert meaning(dele, days, Meaning(Dele.TRASH, 9)) == expected


def test_days_are_whole_ones() -> None:
    """Hidden one second before midnight and kept for one day: it goes on the day after the next."""
    assert cutoff(10, 1) == 8
    assert cutoff(KEEP_DAYS_MAX, KEEP_DAYS_MAX) == -1


class Devices(RuleBasedStateMachine):
    """Two devices, mail that comes and goes, in any order, against sets of numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.living: set[int] = set()
        self.next = 1
        self.day = 100
        self.views = {device: View(1, tidy_at=0) for device in "ab"}
        self.hidden: dict[str, dict[int, int]] = {"a": {}, "b": {}}
        self.fetched: dict[str, dict[int, int]] = {"a": {}, "b": {}}

    @rule(count=st.integers(1, 6))
    def deliver(self, count: int) -> None:
        self.living |= set(range(self.next, self.next + count))
        self.next += count

    @rule(which=st.sets(st.integers(1, 40)))
    def expunge(self, which: set[int]) -> None:
        self.living -= which

    @rule(days=st.integers(1, 3))
    def wait(self, days: int) -> None:
        self.day += days

    @rule(device=st.sampled_from("ab"), some=st.data(), tidy=st.booleans())
    def session(self, device: str, some: st.DataObject, tidy: bool) -> None:
        shown = sorted(self.living - set(self.hidden[device]))
        subset = st.sets(st.sampled_from(shown)) if shown else st.just(set[int]())
        fetched, deleted = some.draw(subset), some.draw(subset)
        view = attrs.evolve(self.views[device], tidy_at=0 if tidy else TIDY_AT)
        session = Session(sorted(fetched), sorted(deleted), len(shown))
        self.views[device] = after(view, session, self.day, lambda: sorted(self.living))
        for uid in fetched:
            self.fetched[device].setdefault(uid, self.day)
        for uid in deleted:
            self.hidden[device].setdefault(uid, self.day)

    @invariant()
    def each_sees_its_own(self) -> None:
        living = sorted(self.living)
        for device, view in self.views.items():
            assert missing(view.hidden, living) == sorted(self.living - set(self.hidden[device]))
            assert covered(view.fetched, living) == sorted(self.living & set(self.fetched[device]))
            for spans, model in ((view.hidden, self.hidden[device]), (view.fetched, self.fetched[device])):
                old = {uid for low, high in old_ranges(spans, self.day - 2) for uid in living if low <= uid <= high}
                assert old == {uid for uid in living if model.get(uid, self.day) <= self.day - 2}


TestDevices = Devices.TestCase
TestDevices.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize(
    ("username", "separator", "meant"),
    [
        ("me@example.org", "+", [("me@example.org", "")]),
        ("me+Work@example.org", "", [("me+Work@example.org", "")]),
        ("me+Work@example.org", "+", [("me+Work@example.org", ""), ("me@example.org", "Work")]),
        ("me@example.org+Work/2024", "+", [("me@example.org+Work/2024", ""), ("me@example.org", "Work/2024")]),
        ("me+a/b@example.org/phone", "+", [("me+a/b@example.org/phone", ""), ("me@example.org/phone", "a/b")]),
        ("me@example.org/phone+a", "+", [("me@example.org/phone+a", ""), ("me@example.org/phone", "a")]),
        ("me@example.org+x@y", "+", [("me@example.org+x@y", ""), ("me@example.org", "x@y"), ("me@example.org@y", "x")]),
        ("a-b-c@d", "-", [("a-b-c@d", ""), ("a-b@d", "c"), ("a@d", "b-c")]),
        ("me@my-home.org-Work", "-", [
            ("me@my-home.org-Work", ""), ("me@my-home.org", "Work"), ("me@my", "home.org-Work"),
        ]),
        ("me+@example.org", "+", [("me+@example.org", "")]),
        ("+me@example.org", "+", [("+me@example.org", "")]),
        ("me+Work", "+", [("me+Work", "")]),
    ],
)  # fmt: skip
def test_what_a_user_name_may_mean(username: str, separator: str, meant: list[tuple[str, str]]) -> None:
    found = readings(username, separator)
    assert found[: len(meant)] == [MaildropLogin(*each) for each in meant]


@given(st.text(alphabet="a@+/-", max_size=60), st.sampled_from(["+", "-", "", "="]))
def test_readings_are_few(username: str, separator: str) -> None:
    found = readings(username, separator)
    assert len(found) <= 2 * 8 + 1
    assert found[0] == MaildropLogin(username)
    assert all(each.mailbox for each in found[1:])
