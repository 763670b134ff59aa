"""Token buckets: spacing, bursts, and what has no limit."""

import pytest

from services.smtp_out.pace import BURST_SECONDS, MAX_BUCKETS, Bucket, Pace, Rates


def starts(bucket: Bucket, number: int, now: float) -> list[float]:
    """When so many messages go, each as early as it may."""
    times = []
    for _ in range(number):
        now += bucket.wait_seconds(now)
        bucket.take(now)
        times.append(round(now, 6))
    return times


@pytest.mark.parametrize(
    ("per_minute", "expected"),
    [
        (60, [0, 0, 0, 0, 0, 1, 2]),  # BURST_SECONDS' worth, then one a second
        (6, [0, 10, 20]),
        (1, [0, 60, 120]),
        (0.5, [0, 120]),
        (600, [0] * 50 + [0.1, 0.2]),
    ],
)
def test_messages_are_spaced(per_minute: float, expected: list[float]) -> None:
    assert starts(Bucket.full(per_minute, 0.0), len(expected), 0.0) == expected


def test_a_pause_fills_it_no_further_than_its_bound() -> None:
    bucket = Bucket.full(60, 0.0)
    starts(bucket, 20, 0.0)
    assert starts(bucket, 6, 1e6) == [1e6] * 5 + [1e6 + 1]
    assert not bucket.is_full(1e6 + 2)
    assert bucket.is_full(1e6 + 2 + BURST_SECONDS)


def test_no_clock_that_goes_back_fills_it() -> None:
    bucket = Bucket.full(6, 100.0)
    bucket.take(100.0)
    assert bucket.wait_seconds(50.0) == pytest.approx(10)


def test_rates_of_destinations_and_accounts() -> None:
    pace = Pace(Rates(per_destination=6, per_account=3, destinations={"big.test": 12, "free.test": 0}))
    for key in ("a.test", "big.test", "free.test"):
        assert pace.destination_wait(key, 0.0) == 0
        pace.account_wait(1, 0.0)
        pace.started(key, 0, 0.0)
    assert [pace.destination_wait(key, 0.0) for key in ("a.test", "b.test", "big.test", "free.test")] == [10, 0, 5, 0]
    assert pace.account_wait(1, 0.0) == 0
    pace.started("b.test", 1, 0.0)
    assert (pace.account_wait(1, 0.0), pace.account_wait(2, 0.0)) == (20, 0)
    # what no account submitted
    assert [pace.account_wait(0, 0.0) for _ in range(3)] == [0, 0, 0]


def test_without_rates_nothing_is_remembered() -> None:
    pace = Pace(Rates())
    assert (pace.destination_wait("a.test", 0.0), pace.account_wait(1, 0.0), len(pace)) == (0, 0, 0)
    pace.started("a.test", 1, 0.0)
    assert len(pace) == 0


def test_buckets_that_say_nothing_are_forgotten() -> None:
    pace = Pace(Rates(per_destination=60))
    for number in range(3 * MAX_BUCKETS):
        pace.destination_wait(f"d{number}.test", float(number))
    assert len(pace) <= MAX_BUCKETS
