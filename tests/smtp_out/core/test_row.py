"""Whose job a hop takes next, and how much one account may hold."""

import pytest

from services.smtp_out.egress.ways import DIRECT, Choice, Way, relay_way
from services.smtp_out.holdings import Holdings
from services.smtp_out.row import Job, Row
from shared.contract.types import QueueEntry
from shared.model.ids import AccountId, EntryId


def job(
    number: int, account: int, *, way: Way = DIRECT, destination: str = "b.test", recipients: int = 1
) -> Job:
    entries = tuple(
        QueueEntry(
            EntryId(1000 * number + place), number, destination, "t", "s@a.test", "r@b.test", "", 1, False, False, 0.0, 1e6, 0,
            AccountId(account) if account else None,
        )
        for place in range(recipients)
    )  # fmt: skip
    return Job(way.hop_key(destination), entries, Choice(way))


def row_of(*accounts: int) -> Row:
    row = Row()
    for number, account in enumerate(accounts):
        row.append(job(number, account))
    return row


def order(row: Row, blocked: frozenset[int] = frozenset()) -> list[int]:
    taken = []
    while (one := row.take(lambda account: account not in blocked)) is not None:
        taken.append(one.first.message_id)
    return taken


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [
        ((), []),
        ((1, 1, 1), [0, 1, 2]),
        # a newsletter, then one letter of another account, and a forwarded one
        ((1, 1, 1, 1, 2, 0), [0, 4, 5, 1, 2, 3]),
        ((1, 2, 1, 2), [0, 1, 2, 3]),
    ],
)
def test_accounts_take_turns(accounts: tuple[int, ...], expected: list[int]) -> None:
    row = row_of(*accounts)
    assert len(row) == len(accounts)
    assert order(row) == expected
    assert (len(row), row.accounts) == (0, ())


def test_who_may_not_go_delays_nobody() -> None:
    row = row_of(1, 1, 2, 1, 2)
    assert order(row, frozenset({1})) == [2, 4]
    assert (len(row), row.waiting(1), row.waiting(2)) == (3, 3, 0)
    assert [one.first.message_id for one in row.take_all()] == [0, 1, 3]
    assert len(row) == 0


def test_what_is_put_back_is_next() -> None:
    row = row_of(1, 2, 2)
    first = row.take(lambda _: True)
    assert first is not None
    row.put_back(first)
    assert order(row) == [0, 1, 2]


@pytest.mark.parametrize(
    ("accounts", "most", "names"),
    [
        ((1, 1, 2), 3, []),
        ((1, 1, 1, 2), 3, ["1@b.test"]),
        ((0, 0, 0), 3, ["0@b.test"]),
        (tuple(range(9)), 1, [f"{number}@b.test" for number in range(9)]),
        ((*range(20),), 2, [f"{number}@b.test" for number in range(20)]),
    ],
)
def test_long_rows_are_busy(accounts: tuple[int, ...], most: int, names: list[str]) -> None:
    assert row_of(*accounts).busy_names(most) == names


def test_at_a_relay_all_of_an_account_is_busy() -> None:
    row = Row()
    for number in range(3):
        row.append(job(number, 7, way=relay_way("a"), destination=f"d{number}.test"))
    assert row.busy_names(3) == ["7@"]


def test_an_account_holds_no_more_than_is_free() -> None:
    held = Holdings()
    for number in range(4):
        held.add(job(number, 1, recipients=2))
    held.add(job(9, 2))
    assert (len(held), EntryId(1000) in held, EntryId(1002) in held) == (9, True, False)
    assert held.hogs(9) == []
    assert held.hogs(8) == [1]
    assert sorted(held.hogs(1)) == [1, 2]
    held.remove(EntryId(1000))
    held.remove(EntryId(1000))
    assert held.hogs(8) == []
    assert len(held.jobs()) == 5
    for entry in list(held):
        held.remove(entry)
    assert (len(held), held.hogs(1), held.jobs()) == (0, [], [])


def test_a_job_that_lost_its_entries_is_forgotten() -> None:
    """Leases that ended while the store was away: the job is left with nothing, and still has to be let go."""
    held, one = Holdings(), job(1, 7)
    held.add(one)
    one.entries = ()
    held.remove(EntryId(1000))
    assert (len(held), held.hogs(1)) == (0, [])
