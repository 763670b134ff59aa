"""What is missing here: nothing is lost, nothing comes twice."""

from hypothesis import given
from hypothesis import strategies as st

from shared.moving.plan import Here, Source, make_plan


def source(uid: int, uidl: str = "", *flags: str) -> Source:
    return Source(uid, uidl or f"u{uid}", flags, uid)


def here(uid: int, uidl: str = "", *flags: str, digest: bytes = b"") -> Here:
    return Here(uid, uidl or f"u{uid}", digest or b"%d" % uid, flags)


def test_an_empty_mailbox_takes_all():
    plan = make_plan([source(7), source(3), Source(0, "", (), 9)], [], [], 1)
    assert [each.uid for each in plan.kept] == [3, 7]
    assert [each.place for each in plan.renewed] == [9]
    assert (plan.same, plan.deleted, plan.flags) == (0, 0, {})


def test_repeated_only_flags_change():
    plan = make_plan([source(3, "", "\\Seen"), source(7, "", "a", "b")], [here(3), here(7, "", "b", "a")], [], 8)
    assert plan.wanted == []
    assert plan.flags == {("\\Seen",): [3]}
    assert plan.same == 2


def test_deleted_here_stays_deleted():
    plan = make_plan([source(3), source(4)], [], [3], 4)
    assert [each.uid for each in plan.kept] == [4]
    assert plan.deleted == 1


def test_a_uid_that_has_passed_gets_a_new_one():
    """It was not there the last time, for whatever reason: it is never left behind."""
    plan = make_plan([source(3)], [here(5)], [], 6)
    assert [(each.uid, each.uidl) for each in plan.renewed] == [(0, "u3")]


def test_known_again_by_content_once():
    plan = make_plan([source(8, "", "\\Seen"), source(9)], [here(3, "random", digest=b"d")], [], 4)
    first, second = plan.kept
    assert not plan.is_here(first, b"e")
    assert plan.is_here(first, b"d")
    assert not plan.is_here(second, b"d")
    assert plan.flags == {("\\Seen",): [3]}
    assert plan.same == 1


def test_two_servers_may_have_made_the_same_uidl():
    """A date or a size that differs: the message is read, and known by its content or filed under a UIDL of its own."""
    known = Here(3, "u3", b"d", (), came=10, octets=20)
    for came, octets, same in ((10, 20, 1), (None, 20, 1), (10, 0, 1), (11, 20, 0), (10, 21, 0)):
        plan = make_plan([Source(3, "u3", (), 0, came, octets)], [known], [], 4)
        assert plan.same == same
        assert [(each.uid, each.uidl) for each in plan.wanted] == ([] if same else [(0, "")])
        if not same:
            assert plan.is_here(plan.wanted[0], b"d")


def test_two_equal_messages_are_both_filed():
    plan = make_plan([source(1), source(2)], [], [], 1)
    assert not any(plan.is_here(each, b"d") for each in plan.kept)


uids = st.sets(st.integers(1, 12), max_size=8)


@given(uids, uids, uids, st.integers(1, 14))
def test_every_message_is_accounted_for(theirs, ours, gone, least):
    gone -= ours
    uid_next = max([least, *(uid + 1 for uid in ours | gone)])
    plan = make_plan([source(uid) for uid in sorted(theirs)], [here(uid) for uid in ours], gone, uid_next)
    assert plan.same + plan.deleted + len(plan.wanted) == len(theirs)
    assert {each.uid for each in plan.kept} == {uid for uid in theirs if uid >= uid_next}
    assert plan.deleted == len(theirs & gone)
    # what is done once is not done again
    after = [here(uid) for uid in ours] + [here(each.uid) for each in plan.kept]
    after += [here(100 + number, each.uidl) for number, each in enumerate(plan.renewed)]
    again = make_plan([source(uid) for uid in sorted(theirs)], after, gone, 200)
    assert (again.wanted, again.flags) == ([], {})


def test_flags_that_were_touched_stay():
    theirs = [source(1, "", "\\Seen"), source(2, "", "\\Seen"), Source(0, "", ("\\Seen",), 3)]
    plan = make_plan(theirs, [here(1), here(2), here(9, "own", digest=b"x")], [], 10, frozenset({2}))
    # a message that is known by its content alone was not brought by an import
    assert plan.is_here(Source(0, "", ("\\Seen",), 3), b"x")
    assert plan.flags == {("\\Seen",): [1]}


def test_what_an_import_has_brought_is_not_brought_again():
    moved_away = Source(0, "u3", (), 3, taken=True)
    resized = Source(0, "u4", (), 4, came=5, octets=7, taken=True)
    plan = make_plan([moved_away, resized, source(5)], [here(4)], [], 5, frozenset())
    assert [each.uid for each in plan.wanted] == [5]
    assert plan.same == 2
