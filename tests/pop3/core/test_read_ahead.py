"""Reading ahead: how many calls, how much memory, what happens when one fails."""

from array import array
from collections.abc import Sequence

import pytest
import trio
import trio.testing

from services.pop3.protocol.drop import Drop
from services.pop3.read_ahead import BATCH_MESSAGES, BATCH_OCTETS, SMALL_OCTETS, Budget, ReadAhead
from shared.errors import StoreError, Unavailable
from shared.testing import trio_test


class Reader:
    """A store that writes down what it is asked."""

    def __init__(self, drop: Drop) -> None:
        self.drop = drop
        self.calls: list[list[int]] = []
        self.gone: set[int] = set()
        self.error: StoreError | None = None
        self.largest = 0

    async def __call__(self, ranges: Sequence[tuple[int, int, int]]) -> list[bytes | None]:
        numbers = [number for number, _, _ in ranges]
        self.calls.append(numbers)
        self.largest = max(self.largest, sum(map(self.drop.size, numbers)))
        await trio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        return [None if n in self.gone else b"%d" % n for n in numbers]


def make(sizes: Sequence[int]) -> tuple[Drop, Reader]:
    count = len(sizes)
    drop = Drop(
        array("I", range(1, count + 1)), array("I", sizes), array("I", [1] * count), [str(n) for n in range(count)]
    )
    return drop, Reader(drop)


async def fetch(ahead: ReadAhead, number: int, wanted: Sequence[int] = ()) -> bytes | None:
    ready, content = ahead.take_ready(number)
    if not ready:
        content = await ahead.get(number, lambda: wanted)
    ahead.look_further(lambda: wanted)
    return content


@trio_test
async def test_a_client_that_goes_in_order_is_read_ahead() -> None:
    drop, reader = make([1000] * 1000)
    budget = Budget(10**7)
    async with trio.open_nursery() as nursery:
        ahead = ReadAhead(reader, drop, nursery, budget)
        for number in range(1, 1001):
            assert await fetch(ahead, number) == b"%d" % number
            await trio.testing.wait_all_tasks_blocked()
            assert 10**7 - budget.left <= 2 * BATCH_OCTETS
        assert 4 <= len(reader.calls) <= 12
        assert sorted(n for call in reader.calls for n in call) == list(range(1, 1001))
        assert max(map(len, reader.calls)) <= BATCH_MESSAGES + 1
        assert reader.largest <= BATCH_OCTETS + 1000
    ahead.close()
    assert budget.left == 10**7


@trio_test
async def test_what_is_asked_for_together_is_fetched_together() -> None:
    drop, reader = make([100] * 50)
    async with trio.open_nursery() as nursery:
        ahead = ReadAhead(reader, drop, nursery, Budget(10**7))
        for done, number in enumerate((40, 7, 23)):
            assert await fetch(ahead, number, (40, 7, 23)[done + 1 :]) == b"%d" % number
        assert reader.calls[0][:3] == [40, 7, 23]


@trio_test
async def test_a_single_message_costs_a_single_message() -> None:
    drop, reader = make([100] * 50)
    async with trio.open_nursery() as nursery:
        ahead = ReadAhead(reader, drop, nursery, Budget(10**7))
        assert await fetch(ahead, 30) == b"30"
        assert await fetch(ahead, 10) == b"10"
        assert reader.calls == [[30], [10]]


@trio_test
async def test_marked_and_large_messages_are_not_read_ahead() -> None:
    drop, reader = make([100, 100, SMALL_OCTETS + 1, 100, 100])
    drop.mark(2)
    async with trio.open_nursery() as nursery:
        ahead = ReadAhead(reader, drop, nursery, Budget(10**7))
        await fetch(ahead, 1)
        await trio.testing.wait_all_tasks_blocked()
        assert reader.calls == [[1, 4, 5]]


@trio_test
async def test_gone_is_none_and_failure_is_told_to_the_one_who_waits() -> None:
    drop, reader = make([100] * 5)
    budget = Budget(1000)
    async with trio.open_nursery() as nursery:
        ahead = ReadAhead(reader, drop, nursery, budget)
        reader.gone.add(1)
        assert await fetch(ahead, 1) is None
        assert await fetch(ahead, 2) == b"2"
    ahead.close()
    async with trio.open_nursery() as nursery:
        ahead = ReadAhead(reader, drop, nursery, budget)
        reader.error = Unavailable("away")
        with pytest.raises(Unavailable):
            await fetch(ahead, 3)
        reader.error = None
        assert await fetch(ahead, 3) == b"3"
    ahead.close()
    assert budget.left == 1000


@trio_test
async def test_without_budget_one_at_a_time() -> None:
    drop, reader = make([1000] * 20)
    budget = Budget(1500)
    async with trio.open_nursery() as nursery:
        ahead = ReadAhead(reader, drop, nursery, budget)
        for number in range(1, 21):
            assert await fetch(ahead, number) == b"%d" % number
        assert reader.largest <= 1000
    ahead.close()
    assert budget.left == 1500


@trio_test
async def test_a_session_that_ends_in_the_middle_gives_all_back() -> None:
    drop, reader = make([1000] * 500)
    budget = Budget(10**6)
    async with trio.open_nursery() as nursery:
        ahead = ReadAhead(reader, drop, nursery, budget)
        await fetch(ahead, 1)
        nursery.cancel_scope.cancel()
    ahead.close()
    assert budget.left == 10**6


@trio_test
async def test_jumping_about_holds_no_more_than_two_batches() -> None:
    drop, reader = make([10_000] * 400)
    budget = Budget(10**8)
    async with trio.open_nursery() as nursery:
        ahead = ReadAhead(reader, drop, nursery, budget)
        for start in (1, 200, 100, 300, 50, 250):
            for number in (start, start + 1, start + 2):
                await fetch(ahead, number)
                assert 10**8 - budget.left <= 3 * BATCH_OCTETS
    ahead.close()
    assert budget.left == 10**8
