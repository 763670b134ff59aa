"""Which hosts are left alone, and for how long."""

import pytest

from services.smtp_out.options import TlsPolicy
from services.smtp_out.rests import FIRST_SECONDS, LONGEST_SECONDS, MAX_RESTS, Rests
from services.smtp_out.route import Target


def target(host: str, address: str) -> Target:
    return Target(host, address, 25, TlsPolicy.OPPORTUNISTIC)


A6, A4, B, C = target("a", "2001:db8::1"), target("a", "192.0.2.1"), target("b", "192.0.2.2"), target("c", "192.0.2.3")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], [A6, A4, B, C]),
        (["a"], [B, C, A6, A4]),  # a host that refused, with all of its addresses
        (["2001:db8::1"], [A4, B, C, A6]),  # an address that could not be reached
        (["b", "a"], [C, A6, A4, B]),
        (["a", "b", "c"], [A6, A4, B, C]),  # nobody else: as if nobody rested
        (["other"], [A6, A4, B, C]),
    ],
)
def test_who_rests_is_tried_last(names: list[str], expected: list[Target]) -> None:
    rests = Rests()
    for name in names:
        rests.begin(name, 0.0)
    assert rests.in_order((A6, A4, B, C), 1.0) == expected
    assert rests.in_order((A6, A4, B, C), FIRST_SECONDS) == [A6, A4, B, C]


def until(rests: Rests, now: float) -> float:
    """When host b rests no more, by steps of a second."""
    while rests.resting(B, now):
        now += 1
    return now


def test_each_rest_is_twice_as_long_until_something_worked() -> None:
    rests, now, lengths = Rests(), 0.0, []
    for _ in range(6):
        rests.begin("b", now)
        rests.begin("b", now + 1)  # the other sessions to it hear the same
        end = until(rests, now)
        lengths.append(end - now)
        now = end
    assert lengths == [300, 600, 1200, 2400, LONGEST_SECONDS, LONGEST_SECONDS]
    rests.end(B)
    rests.begin("b", now)
    assert until(rests, now) - now == FIRST_SECONDS
    # what happened long ago does not count
    now = until(rests, now) + LONGEST_SECONDS
    rests.begin("b", now)
    assert until(rests, now) - now == FIRST_SECONDS


def test_they_are_bounded() -> None:
    rests = Rests()
    for number in range(2 * MAX_RESTS):
        rests.begin(f"h{number}", float(number))
    assert len(rests) == MAX_RESTS
