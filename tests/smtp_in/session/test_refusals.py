"""Refusals on their way into the history: gathered, bounded by the minute, never waited for, not lost by a cancelled flush."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from services.smtp_in.refusals import GATHER_SECONDS, MINUTE, Refusals
from shared.contract.history_types import MAX_NOTED, History, Passage, PassageKind
from shared.errors import Unavailable
from shared.observe.log import Logger


def passage(number: int) -> Passage:
    return Passage(f"t{number}", PassageKind.REFUSED, 0.0, "", ())


class Notes:
    """The store's side; ``away``: it takes nothing; ``gate``: it answers when that is set."""

    def __init__(self) -> None:
        self.batches: list[tuple[Passage, ...]] = []
        self.away = False
        self.gate = trio.Event()
        self.gate.set()

    async def note(self, passages: tuple[Passage, ...]) -> None:
        await self.gate.wait()
        if self.away:
            raise Unavailable("restarting")
        self.batches.append(passages)

    async def find(self, query: str, stories: int) -> History:
        raise NotImplementedError  # of the interface, never called by what is tested here


def make(notes: Notes, most: int, lines: list[str]) -> Refusals:
    return Refusals(notes, Logger("smtp_in", write=lines.append, as_json=True), most)


def test_they_are_gathered() -> None:
    notes = Notes()

    async def run() -> None:
        refusals = make(notes, 1000, [])
        async with trio.open_nursery() as nursery:
            scope = await nursery.start(refusals.run)
            for number in range(MAX_NOTED + 1):
                refusals.note(passage(number))
            await trio.sleep(GATHER_SECONDS + 0.1)
            assert [len(batch) for batch in notes.batches] == [MAX_NOTED, 1]
            refusals.note(passage(9))
            await trio.sleep(GATHER_SECONDS + 0.1)
            assert notes.batches[2] == (passage(9),)
            scope.cancel()

    trio.run(run, clock=MockClock(autojump_threshold=0))


def test_a_minute_has_room_for_so_many() -> None:
    notes, lines = Notes(), []

    async def run() -> None:
        refusals = make(notes, 3, lines)
        for number in range(10):
            refusals.note(passage(number))
        await refusals.flush()
        assert notes.batches == [(passage(0), passage(1), passage(2))]
        assert (refusals.left_out, len(lines)) == (7, 1)
        refusals.note(passage(10))
        await trio.sleep(MINUTE)
        refusals.note(passage(11))
        await refusals.flush()
        assert notes.batches[1:] == [(passage(11),)]
        # none are wanted: none are kept, and nothing is said
        del lines[:]
        none = make(notes, 0, lines)
        none.note(passage(1))
        await none.flush()
        assert (len(notes.batches), lines) == (2, [])

    trio.run(run, clock=MockClock(autojump_threshold=0))


def test_a_store_that_is_away() -> None:
    notes, lines = Notes(), []

    async def run() -> None:
        notes.away = True
        refusals = make(notes, 10, lines)
        refusals.note(passage(1))
        await refusals.flush()
        assert (notes.batches, refusals.left_out, len(lines)) == ([], 1, 1)
        # a flush that is cut off leaves them to the last one
        notes.away, notes.gate = False, trio.Event()
        refusals.note(passage(2))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refusals.flush)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        notes.gate.set()
        await refusals.flush()
        assert notes.batches == [(passage(2),)]

    trio.run(run)
