"""The rules of bans: who may try, what a failure costs, whom it bans; with a clock of the test's own."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.domain.bans import Bans, BanTimes
from services.store.domain.failures import TRIED_OCTETS, Failures
from services.store.domain.judge import Door, Judge
from services.store.domain.known import NOTE_SECONDS, KnownAddresses
from services.store.domain.places import Place, net_text, overlap, parse_net
from services.store.domain.repeats import HASHES_MAX, REPEATS_PER_FAILURE, Repeats
from services.store.guard import name_of
from shared.config.schema import BansSettings
from shared.contract.bans_types import TRIED_MAX, Ban, BanKind
from shared.net.networks import parse_address

ALICE = "alice@example.test"
NOW = 1_000_000.0
DAY = 86400.0


def at(text: str) -> Place:
    return Place(*parse_address(text))


def judge(**changes: float) -> Judge:
    return Judge(attrs.evolve(BansSettings(), **changes), b"k" * 32)  # type: ignore[arg-type]


def fail(rules: Judge, client: str, times: int, name: str = ALICE, now: float = NOW, first: int = 0) -> list[Ban]:
    """So many failures with passwords of their own; the bans they made."""
    made: list[Ban] = []
    for number in range(first, first + times):
        made += rules.failed(at(client), name, client, f"wrong-{number}", now).bans
    return made


# --- places


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7/32", "192.0.2.7"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::/64", "2001:db8:1:2::/64"),
        ("2001:db8:1::/48", "2001:db8:1::/48"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_nets_have_one_form(text: str, normal: str) -> None:
    net = parse_net(text)
    assert net is not None
    assert net_text(net) == normal
    assert parse_net(normal) == net


@pytest.mark.parametrize("text", ["", "alice@example.test", "192.0.2", "192.0.2.7/33", "x" * 1000, "all"])
def test_what_is_no_net(text: str) -> None:
    assert parse_net(text) is None


def test_the_address_of_ipv6_is_its_64_and_the_network_its_48() -> None:
    place = at("2001:db8:1:2:3:4:5:6")
    assert (net_text(place.address), net_text(place.network)) == ("2001:db8:1:2::/64", "2001:db8:1::/48")
    assert (net_text(at("192.0.2.7").address), net_text(at("192.0.2.7").network)) == ("192.0.2.7", "192.0.2.0/24")


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 32))
def test_nets_around_one_address_overlap(number: int, one: int, other: int) -> None:
    place = Place(4, number)
    assert overlap(place.within(one), place.within(other))
    if one:
        stranger = Place(4, number ^ (1 << (32 - one)))
        assert not overlap(place.within(one), stranger.within(max(one, other)))


def test_names_are_compared_as_addresses_are() -> None:
    assert name_of("Alice@Example.TEST") == ALICE
    assert name_of("no address\nat all") == "no address at all"
    assert len(name_of("x" * 5000)) == 320


# --- what is counted


def test_failures_leave_the_window() -> None:
    failures: Failures[str] = Failures(3, 60.0, 10)
    assert [failures.add("a", "n", now) for now in (0.0, 30.0, 59.0, 60.0)] == [1, 2, 3, 3]
    assert failures.count("a", 95.0) == 2
    assert failures.count("a", 1000.0) == 0
    assert failures.add("a", "n", 1000.0) == 1


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 100)), max_size=200))
def test_failures_are_the_ones_within_the_window_and_bounded(events: list[tuple[str, float]]) -> None:
    limit, window = 4, 50.0
    failures: Failures[str] = Failures(limit, window, 100)
    now, seen = 0.0, {}
    for subject, step in events:
        now += step
        times = seen.setdefault(subject, [])
        times.append(now)
        expected = min(limit, sum(time > now - window for time in times))
        assert failures.add(subject, "x" * 1000 + subject, now) == expected
        assert len(failures.tried(subject)) <= TRIED_MAX
        assert all(len(name) <= TRIED_OCTETS for name in failures.tried(subject))
    assert failures.count("nobody", now) == 0


@given(st.lists(st.integers(0, 1000), max_size=300))
def test_no_more_subjects_than_the_bound(subjects: list[int]) -> None:
    failures: Failures[int] = Failures(5, 100.0, 20)
    for number, subject in enumerate(subjects):
        failures.add(subject, "", float(number))
        assert len(failures) <= 20


def test_single_failures_do_not_wash_out_one_that_goes_on() -> None:
    failures: Failures[str] = Failures(10, 1e6, 50)
    for number in range(9):
        failures.add("attacker", "", float(number))
    for number in range(500):
        failures.add(f"passer-by {number}", "", 10.0 + number)
    assert failures.add("attacker", "", 1000.0) == 10


def test_repeated_passwords_are_known_again_and_bounded() -> None:
    repeats = Repeats(b"key", 3)
    home = at("192.0.2.7").address
    assert [repeats.seen(ALICE, home, word) for word in ("a", "a", "b", "a", "b")] == [0, 1, 0, 2, 3]
    assert repeats.seen(ALICE, at("192.0.2.8").address, "a") == 0
    assert repeats.seen("bob", home, "a") == 0
    assert repeats.seen("carol", home, "a") == 0  # alice's at home, the oldest, is forgotten
    assert len(repeats) == 3
    for number in range(HASHES_MAX):
        repeats.seen(ALICE, home, f"new {number}")
    assert repeats.seen(ALICE, home, "a") == 0
    repeats.forget(ALICE)
    assert repeats.seen(ALICE, home, "a") == 0


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 10 * DAY)), max_size=100))
def test_known_addresses_are_bounded_and_end(logins: list[tuple[int, float]]) -> None:
    known, now = KnownAddresses(5, 30.0), NOW
    last: dict[int, float] = {}
    for number, step in logins:
        now += step
        address = Place(4, number).address
        if known.is_news(ALICE, address, now):
            known.note(ALICE, address, now)
        assert known.knows(ALICE, address, now)
        assert not known.is_news(ALICE, address, now)
        last[number] = now
        assert known.statistics()["addresses"] <= 5
    for number, time in last.items():
        assert not known.knows(ALICE, Place(4, number).address, time + 30 * DAY + 1)
    assert not known.any(ALICE, now + 30 * DAY + 1)


def test_a_login_is_noted_once_an_hour() -> None:
    known, home = KnownAddresses(5, 30.0), at("192.0.2.7").address
    assert known.is_news(ALICE, home, NOW)
    known.note(ALICE, home, NOW)
    assert not known.is_news(ALICE, home, NOW + NOTE_SECONDS - 1)
    assert known.is_news(ALICE, home, NOW + NOTE_SECONDS)
    assert not KnownAddresses(5, 0.0).is_news(ALICE, home, NOW)


# --- bans


def test_bans_double_up_to_the_longest_and_the_row_ends() -> None:
    bans, home = Bans(BanTimes(600.0, 3600.0), 100), at("192.0.2.7").address
    now, lengths = NOW, []
    for _ in range(5):
        ban, _ = bans.ban(home, 10, (), now)
        lengths.append(ban.until - ban.since)
        now = ban.until
    assert lengths == [600, 1200, 2400, 3600, 3600]
    assert bans.drop_past(now + 3599) == []
    assert len(bans.drop_past(now + 3600)) == 1
    again, _ = bans.ban(home, 10, (), now + 3600)
    assert again.times == 1


@given(st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=300))
def test_no_more_bans_than_the_bound_and_none_of_the_administrators_gives_way(made: list[tuple[int, bool]]) -> None:
    bans, now, manual = Bans(BanTimes(600.0, 3600.0), 20), NOW, set()
    for number, by_hand in made:
        now += 1
        net = Place(4, number).address
        if by_hand and len(manual) < 15:
            bans.ban_manually(Ban(BanKind.ADDRESS, net_text(net), now, now + 1e6, 0, 0, manual=True), now)
            manual.add(number)
        else:
            bans.ban(net, 10, (), now)
        assert len(bans) <= 20
        for kept in manual:
            ban = bans.of_place(Place(4, kept), now)
            assert ban is not None
            assert ban.manual


def test_past_bans_give_way_before_those_that_hold_and_these_by_their_ends() -> None:
    bans = Bans(BanTimes(100.0, 1000.0), 3)
    for number in range(3):
        bans.ban(Place(4, number).address, 10, (), NOW + number)
    _, gone = bans.ban(Place(4, 9).address, 10, (), NOW + 3)
    assert gone is not None
    assert gone.subject == "0.0.0.0"
    repeated, _ = bans.ban(Place(4, 1).address, 10, (), NOW + 101.5)
    assert repeated.times == 2
    _, gone = bans.ban(Place(4, 10).address, 10, (), NOW + 102.5)
    assert gone is not None
    assert gone.subject == "0.0.0.2"  # it was over


def test_lifting_an_address_lifts_what_is_around_it_and_a_network_what_is_in_it() -> None:
    bans = Bans(BanTimes(600.0, 3600.0), 100)

    def fill() -> None:
        for text in ("192.0.2.7", "192.0.2.0/24", "192.0.3.1", "2001:db8::/48"):
            net = parse_net(text)
            assert net is not None
            bans.ban(net, 1, (), NOW)
        bans.ban(ALICE, 1, (), NOW)

    def lifted(text: str) -> set[str]:
        bans.lift_all()
        fill()
        return {ban.subject for ban in bans.lift(parse_net(text) or text)}

    assert lifted("192.0.2.7") == {"192.0.2.7", "192.0.2.0/24"}
    assert lifted("192.0.2.8") == {"192.0.2.0/24"}
    assert lifted("192.0.0.0/16") == {"192.0.2.7", "192.0.2.0/24", "192.0.3.1"}
    assert lifted("2001:db8:0:5::1") == {"2001:db8::/48"}
    assert lifted(ALICE) == {ALICE}
    assert lifted("bob@example.test") == set()
    assert len(bans.page("", 100, NOW)) == 5
    assert bans.page("", 100, NOW + 600) == []


def test_pages_go_on_where_the_last_ended() -> None:
    bans = Bans(BanTimes(600.0, 3600.0), 100)
    for number in range(25):
        bans.ban(Place(4, number).address, 1, (), NOW)
    bans.ban(ALICE, 1, (), NOW)
    seen: list[Ban] = []
    while page := bans.page(seen[-1].key if seen else "", 10, NOW):
        seen += page
    assert len({ban.key for ban in seen}) == len(seen) == 26


# --- the judge


def test_ten_failures_ban_an_address_for_ten_minutes() -> None:
    rules = judge()
    assert fail(rules, "192.0.2.7", 9) == []
    assert rules.door(at("192.0.2.7"), ALICE, NOW) is Door.OPEN
    (ban,) = fail(rules, "192.0.2.7", 1, first=9)
    assert (ban.kind, ban.subject, ban.failures, ban.until - NOW) == (BanKind.ADDRESS, "192.0.2.7", 10, 600)
    assert ban.tried == (ALICE,)
    assert rules.door(at("192.0.2.7"), "anybody", NOW + 599) is Door.SHUT
    assert rules.door(at("192.0.2.8"), "anybody", NOW + 599) is Door.OPEN
    assert rules.door(at("192.0.2.7"), "anybody", NOW + 600) is Door.OPEN
    (again,) = fail(rules, "192.0.2.7", 10, now=NOW + 600)
    assert again.until - again.since == 1200


def test_failures_that_are_spread_do_not_ban() -> None:
    rules = judge(account_failures=1000)
    for number in range(100):
        assert fail(rules, "192.0.2.7", 1, now=NOW + number * 70, first=number) == []


def test_neighbours_ban_their_network() -> None:
    rules = judge(account_failures=1000)
    made = [ban for number in range(50) for ban in fail(rules, f"192.0.2.{number}", 1, name=f"n{number}")]
    assert [(ban.kind, ban.subject) for ban in made] == [(BanKind.NETWORK, "192.0.2.0/24")]
    assert len(made[0].tried) == TRIED_MAX
    assert rules.door(at("192.0.2.200"), "anybody", NOW) is Door.SHUT


def test_an_ipv6_client_is_its_64() -> None:
    rules = judge()
    made = [ban for number in range(10) for ban in fail(rules, f"2001:db8::{number}", 1, first=number)]
    assert [ban.subject for ban in made] == ["2001:db8::/64"]


@pytest.mark.parametrize("name", [ALICE, "nobody@example.test", "not an address"])
def test_guesses_from_everywhere_shut_an_account_whether_or_not_it_exists(name: str) -> None:
    rules = judge()
    made = [ban for number in range(20) for ban in fail(rules, f"10.0.{number}.1", 1, name=name)]
    assert [(ban.kind, ban.subject) for ban in made] == [(BanKind.ACCOUNT, name)]
    assert made[0].tried[-1] == "10.0.19.1"
    assert rules.door(at("10.9.9.9"), name, NOW) is Door.NAME_SHUT
    assert rules.door(at("10.9.9.9"), "other@example.test", NOW) is Door.OPEN


def test_a_banned_account_is_open_where_it_is_at_home_and_never_shut_altogether() -> None:
    rules = judge()
    for number in range(20):
        fail(rules, f"10.0.{number}.1", 1)
    assert rules.lets_in(rules.door(at("10.9.9.9"), ALICE, NOW), ALICE, NOW)
    rules.known.note(ALICE, at("192.0.2.7").address, NOW - 29 * DAY)
    assert rules.door(at("192.0.2.7"), ALICE, NOW) is Door.OPEN
    assert not rules.lets_in(rules.door(at("10.9.9.9"), ALICE, NOW), ALICE, NOW)


@given(
    st.lists(
        st.tuples(st.sampled_from(["192.0.2.7", "192.0.2.8", "10.0.0.1"]), st.sampled_from([ALICE, "bob"]), st.floats(0, 600)),
        max_size=300,
    )
)
def test_where_an_account_is_at_home_it_is_never_locked_out(attempts: list[tuple[str, str, float]]) -> None:
    rules, now = judge(failures=2, network_failures=3, account_failures=2, known_days=3650), NOW
    rules.known.note(ALICE, at("192.0.2.7").address, NOW)
    for number, (client, name, step) in enumerate(attempts):
        now += step
        verdict = rules.failed(at(client), name, client, f"wrong {number}", now)
        assert verdict.delay_seconds <= BansSettings().longest_delay_seconds
        assert rules.door(at("192.0.2.7"), ALICE, now) is Door.OPEN
        assert rules.lets_in(Door.OPEN, ALICE, now)


def test_an_administrators_ban_holds_for_everybody() -> None:
    rules = judge()
    rules.known.note(ALICE, at("192.0.2.7").address, NOW)
    rules.bans.ban_manually(Ban(BanKind.NETWORK, "192.0.0.0/16", NOW, NOW + 60, 0, 0, manual=True), NOW)
    assert rules.door(at("192.0.2.7"), ALICE, NOW) is Door.SHUT
    assert rules.door(at("192.0.2.7"), ALICE, NOW + 60) is Door.OPEN


def test_answers_are_held_back_longer_and_longer() -> None:
    rules = judge()
    delays = [rules.failed(at("192.0.2.7"), ALICE, "192.0.2.7", f"w{n}", NOW).delay_seconds for n in range(9)]
    assert delays == [0, 0.5, 1, 2, 4, 8, 8, 8, 8]
    assert rules.failed(at("192.0.2.8"), "bob", "192.0.2.8", "w", NOW).delay_seconds == 0


def test_one_wrong_password_again_and_again_bans_nobody_at_home() -> None:
    rules, place = judge(), at("192.0.2.7")
    rules.known.note(ALICE, place.address, NOW)
    for _ in range(500):
        assert rules.failed(place, ALICE, "192.0.2.7", "the old one", NOW).bans == ()
    assert rules.door(place, "bob", NOW) is Door.OPEN


def test_elsewhere_each_fifth_repetition_counts() -> None:
    rules, place = judge(), at("192.0.2.7")
    tries = 0
    while not rules.failed(place, ALICE, "192.0.2.7", "the old one", NOW).bans:
        tries += 1
    assert tries == REPEATS_PER_FAILURE * 9


def test_proofs_of_scram_all_count() -> None:
    rules, place = judge(), at("192.0.2.7")
    made = [rules.failed(place, ALICE, "192.0.2.7", None, NOW).bans for _ in range(10)]
    assert [len(bans) for bans in made] == [0] * 9 + [1]


def test_lifting_forgets_the_failures() -> None:
    rules = judge(account_failures=1000)
    fail(rules, "192.0.2.7", 9)
    assert rules.lift(at("192.0.2.7").address) == []
    assert fail(rules, "192.0.2.7", 9, first=10) == []
    (ban,) = fail(rules, "192.0.2.7", 1, first=20)
    assert rules.lift(at("192.0.2.0").network) == [ban]
    assert rules.door(at("192.0.2.7"), ALICE, NOW) is Door.OPEN
    assert fail(rules, "192.0.2.7", 9, first=30) == []
    rules.lift_all()
    assert set(rules.statistics().values()) == {0, 1}  # the hashes of wrong passwords stay


def test_memory_is_bounded() -> None:
    rules = judge(subjects=100, most=100)
    for number in range(2000):
        fail(rules, f"10.{number // 250}.{number % 250}.1", 1, name=f"user{number}")
    assert max(rules.statistics().values()) <= 100


def test_a_changed_password_is_at_home_nowhere() -> None:
    rules = judge()
    rules.known.note(ALICE, at("192.0.2.7").address, NOW)
    rules.forget(ALICE)
    assert not rules.known.any(ALICE, NOW)
