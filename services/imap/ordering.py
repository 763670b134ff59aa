"""SORT and THREAD over what was found: reads cards in batches, keeps only what is compared, sorts in a worker thread.

RFC 5256 §3. Bounded by a number of messages (NO [LIMIT] beyond it), and by one large sort of the process at a time.
"""

from array import array
from collections.abc import Sequence
from typing import Any, Final

import trio

from services.imap.cards import NO_CARD
from services.imap.context import CommandFailed
from services.imap.progress import Progress
from services.imap.protocol.responses import build_no
from services.imap.protocol.search_arguments import SortCriterion, ThreadAlgorithm
from services.imap.protocol.search_responses import Node
from services.imap.reading import Place
from services.imap.search_columns import Snapshot
from services.imap.searching import ROW_BATCH, Found, load_cards
from services.imap.sorting import needs_cards, sort_rows, sort_value
from services.imap.threading_refs import Member, thread
from shared.model.packed import U32

SORT_MESSAGES: Final = 250_000
"""By what is not in columns: some 150 octets each while they are sorted."""
THREAD_MESSAGES: Final = 100_000
"""Some 700 octets each while they are threaded."""
FEW: Final = 1000
"""Sorted at once: less than a thread costs."""
_large: Final = trio.CapacityLimiter(1)


async def sort_found(
    place: Place,
    snapshot: Snapshot,
    criteria: Sequence[SortCriterion],
    found: Found,
    scores: Sequence[int] | None,
    progress: Progress,
) -> tuple[Sequence[int], list[tuple[Any, ...]]]:
    """Indexes in order, and for each the values by which it is sorted. Raises StoreError, CommandFailed."""
    cards = needs_cards(criteria)
    if cards and len(found) > SORT_MESSAGES:
        raise CommandFailed(build_no(f"Sorts up to {SORT_MESSAGES} messages by that", "LIMIT"))
    if len(found) <= FEW:
        return await _sort(place, snapshot, criteria, found, scores, progress)
    async with _large:
        return await _sort(place, snapshot, criteria, found, scores, progress)


async def _sort(
    place: Place,
    snapshot: Snapshot,
    criteria: Sequence[SortCriterion],
    found: Found,
    scores: Sequence[int] | None,
    progress: Progress,
) -> tuple[Sequence[int], list[tuple[Any, ...]]]:
    cards = needs_cards(criteria)
    there = array(U32)
    columns: list[list[Any]] = [[] for _ in criteria]
    if cards:
        progress.total += len(found)
    for start in range(0, len(found), ROW_BATCH):
        indexes = found[start : start + ROW_BATCH]
        by_uid = await load_cards(place, [snapshot.uids[index] for index in indexes]) if cards else {}
        for at, index in enumerate(indexes, start):
            card = by_uid.get(snapshot.uids[index], NO_CARD if not cards else None)
            if card is None:
                continue  # expunged meanwhile
            there.append(index)
            size, arrival = snapshot.sizes[index], snapshot.dates[index]
            for criterion, values in zip(criteria, columns, strict=True):
                values.append(sort_value(criterion.field, card, size, arrival, scores[at] if scores else 0))
        await trio.lowlevel.checkpoint()
        if cards:
            await progress.note(len(indexes))
    if len(there) <= FEW:
        order = sort_rows(criteria, columns, len(there))
    else:
        order = await trio.to_thread.run_sync(sort_rows, criteria, columns, len(there))
    rows = list(zip(*columns, strict=True)) if len(there) <= FEW * 10 else []
    return [there[at] for at in order], [rows[at] for at in order] if rows else []


async def thread_found(
    place: Place,
    snapshot: Snapshot,
    algorithm: ThreadAlgorithm,
    found: Found,
    numbers: Sequence[int],
    progress: Progress,
) -> list[Node]:
    """The threads of what was found; ``numbers`` (of the snapshot) are what the client calls the messages.

    Raises StoreError, CommandFailed.
    """
    if len(found) > THREAD_MESSAGES:
        raise CommandFailed(build_no(f"Threads up to {THREAD_MESSAGES} messages", "LIMIT"))
    if len(found) <= FEW:
        return thread(algorithm, await _members(place, snapshot, found, numbers, progress))
    async with _large:
        members = await _members(place, snapshot, found, numbers, progress)
        return await trio.to_thread.run_sync(thread, algorithm, members)


async def _members(
    place: Place, snapshot: Snapshot, found: Found, numbers: Sequence[int], progress: Progress
) -> list[Member]:
    members: list[Member] = []
    progress.total += len(found)
    for start in range(0, len(found), ROW_BATCH):
        indexes = found[start : start + ROW_BATCH]
        by_uid = await load_cards(place, [snapshot.uids[index] for index in indexes])
        for index in indexes:
            card = by_uid.get(snapshot.uids[index])
            if card is not None:
                members.append(Member(numbers[index], snapshot.dates[index], card))
        await trio.lowlevel.checkpoint()
        await progress.note(len(indexes))
    return members
