"""Many outcomes in one call: nothing is told before it is recorded, and nothing is lost with what the store will not have."""

from functools import partial

import pytest
import trio
import trio.testing

from services.smtp_out.recorder import CALLS_AT_ONCE, OUTCOMES_MAX, Recorder
from shared.contract.types import Outcome, OutcomeKind
from shared.errors import BadRequest, Unavailable
from shared.model.ids import EntryId
from shared.testing import trio_test


def outcome(number: int) -> Outcome:
    return Outcome(EntryId(number), OutcomeKind.DELIVERED)


class Store:
    """Takes calls while its gate is open."""

    def __init__(self):
        self.calls = []
        self.recorded = set()
        self.gate = trio.Event()
        self.refused = set()
        self.away = False

    async def call(self, outcomes):
        self.calls.append(len(outcomes))
        await self.gate.wait()
        await trio.lowlevel.checkpoint()
        if self.away:
            raise Unavailable("away")
        ids = {int(each.entry_id) for each in outcomes}
        if ids & self.refused:
            raise BadRequest("no")
        self.recorded |= ids


@trio_test
async def test_what_comes_meanwhile_goes_together():
    store = Store()
    recorder = Recorder(store.call)

    async def record(number):
        await recorder.record((outcome(number),))
        assert number in store.recorded

    async with trio.open_nursery() as nursery:
        for number in range(CALLS_AT_ONCE):
            nursery.start_soon(record, number)
            await trio.testing.wait_all_tasks_blocked()
        for number in range(CALLS_AT_ONCE, 50):
            nursery.start_soon(record, number)
        await trio.testing.wait_all_tasks_blocked()
        assert store.calls == [1] * CALLS_AT_ONCE
        store.gate.set()
    assert store.calls == [1] * CALLS_AT_ONCE + [50 - CALLS_AT_ONCE]
    assert store.recorded == set(range(50))


@trio_test
async def test_a_call_is_bounded():
    store = Store()
    recorder = Recorder(store.call)
    async with trio.open_nursery() as nursery:
        for number in range(2 * OUTCOMES_MAX):
            nursery.start_soon(recorder.record, (outcome(2 * number), outcome(2 * number + 1)))
        await trio.testing.wait_all_tasks_blocked()
        store.gate.set()
    assert max(store.calls) <= OUTCOMES_MAX
    assert len(store.recorded) == 4 * OUTCOMES_MAX


@trio_test
async def test_the_refused_ones_alone_fail():
    store = Store()
    store.refused = {7}
    recorder = Recorder(store.call)
    failed = []

    async def record(number):
        try:
            await recorder.record((outcome(number),))
        except BadRequest:
            failed.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(record, number)
        await trio.testing.wait_all_tasks_blocked()
        store.gate.set()
    assert failed == [7]
    assert store.recorded == set(range(20)) - {7}


@trio_test
async def test_a_store_that_is_away_is_told_to_all():
    store = Store()
    store.away = True
    store.gate.set()
    recorder = Recorder(store.call)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await recorder.record((outcome(1),))
    store.away = False
    await recorder.record((outcome(1),))
    assert store.recorded == {1}


@trio_test
async def test_one_that_is_cut_off_leaves_the_others_to_try_again():
    store = Store()
    recorder = Recorder(store.call)
    told = []

    async def record(number):
        try:
            await recorder.record((outcome(number),))
        except Unavailable:
            told.append(number)

    leading = trio.CancelScope()

    async def lead():
        with leading:
            await recorder.record((outcome(3),))

    async with trio.open_nursery() as nursery:
        for task in (partial(record, 1), partial(record, 2), lead, partial(record, 4)):
            nursery.start_soon(task)
            await trio.testing.wait_all_tasks_blocked()
        leading.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert told == [4]
        store.gate.set()
    assert store.recorded == {1, 2}
