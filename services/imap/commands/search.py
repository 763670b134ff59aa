"""SEARCH and SORT in the selected mailbox.

RFC 3501 §6.4.4, RFC 9051 §6.4.4, RFC 4731 §3 (ESEARCH), RFC 5182 §2 (SAVE), RFC 5256 §3 (SORT), RFC 5267 §3 (ESORT) and §4 (contexts),
RFC 9394 §3.1 (PARTIAL), RFC 6203 §4 (RELEVANCY), RFC 7162 §3.1.5 (MODSEQ). How messages are found: ``searching``.
"""

import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, Final

import attrs
import trio

from services.imap.context import CommandFailed, Context, arguments_of
from services.imap.ordering import sort_found
from services.imap.progress import Progress
from services.imap.protocol.arguments import Command
from services.imap.protocol.capability import Extension
from services.imap.protocol.responses import Reply, build_bad, build_no, build_ok
from services.imap.protocol.search_arguments import PartialRange, ReturnOption, SearchArguments, SortField
from services.imap.protocol.search_keys import SearchKey
from services.imap.protocol.search_responses import (
    Correlator,
    Results,
    build_esearch,
    build_no_update,
    build_search,
    build_sort,
)
from services.imap.protocol.sequence_set import NO_MESSAGES, SequenceSet, ranges_of
from services.imap.relevancy import score
from services.imap.search_columns import Snapshot, take_snapshot
from services.imap.search_contexts import SearchContext
from services.imap.search_prepare import Moment, names_numbers, prepare
from services.imap.searching import Found, find
from shared.errors import StoreError
from shared.model.packed import U32

FEW_NUMBERS: Final = 20_000
"""Rendered at once; more of them in a worker thread."""
_DATA: Final = frozenset(
    {
        ReturnOption.MIN,
        ReturnOption.MAX,
        ReturnOption.ALL,
        ReturnOption.COUNT,
        ReturnOption.PARTIAL,
        ReturnOption.RELEVANCY,
        ReturnOption.UPDATE,
        ReturnOption.CONTEXT,
    }
)
"""Whatever asks for an ESEARCH response; SAVE alone does not (RFC 5182 §2.2)."""


@attrs.frozen(eq=False)
class Outcome:
    """``order``: the snapshot's indexes in the order of the result; ``key`` as it was evaluated."""

    snapshot: Snapshot
    key: SearchKey
    found: Found
    order: Sequence[int]
    rows: Sequence[tuple[Any, ...]]
    scores: Sequence[int] | None


async def handle_search(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, SearchArguments)
    by_uid = command.name.startswith("UID ")
    begin(context, arguments.key, uses_modseq=arguments.uses_modseq)
    options = arguments.returns
    if options is None and context.rev2 and not arguments.sort:
        # RFC 9051 §6.4.4: without RETURN it is ALL
        options = frozenset({ReturnOption.ALL})
    correlator = Correlator(command.tag, by_uid)
    await search_selected(context, arguments, options, correlator)
    return build_ok(f"{command.name} completed")


def begin(context: Context, key: SearchKey, *, uses_modseq: bool) -> None:
    """What all searching commands begin with. Raises CommandFailed (BAD)."""
    if names_numbers(key):
        if context.uidonly:
            # RFC 9586 §3: no message sequence number in any argument
            raise CommandFailed(build_bad("Message sequence numbers are off after ENABLE UIDONLY", "UIDREQUIRED"))
        if context.selected is not None:
            context.selected.numbers_in_use = True
    if uses_modseq:
        # RFC 7162 §3.1: an enabling command
        context.enable(Extension.CONDSTORE)


def refuse_charset(*, bad: bool) -> None:
    """RFC 3501 §6.4.4: a tagged NO with BADCHARSET. Raises CommandFailed."""
    if bad:
        raise CommandFailed(build_no("Unknown character set", "BADCHARSET (US-ASCII UTF-8)"))


async def search_selected(
    context: Context, arguments: SearchArguments, options: frozenset[ReturnOption] | None, correlator: Correlator
) -> None:
    """Search the selected mailbox and write the response. Raises StoreError, CommandFailed.

    A correlator with a mailbox's name is ESEARCH's: without matches there is no response (RFC 7377 §2.1).
    """
    selected, contexts = context.mailbox, context.contexts
    updating = options is not None and ReturnOption.UPDATE in options
    if updating and contexts is not None and correlator.tag in contexts:
        # RFC 5267 §4.3
        raise CommandFailed(build_bad("Tag reuse"))
    generation = selected.columns.generation
    largest = selected.columns.uids[-1] if selected.columns.uids else 0
    try:
        refuse_charset(bad=arguments.bad_charset)
        outcome = await _search(context, arguments, options or frozenset(), correlator)
    except (StoreError, CommandFailed):
        if options is not None and ReturnOption.SAVE in options:
            # RFC 5182 §2.1: NO sets the saved result to nothing
            selected.saved = NO_MESSAGES
        raise
    if options is not None and ReturnOption.SAVE in options:
        selected.saved = _saved(outcome, options, arguments.partial)
    if len(outcome.order) or correlator.mailbox is None:
        await _respond(context, arguments, options, correlator, outcome)
    if updating:
        _keep(context, arguments, correlator, outcome, (generation, largest))


async def _search(
    context: Context, arguments: SearchArguments, options: frozenset[ReturnOption], correlator: Correlator
) -> Outcome:
    selected, place = context.mailbox, context.place
    snapshot = take_snapshot(selected)
    # the clock is the store's and the mail's: seconds since 1970
    key = prepare(arguments.key, Moment(selected.told, selected.saved, int(time.time())))
    progress = make_progress(context, correlator.tag)
    found = await find(place, snapshot, key, progress)
    scores = None
    if ReturnOption.RELEVANCY in options or any(each.field is SortField.RELEVANCY for each in arguments.sort):
        scores = await score(place, snapshot, arguments.key, found)
    order: Sequence[int] = found
    rows: Sequence[tuple[Any, ...]] = ()
    if arguments.sort:
        order, rows = await sort_found(place, snapshot, arguments.sort, found, scores, progress)
        if scores is not None:
            by_index = dict(zip(found, scores, strict=True))
            scores = [by_index[index] for index in order]
    return Outcome(snapshot, key, found, order, rows, scores)


def make_progress(context: Context, tag: bytes) -> Progress:
    async def write(line: bytes) -> None:
        context.client.write(line)
        await context.client.flush()

    return Progress(tag, write, trio.current_time)


async def _respond(
    context: Context,
    arguments: SearchArguments,
    options: frozenset[ReturnOption] | None,
    correlator: Correlator,
    outcome: Outcome,
) -> None:
    snapshot = outcome.snapshot
    column = snapshot.uids if correlator.by_uid else snapshot.numbers
    numbers = _told_numbers(column, outcome)
    modseq = _modseq(outcome, options) if arguments.uses_modseq else None
    if options is None:
        build = partial(build_sort if arguments.sort else build_search, numbers, modseq)
    elif not options & _DATA:
        return
    else:
        results = Results(numbers, options, arguments.partial, modseq, outcome.scores)
        build = partial(build_esearch, correlator, results)
    context.client.write(await _render(build, len(numbers)))
    await context.client.drain()


def _told_numbers(column: Sequence[int], outcome: Outcome) -> "array[int]":
    """What a column says of the result, in its order."""
    order = outcome.order
    if len(order) < 2:
        return array(U32, [column[index] for index in order])
    if order is outcome.found and order[-1] - order[0] + 1 == len(order):
        # ascending without a gap: copied at memory speed
        return array(U32, column[order[0] : order[-1] + 1])
    return array(U32, itemgetter(*order)(column))


async def _render(build: Callable[[], bytes], count: int) -> bytes:
    return build() if count <= FEW_NUMBERS else await trio.to_thread.run_sync(build)


def _modseq(outcome: Outcome, options: frozenset[ReturnOption] | None) -> int:
    """RFC 7162 §3.1.5: the highest of what was found; RFC 4731 §3.2: of MIN and MAX, where nothing else is told."""
    modseqs = outcome.snapshot.modseqs
    told: Iterable[int] = outcome.order
    if options is not None and not options & {ReturnOption.ALL, ReturnOption.COUNT, ReturnOption.PARTIAL}:
        ends = _ends(outcome.order, options)
        told = ends or told
    return max((modseqs[index] for index in told), default=0)


def _ends(order: Sequence[int], options: frozenset[ReturnOption]) -> list[int]:
    ends = []
    if len(order) and ReturnOption.MIN in options:
        ends.append(order[0])
    if len(order) and ReturnOption.MAX in options:
        ends.append(order[-1])
    return ends


def _saved(outcome: Outcome, options: frozenset[ReturnOption], span: PartialRange | None) -> SequenceSet:
    """RFC 5182 §2.4, RFC 9394 §3.2: what ``$`` is."""
    order, snapshot = outcome.order, outcome.snapshot
    chosen: Iterable[int] = order
    if not options & {ReturnOption.ALL, ReturnOption.COUNT}:
        some = _ends(order, options)
        if span is not None:
            start, stop = span.slice_of(len(order))
            some.extend(order[start:stop])
        if some or options & {ReturnOption.MIN, ReturnOption.MAX, ReturnOption.PARTIAL}:
            chosen = some
    indexes = sorted(set(chosen)) if chosen is not outcome.found else outcome.found
    # ranges of numbers: no message that was told of is between the UIDs of one
    numbers, told = snapshot.numbers, snapshot.uids
    pairs = []
    at = 0
    for low, high in ranges_of(numbers[index] for index in indexes):
        first = told[indexes[at]]
        at += high - low
        pairs.append((first, told[indexes[at]]))
        at += 1
    return SequenceSet(tuple(pairs))


def _keep(
    context: Context, arguments: SearchArguments, correlator: Correlator, outcome: Outcome, since: tuple[int, int]
) -> None:
    """RFC 5267 §4.3: go on telling what changes, or say NOUPDATE."""
    contexts = context.contexts
    by_relevancy = any(each.field is SortField.RELEVANCY for each in arguments.sort)
    complete = not arguments.sort or len(outcome.rows) == len(outcome.order)
    if (
        contexts is None
        or by_relevancy
        or not complete
        or not contexts.has_room(len(outcome.order), is_sorted=bool(arguments.sort))
    ):
        context.client.write(build_no_update(correlator.tag))
        return
    uids = outcome.snapshot.uids
    kept = SearchContext(
        correlator, outcome.key, arguments.sort, array(U32, sorted(uids[index] for index in outcome.order))
    )
    kept.items = arguments.update_items
    if arguments.sort:
        kept.rows = [kept.row(values, uids[index]) for values, index in zip(outcome.rows, outcome.order, strict=True)]
    contexts.add(kept, *since)
