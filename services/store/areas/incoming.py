"""Contents on their way in: inline bytes, or finished uploads that are held until the write is over."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from services.store.core import Core
from services.store.uploads import Part
from services.store.writes.filing import Incoming
from shared.contract.types import MAX_INLINE_OCTETS, ContentSource
from shared.errors import BadRequest, NoSuchUpload, TooLarge
from shared.rpc.server import Call


def inline_content(core: Core, source: ContentSource) -> Incoming:
    """Raises BadRequest, TooLarge."""
    data = source.inline
    if data is None or len(data) != source.octets or source.octets > MAX_INLINE_OCTETS:
        raise BadRequest("content")
    if source.octets > core.settings.limits.message_octets:
        raise TooLarge(f"above {core.settings.limits.message_octets} octets")
    return Incoming(None, data)


@asynccontextmanager
async def contents(core: Core, call: Call, sources: Sequence[ContentSource]) -> AsyncIterator[tuple[Incoming, ...]]:
    """The contents of a write. Its uploads are given up when the write succeeded.

    The command inside is to be waited for ``to_the_end``: the writer reads the upload's file, which must not go before.

    An upload that is unknown is not refused here: a repeated operation, whose first run has consumed it, is answered with the first
    result; the writer raises NoSuchUpload for the others.
    """
    held: list[bytes] = []
    shared: dict[bytes, Sequence[Part]] = {}
    done = False
    try:
        incoming = []
        for source in sources:
            if source.upload is None:
                incoming.append(inline_content(core, source))
                continue
            if source.inline is not None:
                raise BadRequest("content")
            try:
                if source.part is not None:
                    if source.upload not in shared:
                        shared[source.upload] = await core.uploads.hold_parts(call.peer, source.upload)
                        held.append(source.upload)
                    incoming.append(_part(shared[source.upload], source.part, source.octets))
                    continue
                encoded = await core.uploads.hold(call.peer, source.upload, source.octets)
                held.append(source.upload)
                incoming.append(Incoming(encoded, index=core.uploads.index_of(call.peer, source.upload)))
            except NoSuchUpload:
                incoming.append(Incoming(None, missing=True))
        yield tuple(incoming)
        done = True
    finally:
        for handle in held:
            await core.uploads.release(call.peer, handle, done=done)


def _part(parts: Sequence[Part], number: int, octets: int) -> Incoming:
    """Raises BadRequest."""
    if not 0 <= number < len(parts) or parts[number].encoded.raw_octets != octets:
        raise BadRequest("content")
    return Incoming(parts[number].encoded, index=parts[number].index)
