"""SEARCH, RFC 3501 §6.4.4, RFC 7162 §3.1.5.

Keys on flags, dates, sizes and numbers are answered from the view. For the others the messages that are still in question are read in
batches of bounded size and decoded in a worker thread; other sessions are not delayed.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Final

import attrs
import trio

from services.imap.candidates import ask_index, narrow_by_answers, split_by_answers
from services.imap.context import CommandFailed, Context, arguments_of
from services.imap.protocol.arguments import Command, KeyAnd, KeyNot, KeyNumbers, KeyOr, SearchArguments, SearchKey
from services.imap.protocol.capability import Extension
from services.imap.protocol.responses import Reply, build_bad, build_ok, build_search
from services.imap.protocol.sequence_set import InvalidSet
from services.imap.pump import pump
from services.imap.reading import read_index, read_ranges
from services.imap.search_eval import Evaluator, Message, Need, Snapshot, need_of, take_snapshot
from shared.contract.types import ContentRange, IndexField, IndexRow
from shared.mail.parts import Part, unpack_parts
from shared.mail.search_text import Span, plan_header, plan_search
from shared.model.ids import Uid

BATCH_MESSAGES: Final = 128
BATCH_OCTETS: Final = 1024 * 1024


async def handle_search(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, SearchArguments)
    if arguments.uses_modseq:
        # RFC 7162 §3.1: an enabling command
        context.enable(Extension.CONDSTORE)
    _check_numbers(context, arguments.key)
    snapshot = take_snapshot(context.mailbox)
    found, rest = Evaluator(snapshot).narrow(arguments.key)
    if rest is not None:
        found = await _matching(context, snapshot, rest, found)
    by_uid = command.name == "UID SEARCH"
    numbers = snapshot.uids if by_uid else snapshot.numbers
    # RFC 7162 §3.1.5: the highest modseq of what was found
    modseq = max((snapshot.modseqs[index] for index in found), default=0) if arguments.uses_modseq else None
    context.client.write(build_search([numbers[index] for index in found], modseq))
    return build_ok(f"{command.name} completed")


async def _matching(context: Context, snapshot: Snapshot, key: SearchKey, found: list[int]) -> list[int]:
    """The indexes, of those found so far, that match a key on texts: by the store's index where it knows, else by reading."""
    uids = snapshot.uids
    answers = await ask_index(context.store, context.grant, context.mailbox_id, key, uids, found)
    evaluator = Evaluator(snapshot, answers)
    decided, undecided = split_by_answers(answers, uids, narrow_by_answers(key, answers, uids, found))
    need = need_of(key, answers)
    if need == Need.NOTHING:
        test = evaluator.test(key)
        matched = [index for index in decided if test(index, None)]
    else:
        matched = await _Reader(context, snapshot, evaluator, key, need).matching(decided)
    if undecided:
        matched += await _Reader(context, snapshot, evaluator, key, need_of(key)).matching(undecided)
        matched.sort()
    return matched


def _check_numbers(context: Context, key: SearchKey) -> None:
    """Raises CommandFailed (BAD) for a message sequence number that is not there."""
    match key:
        case KeyNumbers(messages):
            if context.uidonly:
                # RFC 9586 §3: no message sequence number in any argument
                raise CommandFailed(build_bad("Message sequence numbers are off after ENABLE UIDONLY", "UIDREQUIRED"))
            try:
                context.mailbox.resolve(messages, by_uid=False)
            except InvalidSet as error:
                raise CommandFailed(build_bad(str(error).capitalize(), "CLIENTBUG")) from error
        case KeyAnd(keys):
            for each in keys:
                _check_numbers(context, each)
        case KeyOr(left, right):
            _check_numbers(context, left)
            _check_numbers(context, right)
        case KeyNot(inner):
            _check_numbers(context, inner)


@attrs.frozen
class _Piece:
    """What is read of one message."""

    index: int
    header: Sequence[ContentRange]
    more_headers: Sequence[ContentRange]
    parts: Sequence[tuple[Part, ContentRange]]

    def ranges(self) -> list[ContentRange]:
        return [*self.header, *self.more_headers, *(each for _, each in self.parts)]


_Loaded = list[tuple[int, Message]]


class _Reader:
    """Tests the messages that are in question, batch by batch."""

    def __init__(
        self, context: Context, snapshot: Snapshot, evaluator: Evaluator, key: SearchKey, need: int
    ) -> None:
        self._context = context
        self._snapshot = snapshot
        self._test = evaluator.test(key)
        self._need = need
        self._found: list[int] = []

    async def matching(self, candidates: Sequence[int]) -> list[int]:
        """The indexes that match, in order."""
        await pump(self._batches(candidates), self._test_batch)
        return self._found

    async def _test_batch(self, batch: _Loaded) -> None:
        if self._need == Need.TEXT:
            self._found.extend(await trio.to_thread.run_sync(self._matches, batch))
        else:
            self._found.extend(self._matches(batch))
            await trio.lowlevel.checkpoint()

    def _matches(self, batch: _Loaded) -> list[int]:
        test = self._test
        return [index for index, message in batch if test(index, message)]

    async def _batches(self, candidates: Sequence[int]) -> AsyncGenerator[_Loaded, None]:
        fields = IndexField.HEADER_OCTETS
        if self._need == Need.TEXT:
            fields |= IndexField.PARTS
        for start in range(0, len(candidates), BATCH_MESSAGES):
            indexes = candidates[start : start + BATCH_MESSAGES]
            uids = [self._snapshot.uids[index] for index in indexes]
            rows: dict[int, IndexRow] = {row.uid: row for row in await read_index(self._context, uids, fields)}
            waiting: list[_Piece] = []
            octets = 0
            for index, uid in zip(indexes, uids, strict=True):
                if uid not in rows:
                    continue  # expunged meanwhile
                piece = self._plan(index, uid, rows[uid])
                size = sum(each.octets for each in piece.ranges())
                if waiting and octets + size > BATCH_OCTETS:
                    yield await self._load(waiting)
                    waiting, octets = [], 0
                waiting.append(piece)
                octets += size
            if waiting:
                yield await self._load(waiting)

    def _plan(self, index: int, uid: int, row: IndexRow) -> _Piece:
        if self._need < Need.TEXT:
            span = plan_header(row.header_octets)
            return _Piece(index, [_range(uid, span)] if span is not None else (), (), ())
        plan = plan_search(row.header_octets, unpack_parts(row.parts))
        return _Piece(
            index,
            [_range(uid, plan.header)] if plan.header is not None else (),
            [_range(uid, span) for span in plan.more_headers],
            [(part, _range(uid, span)) for part, span in plan.texts],
        )

    async def _load(self, pieces: Sequence[_Piece]) -> _Loaded:
        answers = iter(await read_ranges(self._context, [each for piece in pieces for each in piece.ranges()]))
        loaded: _Loaded = []
        for piece in pieces:
            header = [next(answers) for _ in piece.header]
            more = [next(answers) for _ in piece.more_headers]
            texts = [(part, next(answers)) for part, _ in piece.parts]
            message = Message(
                b"".join(each or b"" for each in header),
                [(part, octets) for part, octets in texts if octets is not None],
                b"".join(each or b"" for each in more),
            )
            loaded.append((piece.index, message))
        return loaded


def _range(uid: int, span: Span) -> ContentRange:
    start, stop = span
    return ContentRange(Uid(uid), start, stop - start)
