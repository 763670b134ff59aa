"""Search contexts: results that are kept up to date for the client, RFC 5267 §4.3.

Laws:
- Only what has changed is looked at again: the view's log says which messages, and a context's key is tested on these.
- A REMOVEFROM goes before the EXPUNGE of its messages, an ADDTO after their EXISTS (§4.3.2): the numbers in them are the client's. Both
  go after the FETCH of flags that changed (RFC 5465 §5.1).
- A message is removed as soon as it is known to be gone, also where EXPUNGE must wait.
- Bounded: so many contexts, so many results in all of them; beyond that a search is answered, and NOUPDATE says that it is not kept.
"""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Container, Iterable, Sequence
from typing import Any, Final

import attrs

from services.imap.cards import NO_CARD
from services.imap.protocol.arguments import FetchItem, Section
from services.imap.protocol.search_arguments import SortCriterion
from services.imap.protocol.search_keys import SearchKey
from services.imap.protocol.search_responses import Correlator, build_changes, build_no_update
from services.imap.reading import Place
from services.imap.search_columns import snapshot_of_some
from services.imap.searching import find, load_cards
from services.imap.sorting import needs_cards, sort_value
from services.imap.updates import Selected, missing
from shared.model.packed import U32

MAX_CONTEXTS: Final = 10
MAX_RESULTS: Final = 1_000_000
"""Of all contexts of a session together; 4 octets each."""
MAX_SORTED: Final = 10_000
"""Of one sorted context: some 300 octets each."""


Items = tuple[FetchItem | Section, ...]


class _Descending:
    """A value of a criterion that is reversed."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: "_Descending") -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment] # never in a dict


@attrs.define(eq=False)
class SearchContext:
    """One search that is kept up to date. ``rows``: of a sorted one its values and UID, in order; ``uids`` ascend."""

    correlator: Correlator
    key: SearchKey
    criteria: tuple[SortCriterion, ...]
    uids: "array[int]"
    rows: list[tuple[Any, ...]] = attrs.field(factory=list)
    arriving: dict[int, tuple[Any, ...]] = attrs.field(factory=dict)
    """UIDs to be told by ADDTO, with their row."""
    leaving: set[int] = attrs.field(factory=set)
    items: Items = ()
    """RFC 5465 §7: what is told of new messages among the results."""
    fresh: set[int] = attrs.field(factory=set)
    """Of those arriving, messages that are new."""

    def holds(self, uid: int) -> bool:
        at = bisect_left(self.uids, uid)
        return at < len(self.uids) and self.uids[at] == uid

    def row(self, values: Iterable[Any], uid: int) -> tuple[Any, ...]:
        wrapped = [
            _Descending(value) if criterion.reverse else value
            for criterion, value in zip(self.criteria, values, strict=True)
        ]
        return (*wrapped, uid)


class SearchContexts:
    """Those of a session's selected mailbox."""

    def __init__(self, selected: Selected) -> None:
        self._selected = selected
        self._contexts: dict[bytes, SearchContext] = {}
        self._generation = 0
        self._vanished_generation = 0
        self._largest_uid = 0
        self._dropped: list[bytes] = []
        """Tags of contexts that grew too large, to be told."""

    def __bool__(self) -> bool:
        return bool(self._contexts or self._dropped)

    def __contains__(self, tag: bytes) -> bool:
        return tag in self._contexts

    def has_room(self, results: int, *, is_sorted: bool) -> bool:
        """RFC 5267 §4.3.1."""
        kept = sum(len(context.uids) for context in self._contexts.values())
        fits = kept + results <= MAX_RESULTS and (not is_sorted or results <= MAX_SORTED)
        return len(self._contexts) < MAX_CONTEXTS and fits

    def _may_grow(self, context: SearchContext, more: int) -> bool:
        """Whether results that came later still fit, as at the beginning."""
        kept = sum(len(each.uids) + len(each.arriving) for each in self._contexts.values())
        own = len(context.uids) + len(context.arriving)
        return kept + more <= MAX_RESULTS and (not context.criteria or own + more <= MAX_SORTED)

    def add(self, context: SearchContext, generation: int, largest_uid: int) -> None:
        """Keep a context; its results are of the view's ``generation``, when its last message was ``largest_uid``."""
        if not self._contexts:
            self._generation = self._vanished_generation = generation
            self._largest_uid = largest_uid
        else:
            # the others are looked at again from there: what did not change is not told twice
            self._generation = min(self._generation, generation)
            self._vanished_generation = min(self._vanished_generation, generation)
            self._largest_uid = min(self._largest_uid, largest_uid)
        self._contexts[context.correlator.tag] = context

    def cancel(self, tag: bytes) -> bool:
        """RFC 5267 §4.3.5; whether there was one."""
        return self._contexts.pop(tag, None) is not None

    async def catch_up(self, place: Place, own: Container[int] = ()) -> None:
        """Test what has changed. ``own``: UIDs that this client has filed. Raises StoreError; then it is tested the next time."""
        columns = self._selected.columns
        generation, uids = columns.generation, columns.uids
        if generation == self._generation and (not uids or uids[-1] <= self._largest_uid):
            return
        changes = columns.changes_since(self._generation)
        if changes is None:
            changed: Sequence[int] = uids
        else:
            some = {uid for change in changes for uid in change.flagged}
            some.update(uids[bisect_right(uids, self._largest_uid) :])
            changed = sorted(some)
        largest = max(self._largest_uid, uids[-1] if uids else 0)
        for context in tuple(self._contexts.values()):
            before = set(context.arriving)
            await self._test(place, context, changed)
            if context.items:
                # RFC 5465 §7: not where flags have changed; §1: nor what the client filed itself
                new = context.arriving.keys() - before
                context.fresh |= {uid for uid in new if uid > self._largest_uid and uid not in own}
        self._generation, self._largest_uid = generation, largest

    async def _test(self, place: Place, context: SearchContext, changed: Sequence[int]) -> None:
        snapshot = snapshot_of_some(self._selected.columns, changed, self._selected.first_recent_uid)
        if not len(snapshot.uids):
            return
        found = await find(place, snapshot, context.key)
        matched = {snapshot.uids[index]: index for index in found}
        if not self._may_grow(context, sum(not context.holds(uid) for uid in matched)):
            # RFC 5267 §4.3.1: told by NOUPDATE that it is no longer kept
            del self._contexts[context.correlator.tag]
            self._dropped.append(context.correlator.tag)
            return
        cards = {}
        if context.criteria and needs_cards(context.criteria):
            cards = await load_cards(place, list(matched))
        for uid in snapshot.uids:
            index = matched.get(uid)
            if index is None:
                context.arriving.pop(uid, None)
                if context.holds(uid):
                    context.leaving.add(uid)
            else:
                context.leaving.discard(uid)
                if not context.holds(uid):
                    card, size, arrival = cards.get(uid, NO_CARD), snapshot.sizes[index], snapshot.dates[index]
                    values = [sort_value(each.field, card, size, arrival, 0) for each in context.criteria]
                    context.arriving[uid] = context.row(values, uid)

    def render_gone(self) -> bytes:
        """REMOVEFROM of messages that are gone; to be told before any EXPUNGE of the same moment."""
        columns = self._selected.columns
        changes = columns.changes_since(self._vanished_generation)
        gone = None if changes is None else {uid for change in changes for uid in change.vanished}
        self._vanished_generation = columns.generation
        pieces = [build_no_update(tag) for tag in self._dropped]
        self._dropped.clear()
        for context in self._contexts.values():
            leaving = set(missing(context.uids, columns.uids)) if gone is None else set(filter(context.holds, gone))
            context.leaving -= leaving
            for uid in [
                uid for uid in context.arriving if (gone is not None and uid in gone) or columns.position(uid) < 0
            ]:
                del context.arriving[uid]
            if leaving:
                pieces.append(self._remove(context, leaving))
        return b"".join(pieces)

    def take_fresh(self) -> dict[int, Items]:
        """What the client wants to know of new messages that it has been told of, by UID; each is given once."""
        found: dict[int, Items] = {}
        for context in self._contexts.values():
            context.fresh &= context.arriving.keys()
            told = {uid for uid in context.fresh if self._selected.number_of(uid)}
            context.fresh -= told
            for uid in told:
                found[uid] = found.get(uid, ()) + context.items
        return found

    def render_changes(self) -> bytes:
        """What else left the results, and what came, as far as the client has been told of it."""
        pieces = []
        for context in self._contexts.values():
            leaving, context.leaving = context.leaving, set()
            if leaving:
                pieces.append(self._remove(context, leaving))
        return b"".join(pieces) + self._render_additions()

    def _remove(self, context: SearchContext, leaving: set[int]) -> bytes:
        pairs: list[tuple[int, Sequence[int]]]
        if context.criteria:
            places = [at for at, row in enumerate(context.rows) if row[-1] in leaving]
            # the last first: then no other position moves
            pairs = [(at + 1, self._numbers(context, [context.rows[at][-1]])) for at in reversed(places)]
            context.rows = [row for row in context.rows if row[-1] not in leaving]
        else:
            pairs = [(0, self._numbers(context, sorted(leaving)))]
        context.uids = array(U32, [uid for uid in context.uids if uid not in leaving])
        pairs = [(position, numbers) for position, numbers in pairs if numbers]
        return build_changes(context.correlator, b"REMOVEFROM", pairs) if pairs else b""

    def _render_additions(self) -> bytes:
        """ADDTO of all contexts, of messages that the client has been told of."""
        pieces: list[bytes] = []
        for context in self._contexts.values():
            told = [uid for uid in sorted(context.arriving) if self._selected.number_of(uid)]
            if told:
                pieces.append(self._add(context, told))
        return b"".join(pieces)

    def _add(self, context: SearchContext, arriving: Sequence[int]) -> bytes:
        pairs: list[tuple[int, Sequence[int]]] = []
        rows = [context.arriving.pop(uid) for uid in arriving]
        context.uids = array(U32, sorted([*context.uids, *arriving]))
        if context.criteria:
            for row in rows:
                insort(context.rows, row)
                at = bisect_left(context.rows, row)
                pairs.append((at + 1, self._numbers(context, [row[-1]])))
        else:
            pairs.append((0, self._numbers(context, arriving)))
        return build_changes(context.correlator, b"ADDTO", pairs)

    def _numbers(self, context: SearchContext, uids: Sequence[int]) -> Sequence[int]:
        if context.correlator.by_uid:
            return uids
        return [number for number in map(self._selected.number_of, uids) if number]
