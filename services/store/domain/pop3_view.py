"""What one device has seen of one mailbox by POP3: which messages it hid, which it fetched, and on which day each.

A set is a list of spans (first UID, last UID, day), ascending and disjoint: a few octets for a mailbox that is fetched in order.

Laws:
- What is in a set stays in it with its first day, or a later one where the set was made coarser; never an earlier one. What goes by
  its age goes too late rather than too early.
- A span may run over UIDs whose messages are gone: UIDs are never used again (RFC 3501 §2.3.1.1). It never takes in a message that
  is there and was not hidden or fetched.
- Bounded: beyond SPANS_MAX the oldest fetched ones are forgotten; hidden ones are never, their set is refused.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import attrs

from shared.model.packed import pack_u32, unpack_u32
from shared.model.pop3 import Dele

Span = tuple[int, int, int]
Spans = tuple[Span, ...]
"""First UID, last UID, day (since 1970, UTC)."""

SPANS_MAX: Final = 20_000
"""240 KB of one set."""
TIDY_AT: Final = 512
"""Spans of a view beyond which the mailbox is looked at, to join those with nothing between them."""
DAY_SECONDS: Final = 86_400
KEEP_DAYS_MAX: Final = 36_500
REPEAT_MESSAGES: Final = 50
REPEAT_SHARE: Final = 0.9
REPEAT_SESSIONS: Final = 2
"""A device that in so many sessions in a row fetches at least so many messages, and such a share of its maildrop, again."""


class TooManySpans(Exception):
    """What is hidden cannot be written down in SPANS_MAX spans."""


def encode(spans: Iterable[Span]) -> bytes:
    """Three u32 for each."""
    return pack_u32(number for span in spans for number in span)


def decode(data: bytes) -> Spans:
    """Raises ValueError where it is not what ``encode`` made."""
    numbers = unpack_u32(data)
    return tuple(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))


def covered(spans: Spans, uids: Iterable[int]) -> list[int]:
    """Those of the UIDs that are in the set, in their order."""
    firsts = [span[0] for span in spans]
    return [uid for uid in uids if (at := bisect_right(firsts, uid)) and uid <= spans[at - 1][1]]


def missing(spans: Spans, uids: Iterable[int]) -> list[int]:
    """Those of the UIDs that are not in the set, in their order."""
    firsts = [span[0] for span in spans]
    return [uid for uid in uids if not ((at := bisect_right(firsts, uid)) and uid <= spans[at - 1][1])]


def end_of_span(spans: Spans, uid: int) -> int:
    """The last UID of the span that a UID is in; 0: it is in none."""
    at = bisect_right(spans, (uid, 2**32, 2**32))
    return spans[at - 1][1] if at and uid <= spans[at - 1][1] else 0


def add(spans: Spans, uids: Iterable[int], day: int) -> Spans:
    """With more UIDs, in any order; what is there already keeps its day."""
    new = [(uid, uid, day) for uid in missing(spans, sorted(set(uids)))]
    return tuple(_joined(sorted([*spans, *new]))) if new else spans


def _joined(ordered: Iterable[Span]) -> Iterator[Span]:
    """Neighbours of one day become one span."""
    held: Span | None = None
    for span in ordered:
        if held is not None and held[1] + 1 == span[0] and held[2] == span[2]:
            held = (held[0], span[1], held[2])
            continue
        if held is not None:
            yield held
        held = span
    if held is not None:
        yield held


def tidied(spans: Spans, living: Iterable[int]) -> Spans:
    """The same for the messages that are there (ascending), in as few spans as can be."""
    tidy: list[Span] = []
    at, open_span = 0, False
    for uid in living:
        while at < len(spans) and spans[at][1] < uid:
            at += 1
        if at == len(spans):
            break
        if spans[at][0] > uid:
            open_span = False
            continue
        day = spans[at][2]
        if open_span and tidy[-1][2] == day:
            tidy[-1] = (tidy[-1][0], uid, day)
        else:
            tidy.append((uid, uid, day))
        open_span = True
    return tuple(tidy)


def coarser(spans: Spans) -> Spans:
    """Without the days: spans that touch become one, of the latest day of the set."""
    latest = max((span[2] for span in spans), default=0)
    return tuple(_joined((first, last, latest) for first, last, _ in spans))


def day_of(seconds: float) -> int:
    """Days since 1970, in UTC."""
    return int(seconds // DAY_SECONDS)


def cutoff(today: int, days: int) -> int:
    """The last day that is so many whole days ago."""
    return today - days - 1


def old_ranges(spans: Spans, day: int) -> list[tuple[int, int]]:
    """First and last UIDs of what has a day that is not after the given one."""
    return [span[:2] for span in spans if span[2] <= day]


def union(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges in any order that may overlap, as ascending ones that do not."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


@attrs.frozen
class View:
    """Of one device and one mailbox with this UIDVALIDITY."""

    uidvalidity: int
    hidden: Spans = ()
    fetched: Spans = ()
    repeats: int = 0
    """Sessions in a row that fetched nearly everything again."""
    tidy_at: int = TIDY_AT
    """Spans beyond which it is worth while to look at the mailbox."""

    @property
    def hidden_since(self) -> int:
        """The day of what was hidden first; 0: nothing is."""
        return min((span[2] for span in self.hidden), default=0)


@attrs.frozen
class Session:
    """What a session did; UIDs in any order."""

    fetched: Sequence[int]
    hidden: Sequence[int]
    messages: int
    """In its maildrop when it began."""


def after(view: View, session: Session, day: int, living: Callable[[], Iterable[int]]) -> View:
    """The view after a session. ``living``: the UIDs of the mailbox, ascending; rarely asked for. Raises TooManySpans."""
    again = len(covered(view.fetched, session.fetched))
    repeats = view.repeats
    if session.fetched:
        repeats = min(repeats + 1, REPEAT_SESSIONS) if is_repeat(again, session.messages) else 0
    changed = attrs.evolve(
        view,
        hidden=add(view.hidden, session.hidden, day),
        fetched=add(view.fetched, session.fetched, day),
        repeats=repeats,
    )
    if len(changed.hidden) + len(changed.fetched) <= view.tidy_at:
        return changed
    return _bounded(changed, list(living()))


def _bounded(view: View, living: Sequence[int]) -> View:
    hidden, fetched = tidied(view.hidden, living), tidied(view.fetched, living)
    if len(hidden) > SPANS_MAX:
        hidden = tidied(coarser(hidden), living)
    if len(hidden) > SPANS_MAX:
        raise TooManySpans
    if len(fetched) > SPANS_MAX:
        fetched = tidied(coarser(fetched), living)[-SPANS_MAX:]
    # the next look at the mailbox comes when the view has grown by as much again
    return attrs.evolve(view, hidden=hidden, fetched=fetched, tidy_at=max(TIDY_AT, 2 * (len(hidden) + len(fetched))))


def is_repeat(again: int, messages: int) -> bool:
    """Whether a session fetched so much again that its device seems not to know what it has."""
    return again >= REPEAT_MESSAGES and again >= REPEAT_SHARE * messages


@attrs.frozen
class Meaning:
    """What DELE means, and after how many days what is hidden is removed (0: never)."""

    dele: Dele = Dele.DELETE
    keep_days: int = 0


def meaning(own_dele: str | None, own_keep_days: int | None, defaults: Meaning) -> Meaning:
    """Of an account. Whoever says how long hidden mail stays wants it hidden."""
    unsaid = Dele.HIDE if own_keep_days else defaults.dele
    return Meaning(unsaid if own_dele is None else Dele(own_dele), defaults.keep_days if own_keep_days is None else own_keep_days)
