"""Finds the messages of a mailbox that match a key.

In this order, each step for what the one before has left: keys on columns, from the view's columns; keys on rows (sent dates, ids), from
the store's index rows; keys on texts, from the store's search index (``candidates``), and for messages that are not indexed by
reading them in batches of bounded size, which are decoded in a worker thread. Between slices and batches others have their turn.

RFC 3501 §6.4.4. Raises StoreError from the store.
"""

from array import array
from collections.abc import AsyncGenerator, Sequence
from typing import Final

import attrs
import trio

from services.imap.candidates import ask_index, narrow_by_answers, split_by_answers
from services.imap.cards import NO_CARD, NO_DAY, Card, make_card, pack_card, unpack_card, unpack_day
from services.imap.progress import Progress
from services.imap.protocol.search_keys import Comparison, DateField, KeyAnd, KeyDate, SearchKey
from services.imap.pump import pump
from services.imap.reading import Place, read_index, read_ranges
from services.imap.search_columns import ColumnKeys, Snapshot
from services.imap.search_eval import Evaluator, Message, Need, need_of, row_fields, uses_cards
from shared.contract.types import ContentRange, IndexField, IndexRow
from shared.mail.parts import Part, unpack_parts
from shared.mail.search_text import Span, plan_header, plan_search
from shared.mail.summary import unpack_summary
from shared.model.ids import Uid
from shared.model.packed import U32

BATCH_MESSAGES: Final = 128
BATCH_OCTETS: Final = 1024 * 1024
ROW_BATCH: Final = 512
_CARDS: Final = b"CARD"

Found = Sequence[int]
"""Indexes into a snapshot, ascending."""


async def find(place: Place, snapshot: Snapshot, key: SearchKey, progress: Progress | None = None) -> Found:
    """The messages of a snapshot that match a prepared key."""
    keys = key.keys if isinstance(key, KeyAnd) else (key,)
    by_need: dict[int, list[SearchKey]] = {}
    for each in keys:
        by_need.setdefault(need_of(each), []).append(each)
    found = await _by_columns(snapshot, by_need.pop(Need.NOTHING, []))
    rows = by_need.pop(Need.ROW, [])
    days = [each for each in rows if isinstance(each, KeyDate) and each.field is DateField.SENT]
    if days and len(found):
        found = await _by_sent_days(place, snapshot, days, found, progress)
    rows = [each for each in rows if each not in days]
    if rows and len(found):
        found = await _by_rows(place, snapshot, _all_of(rows), found, progress)
    if by_need and len(found):
        # header before text: what the cheaper key excludes is not looked at for the dearer one
        texts = [each for need in sorted(by_need) for each in by_need[need]]
        found = await _by_texts(place, snapshot, _all_of(texts), found, progress)
    return found


def _all_of(keys: Sequence[SearchKey]) -> SearchKey:
    return keys[0] if len(keys) == 1 else KeyAnd(tuple(keys))


async def _by_columns(snapshot: Snapshot, keys: Sequence[SearchKey]) -> Found:
    slices = ColumnKeys(snapshot).slices(keys)
    first = next(slices, range(0))
    second = next(slices, None)
    if second is None:
        return first
    found = array(U32, first)
    found.extend(second)
    for piece in slices:
        await trio.lowlevel.checkpoint()
        found.extend(piece)
    return found


async def _by_sent_days(
    place: Place, snapshot: Snapshot, keys: Sequence[KeyDate], found: Found, progress: Progress | None
) -> Found:
    """All SENT keys at once: together they are a span of days."""
    first, last = NO_DAY + 1, -NO_DAY
    for key in keys:
        if key.comparison is not Comparison.SINCE:
            last = min(last, key.day if key.comparison is Comparison.ON else key.day - 1)
        if key.comparison is not Comparison.BEFORE:
            first = max(first, key.day)
    matched = array(U32)
    _expect(progress, len(found))
    for start in range(0, len(found), ROW_BATCH):
        indexes = found[start : start + ROW_BATCH]
        uids = [snapshot.uids[index] for index in indexes]
        packed = await _load_packed(place, uids)
        matched.extend(
            index
            for index, uid in zip(indexes, uids, strict=True)
            if uid in packed and first <= unpack_day(packed[uid]) <= last
        )
        await trio.lowlevel.checkpoint()
        await _note(progress, len(indexes))
    return matched


async def _by_rows(place: Place, snapshot: Snapshot, key: SearchKey, found: Found, progress: Progress | None) -> Found:
    test = Evaluator(snapshot).test(key)
    fields, cards = row_fields(key), uses_cards(key)
    matched = array(U32)
    _expect(progress, len(found))
    for start in range(0, len(found), ROW_BATCH):
        indexes = found[start : start + ROW_BATCH]
        uids = [snapshot.uids[index] for index in indexes]
        by_uid = await load_cards(place, uids) if cards else {}
        rows = {row.uid: row for row in await read_index(place, uids, fields)} if fields else {}
        for index, uid in zip(indexes, uids, strict=True):
            if (cards and uid not in by_uid) or (fields and uid not in rows):
                continue  # expunged meanwhile
            if test(index, Message(b"", row=rows.get(Uid(uid)), card=by_uid.get(uid))):
                matched.append(index)
        await trio.lowlevel.checkpoint()
        await _note(progress, len(indexes))
    return matched


def _expect(progress: Progress | None, messages: int) -> None:
    if progress is not None:
        progress.total += messages


async def _note(progress: Progress | None, messages: int) -> None:
    if progress is not None:
        await progress.note(messages)


async def load_cards(place: Place, uids: Sequence[int]) -> dict[int, Card]:
    """Cards of messages, from what is kept or from the store; without those that are gone."""
    return {uid: unpack_card(card) for uid, card in (await _load_packed(place, uids)).items()}


async def _load_packed(place: Place, uids: Sequence[int]) -> dict[int, bytes]:
    key, now = (place.mailbox_id, place.uidvalidity), trio.current_time()
    kept = place.rendered.rows(key, _CARDS, now)
    packed = {uid: kept[uid] for uid in uids if uid in kept}
    missing = [uid for uid in uids if uid not in packed]
    if missing:
        pairs = [(int(row.uid), _card_of(row)) for row in await read_index(place, missing, IndexField.SUMMARY)]
        packed.update(pairs)
        place.rendered.add(key, _CARDS, pairs, now)
    return packed


def _card_of(row: IndexRow) -> bytes:
    try:
        return pack_card(make_card(unpack_summary(row.summary)))
    except ValueError:
        # a summary of another version's format: the message is sorted as one without a header
        return pack_card(NO_CARD)


async def _by_texts(place: Place, snapshot: Snapshot, key: SearchKey, found: Found, progress: Progress | None) -> Found:
    """By the store's index where it knows, else by reading."""
    uids = snapshot.uids
    answers = await ask_index(place.store, place.grant, place.mailbox_id, key, uids, found)
    evaluator = Evaluator(snapshot, answers)
    decided, undecided = split_by_answers(answers, uids, narrow_by_answers(key, answers, uids, list(found)))
    need = need_of(key, answers)
    if need == Need.NOTHING:
        test = evaluator.test(key)
        matched = [index for index in decided if test(index, None)]
    else:
        matched = await _Reader(place, snapshot, evaluator, key, need).matching(decided, progress)
    if undecided:
        matched += await _Reader(place, snapshot, evaluator, key, need_of(key)).matching(undecided, progress)
        matched.sort()
    return matched


@attrs.frozen
class _Piece:
    """What is read of one message."""

    index: int
    row: IndexRow
    card: Card | None
    header: Sequence[ContentRange]
    more_headers: Sequence[ContentRange]
    parts: Sequence[tuple[Part, ContentRange]]

    def ranges(self) -> list[ContentRange]:
        return [*self.header, *self.more_headers, *(each for _, each in self.parts)]


_Loaded = list[tuple[int, Message]]


class _Reader:
    """Tests the messages that are in question, batch by batch."""

    def __init__(self, place: Place, snapshot: Snapshot, evaluator: Evaluator, key: SearchKey, need: int) -> None:
        self._place = place
        self._snapshot = snapshot
        self._test = evaluator.test(key)
        self._need = need
        self._fields = row_fields(key) | IndexField.HEADER_OCTETS
        if need == Need.TEXT:
            self._fields |= IndexField.PARTS
        self._cards = uses_cards(key)
        self._progress: Progress | None = None
        self._found: list[int] = []

    async def matching(self, candidates: Sequence[int], progress: Progress | None) -> list[int]:
        """The indexes that match, in order."""
        _expect(progress, len(candidates))
        self._progress = progress
        await pump(self._batches(candidates), self._test_batch)
        return self._found

    async def _test_batch(self, batch: _Loaded) -> None:
        if self._need == Need.TEXT:
            self._found.extend(await trio.to_thread.run_sync(self._matches, batch))
        else:
            self._found.extend(self._matches(batch))
            await trio.lowlevel.checkpoint()
        await _note(self._progress, len(batch))

    def _matches(self, batch: _Loaded) -> list[int]:
        test = self._test
        return [index for index, message in batch if test(index, message)]

    async def _batches(self, candidates: Sequence[int]) -> AsyncGenerator[_Loaded, None]:
        place = self._place
        for start in range(0, len(candidates), BATCH_MESSAGES):
            indexes = candidates[start : start + BATCH_MESSAGES]
            uids = [self._snapshot.uids[index] for index in indexes]
            rows: dict[int, IndexRow] = {row.uid: row for row in await read_index(place, uids, self._fields)}
            cards = await load_cards(place, uids) if self._cards else {}
            waiting: list[_Piece] = []
            octets = 0
            for index, uid in zip(indexes, uids, strict=True):
                if uid not in rows:
                    continue  # expunged meanwhile
                piece = self._plan(index, rows[uid], cards.get(uid))
                size = sum(each.octets for each in piece.ranges())
                if waiting and octets + size > BATCH_OCTETS:
                    yield await self._load(waiting)
                    waiting, octets = [], 0
                waiting.append(piece)
                octets += size
            if waiting:
                yield await self._load(waiting)

    def _plan(self, index: int, row: IndexRow, card: Card | None) -> _Piece:
        uid = row.uid
        if self._need < Need.TEXT:
            span = plan_header(row.header_octets) if self._need == Need.HEADER else None
            return _Piece(index, row, card, [_range(uid, span)] if span is not None else (), (), ())
        plan = plan_search(row.header_octets, unpack_parts(row.parts))
        return _Piece(
            index,
            row,
            card,
            [_range(uid, plan.header)] if plan.header is not None else (),
            [_range(uid, span) for span in plan.more_headers],
            [(part, _range(uid, span)) for part, span in plan.texts],
        )

    async def _load(self, pieces: Sequence[_Piece]) -> _Loaded:
        answers = iter(await read_ranges(self._place, [each for piece in pieces for each in piece.ranges()]))
        loaded: _Loaded = []
        for piece in pieces:
            header = [next(answers) for _ in piece.header]
            more = [next(answers) for _ in piece.more_headers]
            texts = [(part, next(answers)) for part, _ in piece.parts]
            message = Message(
                b"".join(each or b"" for each in header),
                [(part, octets) for part, octets in texts if octets is not None],
                b"".join(each or b"" for each in more),
                row=piece.row,
                card=piece.card,
            )
            loaded.append((piece.index, message))
        return loaded


def _range(uid: int, span: Span) -> ContentRange:
    start, stop = span
    return ContentRange(Uid(uid), start, stop - start)
