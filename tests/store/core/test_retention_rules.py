"""Which rule holds for a mailbox, what it lets go, and when the clock is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.domain.retention import DAY, HOLD_SECONDS, JUMP_SECONDS, Clock, Rule, Rules

ALICE, BOB = 1, 2
USES = {"Trash": "\\Trash", "Archive": "\\Archive", "Bin": ""}
SITE_ALL = Rule(0, "", days=365)
SITE_TRASH = Rule(0, "\\Trash", days=30)
SITE_BIN = Rule(0, "Bin", messages=10)
ALICE_TRASH_NAME = Rule(ALICE, "Trash", days=7)
ALICE_TRASH_USE = Rule(ALICE, "\\Trash", days=8)
ALICE_ALL = Rule(ALICE, "", days=99)
ALICE_ARCHIVE = Rule(ALICE, "\\Archive")
ALICE_LIST = Rule(ALICE, "Lists/x", days=5)


@pytest.mark.parametrize(
    ("rules", "account", "name", "expected"),
    [
        ((), ALICE, "Trash", None),
        ((SITE_TRASH,), ALICE, "INBOX", None),
        ((SITE_ALL, SITE_TRASH), ALICE, "Trash", SITE_TRASH),
        ((SITE_ALL, SITE_TRASH), ALICE, "INBOX", SITE_ALL),
        ((SITE_ALL, SITE_TRASH), ALICE, "Trash/old", SITE_ALL),
        ((SITE_TRASH,), ALICE, "Trash/old", None),
        ((SITE_BIN,), ALICE, "Bin", SITE_BIN),
        ((SITE_TRASH, ALICE_TRASH_USE), ALICE, "Trash", ALICE_TRASH_USE),
        ((SITE_TRASH, ALICE_TRASH_USE), BOB, "Trash", SITE_TRASH),
        ((ALICE_TRASH_USE, ALICE_TRASH_NAME), ALICE, "Trash", ALICE_TRASH_NAME),
        ((SITE_TRASH, ALICE_ALL), ALICE, "Trash", ALICE_ALL),
        ((SITE_TRASH, ALICE_ALL), BOB, "Trash", SITE_TRASH),
        # what is kept for ever is kept with all that is below it
        ((SITE_ALL, ALICE_ARCHIVE), ALICE, "Archive", ALICE_ARCHIVE),
        ((SITE_ALL, ALICE_ARCHIVE), ALICE, "Archive/2024/x", ALICE_ARCHIVE),
        ((SITE_ALL, ALICE_ARCHIVE), ALICE, "Archive2", SITE_ALL),
        ((ALICE_ALL, ALICE_ARCHIVE), ALICE, "Archive/2024", ALICE_ARCHIVE),
        ((SITE_ALL, ALICE_ARCHIVE), BOB, "Archive/2024", SITE_ALL),
        # what lets go holds for its mailbox alone
        ((ALICE_LIST,), ALICE, "Lists/x/y", None),
        ((ALICE_LIST,), ALICE, "Lists", None),
        ((ALICE_LIST, SITE_ALL), ALICE, "Lists/x", ALICE_LIST),
    ],
)
def test_the_most_specific_rule_holds(rules: tuple[Rule, ...], account: int, name: str, expected: Rule | None) -> None:
    assert Rules(rules).rule_for(account, name, USES) == expected
    assert Rules(reversed(rules)).rule_for(account, name, USES) == expected


def test_what_a_rule_lets_go() -> None:
    assert Rule(0, "", days=30).before(100 * DAY + 0.9) == 70 * DAY
    assert Rule(0, "", days=30).before(5.0) == 0
    assert Rule(0, "", messages=3).before(1e9) == 0
    assert [Rule(0, "", messages=3).surplus(held) for held in (0, 3, 4, 10)] == [0, 0, 1, 7]
    assert Rule(0, "", days=1).surplus(10**6) == 0
    assert Rule(0, "").keeps_all
    assert not Rules([ALICE_ARCHIVE]).let_go
    assert Rules([ALICE_ARCHIVE, SITE_ALL]).let_go


NOON = 1_700_000_000


def looks(*times: int) -> Clock:
    clock = Clock()
    for now in times:
        clock = clock.look(now)
    return clock


def test_a_clock_that_goes_on_is_trusted() -> None:
    assert looks(NOON).trusted
    assert looks(NOON, NOON + 3600, NOON + 3600 + JUMP_SECONDS).trusted
    assert looks(NOON, NOON - 10 * DAY, NOON - 9 * DAY).trusted


def test_after_a_jump_nothing_goes_by_age_for_a_day() -> None:
    jumped = NOON + JUMP_SECONDS + 1
    clock = looks(NOON, jumped)
    assert not clock.trusted
    assert clock.held_until == jumped + HOLD_SECONDS
    assert not clock.look(jumped + HOLD_SECONDS - 1).trusted
    assert clock.look(jumped + HOLD_SECONDS).trusted
    assert clock.look(jumped + HOLD_SECONDS).held_until == 0


def test_a_clock_that_is_put_right_is_trusted_at_once() -> None:
    assert looks(NOON, NOON + 4000 * DAY, NOON + 600).trusted


def test_a_second_jump_begins_the_wait_anew() -> None:
    clock = looks(NOON, NOON + 2 * DAY, NOON + 5 * DAY)
    assert clock.held_until == NOON + 5 * DAY + HOLD_SECONDS


@given(st.lists(st.integers(0, 4_000_000_000), min_size=2, max_size=20))
def test_no_jump_is_ever_trusted_at_once(times: list[int]) -> None:
    clock = Clock()
    for now in times:
        before, clock = clock, clock.look(now)
        assert clock.seen_at == now
        if before.seen_at and now - before.seen_at > JUMP_SECONDS:
            assert not clock.trusted
        if not clock.trusted:
            assert 0 <= now - clock.held_since < HOLD_SECONDS
