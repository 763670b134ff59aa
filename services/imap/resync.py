"""What happened to a mailbox since a client was last here: RFC 7162 §3.2.5 (SELECT QRESYNC) and §3.2.6 (UID FETCH VANISHED).

Laws:
- The store remembers what was expunged at which modseq: a client that comes back is told the difference, at the cost of the difference.
- Where the store has forgotten that far back (LimitExceeded) everything is told that is not there of what the client may know, which
  RFC 7162 §3.2.6 asks for; it comes in ranges, found by the gaps between the UIDs that are there.
- A message that the session still counts is never told as vanished earlier: its expunge is told on its own, as VANISHED without EARLIER.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

import attrs
import trio

from services.imap.context import Context
from services.imap.protocol.responses import vanished_lines
from services.imap.protocol.resync_grammar import KnownPairs
from services.imap.protocol.sequence_set import SequenceSet, ranges_of
from services.imap.views import PAGE_MESSAGES
from shared.errors import LimitExceeded
from shared.model.ids import ModSeq, Uid
from shared.model.packed import unpack_u32

_LEAF: Final = 64
"""Messages between which gaps are looked for one by one."""
Range = tuple[int, int]
"""Inclusive."""


@attrs.frozen(eq=False)
class Difference:
    """``vanished``: ranges of UIDs, ascending; ``changed``: UIDs of told messages with a higher modseq, ascending."""

    vanished: Iterable[Range]
    changed: Sequence[int]


async def difference_since(context: Context, modseq: int, interest: SequenceSet | None, above: int = 0) -> Difference:
    """``interest``: UIDs that the client asks about, None for all; ``above``: vanished UIDs up to this are known to it.

    Raises StoreError.
    """
    selected, columns = context.mailbox, context.columns
    told, last = selected.told, columns.uid_next - 1
    if modseq >= columns.largest_modseq and modseq >= columns.highest_modseq:
        return Difference((), ())
    # RFC 7162 §3.2.5.1: without a list of UIDs it is 1:<maxuid>; and * is as large as any UID that has been given out
    spans = [(1, last)] if interest is None else interest.spans(last)
    spans = [(low, min(high, last)) for low, high in spans if low <= last]
    page = None
    if modseq:
        try:
            page = await context.store.messages.changes(
                context.grant, context.mailbox_id, ModSeq(modseq), Uid(0), PAGE_MESSAGES
            )
        except LimitExceeded:
            page = None
    if page is None:
        vanished: Iterable[Range] = gaps(told, [(max(low, above + 1), high) for low, high in spans if high > above])
    else:
        gone = within(unpack_u32(page.vanished), spans)
        vanished = ranges_of(uid for uid in gone if uid > above and not selected.number_of(uid))
    changed = columns.changed_after(modseq) if page is None or page.more else unpack_u32(page.uids)
    return Difference(vanished, within(changed, spans))


async def tell_vanished(context: Context, ranges: Iterable[Range]) -> None:
    """VANISHED (EARLIER); with many ranges other sessions get their turns in between."""
    for line in vanished_lines(ranges, earlier=True):
        context.client.write(line)
        await context.client.drain()
        await trio.lowlevel.checkpoint()


def within(uids: Sequence[int], spans: Sequence[Range]) -> list[int]:
    """Of ascending UIDs those that are in spans (ascending, not overlapping)."""
    found: list[int] = []
    for low, high in spans:
        found.extend(uids[bisect_left(uids, low) : bisect_right(uids, high)])
    return found


def gaps(uids: Sequence[int], spans: Sequence[Range]) -> Iterator[Range]:
    """What is in spans and not among ascending ``uids``, as ranges; the cost follows their number."""
    waiting = list(reversed(spans))
    pending: Range | None = None
    while waiting:
        low, high = waiting.pop()
        start, stop = bisect_left(uids, low), bisect_right(uids, high)
        if stop - start == high - low + 1:
            continue
        if start == stop:
            if pending is not None and pending[1] + 1 == low:
                pending = (pending[0], high)
            else:
                if pending is not None:
                    yield pending
                pending = (low, high)
            continue
        if stop - start < _LEAF:
            pieces = [(before + 1, after - 1) for before, after in pairwise([low - 1, *uids[start:stop], high + 1])]
            waiting.extend(piece for piece in reversed(pieces) if piece[0] <= piece[1])
            continue
        # divided where the messages are: around the middle one
        middle = uids[(start + stop) // 2]
        if middle < high:
            waiting.append((middle + 1, high))
        if low < middle:
            waiting.append((low, middle - 1))
    if pending is not None:
        yield pending


def last_agreed_uid(pairs: KnownPairs, told: Sequence[int]) -> int:
    """RFC 7162 §3.2.5.2: up to which UID the client knows what is there; 0 for nothing.

    Where a pair is right every pair below it is too, so the last right one is found by bisection.
    """

    def is_right(index: int) -> bool:
        number, uid = pairs.pair(index)
        return number <= len(told) and told[number - 1] == uid

    low, high = 0, pairs.count
    while low < high:
        middle = (low + high) // 2
        if is_right(middle):
            low = middle + 1
        else:
            high = middle
    return pairs.pair(low - 1)[1] if low else 0
