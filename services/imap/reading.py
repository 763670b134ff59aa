"""Reads of the store that FETCH and SEARCH share: replies are cut where they get large, and asked on from there."""

from collections.abc import Sequence

from services.imap.context import Context
from shared.contract.types import ContentRange, IndexField, IndexRow
from shared.errors import Internal
from shared.model.packed import pack_u32


async def read_index(context: Context, uids: Sequence[int], fields: IndexField) -> list[IndexRow]:
    """Index rows of messages in the order asked, without those that are gone."""
    found: list[IndexRow] = []
    rest = list(uids)
    while rest:
        rows = await context.store.messages.fetch_index(context.grant, context.mailbox_id, pack_u32(rest), int(fields))
        if not rows:
            break
        found.extend(rows)
        rest = rest[rest.index(rows[-1].uid) + 1 :]
    return found


async def read_ranges(context: Context, ranges: Sequence[ContentRange]) -> list[bytes | None]:
    """Octets of ranges, each with its exact length given; None for a message that is gone."""
    answers: list[bytes | None] = []
    while len(answers) < len(ranges):
        rest = tuple(ranges[len(answers) :])
        octets = await context.store.messages.read(context.grant, context.mailbox_id, rest)
        if not octets:
            raise Internal("the store answered no range")
        answers.extend(octets)
        first, wanted = octets[0], rest[0]
        if len(octets) == 1 and first is not None and len(first) < wanted.octets:
            # Too large for one reply: go on behind what came.
            answers[-1] = await _read_rest(context, wanted, first)
    return answers


async def _read_rest(context: Context, wanted: ContentRange, beginning: bytes) -> bytes | None:
    pieces, have = [beginning], len(beginning)
    while have < wanted.octets:
        part = ContentRange(wanted.uid, wanted.offset + have, wanted.octets - have)
        octets = await context.store.messages.read(context.grant, context.mailbox_id, (part,))
        if not octets or not octets[0]:
            return None
        pieces.append(octets[0])
        have += len(octets[0])
    return b"".join(pieces)
