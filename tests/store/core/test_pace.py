"""So many octets a second, by a clock that is passed in."""

import pytest

from services.store.pace import BURST_SECONDS, Pace


class Clock:
    """Time passes only where somebody sleeps, or by ``now +=``."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept += seconds
        self.now += seconds


@pytest.mark.parametrize("piece", [1, 1000, 64_000, 5_000_000])
def test_the_average_is_never_above_the_limit(piece: int) -> None:
    clock = Clock()
    pace = Pace(1_000_000, clock, clock.sleep)
    pieces = 10_000_000 // piece if piece > 1 else 10_000
    for _ in range(pieces):
        pace.take(piece)
    # the last one is taken on credit, and a burst was free
    least = (pieces - 1) * piece / 1_000_000 - BURST_SECONDS
    assert clock.slept == pytest.approx(clock.now - 100.0)
    assert least <= clock.slept <= pieces * piece / 1_000_000
    assert pace.octets == pieces * piece


def test_idle_time_is_not_saved_up() -> None:
    clock = Clock()
    pace = Pace(1000, clock, clock.sleep)
    pace.take(1000)
    clock.now += 3600
    before = clock.now
    for _ in range(10):
        pace.take(1000)
    assert clock.now - before >= 9 - BURST_SECONDS


def test_without_a_limit_nobody_sleeps() -> None:
    clock = Clock()
    pace = Pace(0, clock, clock.sleep)
    pace.take(1 << 40)
    pace.take(1 << 40)
    assert clock.slept == 0
