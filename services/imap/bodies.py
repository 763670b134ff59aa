"""Whole messages, many at once: what FETCH BODY[] of a mailbox comes down to, so that it costs next to nothing for each message.

The store answers a batch with one buffer; the responses are joined from slices of it. RFC 3501 §6.4.5.
"""

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, pairwise, repeat

import attrs

from services.imap.context import Context
from shared.contract.contents import GONE_OCTETS
from shared.errors import Internal
from shared.model.blob import Buffer
from shared.model.packed import U32, pack_u32, unpack_u32

_END = b")\r\n"


@attrs.frozen(eq=False)
class Bodies:
    """Contents of messages, one behind the other. Bounded by the batch that asked for them."""

    uids: "array[int]"
    """Those that were there, in the order asked."""
    lengths: "array[int]"
    data: Buffer

    def lengths_of(self, uids: Sequence[int]) -> Sequence[int]:
        """Octets of some of the messages."""
        if len(uids) == len(self.uids):
            return self.lengths
        by_uid = dict(zip(self.uids, self.lengths, strict=True))
        return [by_uid[uid] for uid in uids]

    def join(self, uids: Sequence[int], heads: Sequence[bytes], ends: Iterable[bytes] | None) -> bytes:
        """The responses of some of the messages: head, octets, end (None: nothing but the closing parenthesis)."""
        view = memoryview(self.data)
        slices = [view[start:stop] for start, stop in pairwise(accumulate(self.lengths, initial=0))]
        if len(uids) != len(self.uids):
            by_uid = dict(zip(self.uids, slices, strict=True))
            slices = [by_uid[uid] for uid in uids]
        rows = zip(heads, slices, ends or repeat(_END), strict=False)
        pieces: Iterable[bytes] = chain.from_iterable(rows)  # type: ignore[arg-type]  # join takes any buffer
        return b"".join(pieces)


async def read_bodies(context: Context, uids: "array[int]") -> Bodies:
    """Whole messages, each no larger than a reply of the store. Raises StoreError."""
    there: array[int] = array(U32)
    lengths: array[int] = array(U32)
    pieces: list[Buffer] = []
    rest = uids
    while rest:
        contents = await context.store.messages.read_many(context.grant, context.mailbox_id, pack_u32(rest), b"", b"")
        found = unpack_u32(contents.lengths)
        if not found:
            raise Internal("the store answered no range")
        asked, rest = rest[: len(found)], rest[len(found) :]
        if GONE_OCTETS in found:
            kept = [(uid, octets) for uid, octets in zip(asked, found, strict=True) if octets != GONE_OCTETS]
            asked, found = array(U32, [uid for uid, _ in kept]), array(U32, [octets for _, octets in kept])
        there.extend(asked)
        lengths.extend(found)
        pieces += contents.data.pieces
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    # RFC 3501 §9: CHAR8 has no NUL; a stray one becomes an octet of the same length, as in other servers
    if b"\0" in data:
        data = bytes(data).replace(b"\0", b"\x80")
    return Bodies(there, lengths, data)
