"""Allowances and memories by a clock of the test's own."""

from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from services.smtp_in.policy.allowance import Allowance, Recent


@define
class Clock:
    """Stands still until it is told."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_and_then_one_at_a_time() -> None:
    clock = Clock()
    allowance = Allowance(3, 60.0, 10, clock)
    assert [allowance.take("a") for _ in range(4)] == [True, True, True, False]
    assert allowance.take("b")
    clock.now += 19.9
    assert not allowance.take("a")
    clock.now += 0.1
    assert [allowance.take("a") for _ in range(2)] == [True, False]
    clock.now += 60
    assert [allowance.take("a") for _ in range(4)] == [True, True, True, False]


def test_no_limit_remembers_nobody() -> None:
    allowance = Allowance(0, 60.0, 10, Clock())
    assert all(allowance.take("a") for _ in range(1000))
    assert len(allowance) == 0


def test_beyond_the_entries_the_oldest_is_forgotten() -> None:
    allowance = Allowance(1, 60.0, 2, Clock())
    assert allowance.take("a")
    assert allowance.take("b")
    assert not allowance.take("a")  # which makes it the younger one
    assert allowance.take("c")
    assert len(allowance) == 2
    assert not allowance.take("a")
    assert allowance.take("b")


@given(st.integers(1, 50), st.lists(st.floats(0, 30), max_size=200))
def test_no_minute_has_more_than_burst_and_refill(limit: int, gaps: list[float]) -> None:
    clock = Clock()
    allowance = Allowance(limit, 60.0, 10, clock)
    taken = []
    for gap in gaps:
        clock.now += gap
        if allowance.take("a"):
            taken.append(clock.now)
    for start in taken:
        assert sum(start <= at <= start + 60.0 for at in taken) <= 2 * limit + 1


def test_what_is_recent() -> None:
    clock = Clock()
    recent = Recent(10.0, 2, clock)
    recent.add("a")
    assert "a" in recent
    clock.now += 10
    assert "a" not in recent
    recent.add("b")
    recent.add("c")
    assert len(recent) == 2
    assert "b" in recent
    assert "c" in recent
