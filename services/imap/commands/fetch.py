"""FETCH, RFC 3501 §6.4.5, RFC 7162 §3.1.4.

Messages go by batches: the store is asked for the next batch while the last one is being sent, rows are joined octets, a batch is one
write. Memory is bounded by two batches, whatever the mailbox's size and the client's speed; a large message streams in pieces.
\\Seen is set in the batch that carries the octets, so that a broken connection marks only what was on its way.
"""

from array import array
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Final

import attrs
import trio

from services.imap.binary import UnknownEncoding, decoded_pieces, decoder_for, literal_head, measure
from services.imap.bodies import Bodies, read_bodies
from services.imap.client import ClientGone
from services.imap.context import CommandFailed, Context, arguments_of
from services.imap.fetch_plan import RENDERED, FetchPlan, Span
from services.imap.protocol.arguments import Command, FetchArguments, FetchItem, Section
from services.imap.protocol.capability import Extension
from services.imap.protocol.dates import DateTimeRenderer
from services.imap.protocol.encode import build_string
from services.imap.protocol.responses import Reply, build_bad, build_no, build_ok
from services.imap.protocol.sequence_set import SequenceSet
from services.imap.pump import run_ahead
from services.imap.reading import read_index, read_ranges
from services.imap.resync import difference_since, tell_vanished
from shared.contract.types import CHUNK_OCTETS, ContentRange, FlagOperation, IndexField, IndexRow
from shared.mail.summary import unpack_summary
from shared.model.flags import SystemFlag
from shared.model.ids import Uid
from shared.model.packed import pack_u32, unpack_u32, unpack_u64
from shared.model.rights import Rights

BATCH_MESSAGES: Final = 256
BATCH_OCTETS: Final = 768 * 1024
"""Of contents in one batch."""
STREAM_OCTETS: Final = 192 * 1024
"""A section above this is sent in pieces as they come."""
_HEADER_GUESS_OCTETS: Final = 4096


@attrs.define(eq=False)
class _Batch:
    """What was read for some messages; ``uids`` in the order of the mailbox."""

    uids: "array[int]"
    rendered: dict[FetchItem, dict[int, bytes]]
    sections: dict[int, list[bytes]]
    """Each section as it goes out."""
    spans: dict[int, list[Span | None]]
    """Of a message that is to be streamed instead; then it is alone in its batch."""
    bodies: Bodies | None = None
    """Instead of sections, where whole messages are all that was asked for."""
    seen: frozenset[int] = frozenset()
    """UIDs whose \\Seen this command has set."""


async def handle_fetch(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, FetchArguments)
    by_uid = command.name == "UID FETCH"
    ranges = context.resolve(arguments.messages, by_uid=by_uid)
    if arguments.changed_since is not None or FetchItem.MODSEQ in arguments.items:
        # RFC 7162 §3.1: enabling commands
        context.enable(Extension.CONDSTORE)
    if arguments.vanished and not (by_uid and context.qresync):
        # RFC 7162 §3.2.6
        raise CommandFailed(build_bad("VANISHED needs UID FETCH and ENABLE QRESYNC"))
    # RFC 4314 §4: without the right nothing becomes \\Seen
    read_only = context.mailbox.read_only or not context.rights & Rights.SEEN
    run = _Fetch(context, FetchPlan(arguments, by_uid=by_uid, read_only=read_only, dialect=context.dialect))
    asked = context.mailbox.uids_of(ranges)
    if arguments.partial is not None:
        # RFC 9394 §3.3, §3.4: of the messages named, before any other condition
        start, stop = arguments.partial.slice_of(len(asked))
        asked = asked[start:stop]
    if arguments.changed_since is not None:
        if arguments.vanished:
            # RFC 7162 §3.2.6: before any FETCH response
            difference = await difference_since(context, arguments.changed_since, arguments.messages)
            await tell_vanished(context, difference.vanished)
        asked = run.changed_since(asked, arguments.changed_since)
    uids = context.within_limit(asked)
    try:
        await run_ahead(run.batches(uids), run.send)
    except UnknownEncoding as error:
        # RFC 3516 §4.3
        raise CommandFailed(build_no("The encoding of a part is unknown", "UNKNOWN-CTE")) from error
    gone = run.sent < len(uids)
    reply = (
        build_ok("Some messages were already expunged", "EXPUNGEISSUED")
        if gone
        else build_ok(f"{command.name} completed")
    )
    return context.say_limit(reply, asked, uids)


async def fetch_items(context: Context, items: tuple[FetchItem | Section, ...], uids: "array[int]") -> None:
    """RFC 5465 §5.2: what a client wants to be told of new messages, with their UIDs. Never sets \\Seen. Raises StoreError."""
    arguments = FetchArguments(SequenceSet(()), items)
    run = _Fetch(context, FetchPlan(arguments, by_uid=True, read_only=True, dialect=context.dialect))
    await run_ahead(run.batches(uids), run.send)


class _Fetch:
    def __init__(self, context: Context, plan: FetchPlan) -> None:
        self._context = context
        self._plan = plan
        self._key = (context.mailbox_id, context.columns.uidvalidity)
        self.sent = 0

    def changed_since(self, uids: "array[int]", modseq: int) -> "array[int]":
        """RFC 7162 §3.1.4.1: messages with a higher modseq only."""
        columns = self._context.columns
        if len(uids) > 1000:
            # one scan of the modseqs instead of one search for each message
            changed = columns.changed_after(modseq)
            return array(
                uids.typecode, [uid for uid in changed if uids[bisect_left(uids, uid, hi=len(uids) - 1)] == uid]
            )
        positions = map(columns.position, uids)
        return array(
            uids.typecode,
            [uid for uid, at in zip(uids, positions, strict=True) if at >= 0 and columns.modseqs[at] > modseq],
        )

    # --- reading ahead ---

    def batches(self, uids: "array[int]") -> "Iterator[Callable[[], Awaitable[_Batch]]]":
        """Everything that must be asked of the store, batch by batch."""
        start = 0
        while start < len(uids):
            stop = self._batch_end(uids, start)
            yield partial(self._read_batch, uids[start:stop])
            start = stop

    def _batch_end(self, uids: "array[int]", start: int) -> int:
        """Where the batch that begins here ends."""
        last = min(start + BATCH_MESSAGES, len(uids))
        if not self._plan.sections:
            return last
        octets = 0
        for index, size in enumerate(self._context.columns.sizes_of(uids[start:last]), start):
            if size > STREAM_OCTETS:
                return index if index > start else index + 1
            octets += size if self._plan.reads_bodies else min(size, 4 * _HEADER_GUESS_OCTETS)
            if octets > BATCH_OCTETS:
                return index + 1
        return last

    async def _read_batch(self, uids: "array[int]") -> _Batch:
        plan = self._plan
        batch = _Batch(uids, await self._rendered(uids), {}, {})
        if plan.sections:
            if plan.bodies_only and self._context.columns.sizes_of(uids[:1])[0] <= STREAM_OCTETS:
                batch.bodies = await read_bodies(self._context, uids)
                batch.uids = batch.bodies.uids
            else:
                await self._read_sections(batch)
            if plan.sets_seen:
                batch.seen = await self._set_seen(uids)
        return batch

    async def _rendered(self, uids: "array[int]") -> dict[FetchItem, dict[int, bytes]]:
        """Ready octets by item and UID, from what is kept or from the store, which is asked at most once."""
        cache, now = self._context.shared.rendered, trio.current_time()
        found: dict[FetchItem, dict[int, bytes]] = {}
        missing: dict[int, None] = {}
        fields = IndexField(0)
        for item in self._plan.rendered:
            column, field = RENDERED[item]
            kept = cache.rows(self._key, column, now)
            # copied now: what is kept may go while the store is being asked
            found[item] = {uid: kept[uid] for uid in uids if uid in kept}
            fields |= field
            if len(found[item]) < len(uids):
                missing.update(dict.fromkeys(uid for uid in uids if uid not in kept))
        if missing:
            rows = await read_index(self._context, list(missing), fields)
            for item in self._plan.rendered:
                pairs = [(row.uid, _ready(row, item)) for row in rows]
                found[item].update(pairs)
                cache.add(self._key, RENDERED[item][0], pairs, now)
        return found

    async def _read_sections(self, batch: _Batch) -> None:
        plan, columns = self._plan, self._context.columns
        rows: dict[int, IndexRow] = {}
        if plan.section_fields:
            rows = {row.uid: row for row in await read_index(self._context, batch.uids, plan.section_fields)}
        spans: dict[int, list[Span | None]] = {}
        for uid in batch.uids:
            position = columns.position(uid)
            if position < 0 or (plan.section_fields and uid not in rows):
                continue
            size = columns.sizes[position]
            spans[uid] = [plan.span(section, size, rows.get(uid)) for section in plan.sections]
        if len(spans) == 1 and any(
            span is not None and span.octets > STREAM_OCTETS for each in spans.values() for span in each
        ):
            for section, span in zip(plan.sections, next(iter(spans.values())), strict=True):
                if section.binary and span is not None:
                    # before the response begins
                    decoder_for(span.encoding)
            batch.spans = spans
            return
        wanted = [
            ContentRange(Uid(uid), span.start, span.octets)
            for uid, each in spans.items()
            for span in each
            if span is not None and span.octets
        ]
        answers = iter(await read_ranges(self._context, wanted))
        for uid, each in spans.items():
            octets = [None if span is None else next(answers) if span.octets else b"" for span in each]
            if all(piece is not None or span is None for piece, span in zip(octets, each, strict=True)):
                batch.sections[uid] = plan.finish_rows(octets, each)

    async def _set_seen(self, uids: "array[int]") -> frozenset[int]:
        """RFC 3501 §6.4.5: reading a body sets \\Seen."""
        context, view = self._context, self._context.view
        seen = SystemFlag.SEEN.value
        unseen = [uid for uid in uids if (at := view.position(uid)) >= 0 and not view.flags[at] & seen]
        if not unseen:
            return frozenset()
        with view.own_call():
            result = await context.store.messages.store_flags(
                context.grant, context.mailbox_id, pack_u32(unseen), FlagOperation.ADD, ("\\Seen",), None
            )
            changed = unpack_u32(result.uids)
            flags, modseqs = unpack_u64(result.flags), unpack_u64(result.modseqs)
            news = view.apply_flags(changed, flags, modseqs, result.keywords, context.mailbox)
            if result.modseq:
                view.note_own(result.modseq)
        if news:
            view.wake_all()
        return frozenset(changed)

    # --- sending ---

    async def send(self, batch: _Batch) -> None:
        """Render a batch with the flags of this moment, and write it."""
        context, plan, selected = self._context, self._plan, self._context.mailbox
        client = context.client
        numbers, positions, uids = self._there(batch)
        self.sent += len(uids)
        if not len(uids):
            return
        rendered = {item: [octets[uid] for uid in uids] for item, octets in batch.rendered.items()}
        keywords = selected.render_keywords()
        if keywords:
            client.write(keywords)
        bodies = batch.bodies
        rows = plan.render(selected, numbers, positions, rendered, None if bodies is None else bodies.lengths_of(uids))
        if plan.tells_flags:
            selected.forget_pending_flags(uids)
        if not plan.sections:
            client.write(b"".join(rows))
        elif bodies is not None:
            ends = [self._end(batch, uid) for uid in uids] if batch.seen else None
            client.write(bodies.join(uids, rows, ends))
        elif batch.spans:
            await self._stream(rows[0], uids[0], batch)
        else:
            client.write(b"".join(self._with_sections(rows, uids, batch)))
        await client.drain()

    def _there(self, batch: _Batch) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        """Sequence numbers, positions and UIDs of the batch's messages that are still there and were read."""
        selected, columns = self._context.mailbox, self._context.columns
        uids = batch.uids
        first = selected.number_of(uids[0]) if len(uids) else 0
        found = len(batch.sections) + len(batch.spans) if batch.bodies is None else len(batch.bodies.uids)
        complete = all(len(octets) == len(uids) for octets in batch.rendered.values()) and (
            not self._plan.sections or found == len(uids)
        )
        if complete and selected.in_step and selected.told[first - 1 : first - 1 + len(uids)] == uids:
            return range(first, first + len(uids)), range(first - 1, first - 1 + len(uids)), uids
        numbers, positions, there = [], [], []
        for uid in uids:
            position = columns.position(uid)
            if position < 0 or any(uid not in octets for octets in batch.rendered.values()):
                continue
            if self._plan.sections and not batch.bodies and uid not in batch.sections and uid not in batch.spans:
                continue
            numbers.append(selected.number_of(uid))
            positions.append(position)
            there.append(uid)
        return numbers, positions, there

    def _with_sections(self, rows: list[bytes], uids: Sequence[int], batch: _Batch) -> list[bytes]:
        pieces: list[bytes] = []
        for row, uid in zip(rows, uids, strict=True):
            pieces.append(row)
            pieces += batch.sections[uid]
            pieces.append(self._end(batch, uid))
        return pieces

    def _end(self, batch: _Batch, uid: int) -> bytes:
        """The end of a row with sections. RFC 3501 §6.4.5: flags that reading changed are told along with it."""
        columns = self._context.columns
        position = columns.position(uid) if uid in batch.seen else -1
        if position < 0:
            return b")\r\n"
        text = b""
        if not self._plan.tells_flags:
            recent = uid >= self._context.mailbox.first_recent_uid
            text = b" FLAGS " + columns.render_flags(columns.flags[position], recent)
        if self._context.condstore and FetchItem.MODSEQ not in self._plan.items:
            text += b" MODSEQ (%d)" % columns.modseqs[position]
        return text + b")\r\n"

    async def _stream(self, row: bytes, uid: int, batch: _Batch) -> None:
        """A message with a large section, piece by piece."""
        client, plan = self._context.client, self._plan
        client.write(row)
        for index, (section, span) in enumerate(zip(plan.sections, batch.spans[uid], strict=True)):
            space = b" " if index else b""
            if span is None:
                client.write(space + plan.labels[index] + (b" 0" if section.size_only else b" NIL"))
            elif section.binary:
                client.write(space + plan.labels[index])
                await self._stream_binary(section, uid, span)
            elif section.fields or span.octets <= STREAM_OCTETS:
                octets = plan.finish(section, await self._whole(uid, span))
                client.write(b"%b%b {%d}\r\n" % (space, plan.labels[index], len(octets)))
                client.write(octets)
            else:
                client.write(b"%b%b {%d}\r\n" % (space, plan.labels[index], span.octets))
                await run_ahead(self._pieces(uid, span), self._send_piece)
        client.write(self._end(batch, uid))

    async def _stream_binary(self, section: Section, uid: int, span: Span) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for read in self._pieces(uid, span):
                yield await read()

        client = self._context.client
        found = await measure(section, span.encoding, pieces)
        if section.size_only:
            client.write(b" %d" % found.octets)
            return
        client.write(literal_head(found.octets, has_nul=found.has_nul))
        async for octets in decoded_pieces(section, span.encoding, pieces):
            client.write(octets)
            await client.drain()

    async def _whole(self, uid: int, span: Span) -> bytes:
        octets: bytes | None = b""
        if span.octets:
            octets = (await read_ranges(self._context, [ContentRange(Uid(uid), span.start, span.octets)]))[0]
        if octets is None or len(octets) != span.octets:
            # Expunged, and its content is gone, in the middle of its response: the literal's length was promised,
            # nothing sensible can follow.
            raise ClientGone
        return octets

    def _pieces(self, uid: int, span: Span) -> Iterator[Callable[[], Awaitable[bytes]]]:
        for start in range(span.start, span.stop, CHUNK_OCTETS):
            yield partial(self._whole, uid, Span(start, min(start + CHUNK_OCTETS, span.stop)))

    async def _send_piece(self, octets: bytes) -> None:
        self._context.client.write(FetchPlan.finish(_WHOLE, octets))
        await self._context.client.drain()


_WHOLE: Final = Section()


_render_date: Final = DateTimeRenderer()


def _ready(row: IndexRow, item: FetchItem) -> bytes:
    match item:
        case FetchItem.ENVELOPE:
            return row.envelope
        case FetchItem.BODYSTRUCTURE:
            return row.bodystructure
        case FetchItem.PREVIEW:
            # RFC 8970 §3.2: a string, empty where there is nothing to be shown; at most 200 characters
            return build_string(unpack_summary(row.summary).preview.encode("utf-8", "replace"))
        case FetchItem.SAVEDATE:
            # RFC 8514 §4.2
            return b'"%b"' % _render_date(row.saved_date)
        case FetchItem.EMAILID:
            # RFC 8474 §5.3
            return b"(%b)" % row.email_id.encode()
        case FetchItem.THREADID:
            # RFC 8474 §5.2: NIL from a server that does not relate messages to each other
            return b"NIL"
        case _:
            return row.body
