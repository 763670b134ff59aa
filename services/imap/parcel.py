"""Several messages on their way to the store, to be filed by one call (RFC 3502).

What fits into the call goes with it; large messages are an upload each; all other ones share one upload, so that a thousand small
messages take no more of the store's uploads than one. Memory: what is sent at a time, and some 200 octets for each message.
"""

from typing import Final

from shared.contract.append_types import NewMessage, SmallContent
from shared.contract.types import MAX_INLINE_OCTETS, ContentSource
from shared.model.message_index import MessageIndex
from shared.rpc.store_client import StoreClient

_AT_ONCE_OCTETS: Final = 600 * 1024
"""Of contents and indexes in one call."""


class Parcel:
    """Give it the messages in order; then file them, or ``drop`` them."""

    def __init__(self, store: StoreClient) -> None:
        self._store = store
        self._messages: list[NewMessage] = []
        self._room = _AT_ONCE_OCTETS
        self._upload = b""
        """Of the small ones that do not fit; empty: there is none yet."""
        self._uploaded = 0
        self._waiting: list[SmallContent] = []
        self._waiting_octets = 0

    async def add(self, flags: tuple[str, ...], date: int | None, octets: memoryview, index: MessageIndex) -> None:
        """Raises StoreError."""
        size = len(octets) + _octets_of(index)
        if len(octets) > MAX_INLINE_OCTETS or size > _AT_ONCE_OCTETS:
            await self._add_large(flags, date, octets, index)
        elif size <= self._room:
            self._room -= size
            source = ContentSource(len(octets), inline=bytes(octets))
            self._messages.append(NewMessage(flags, date, source, index))
        else:
            if self._waiting_octets + size > _AT_ONCE_OCTETS:
                await self._send()
            source = await self._next_place(len(octets))
            self._messages.append(NewMessage(flags, date, source, None))
            self._waiting.append(SmallContent(bytes(octets), index))
            self._waiting_octets += size

    async def _add_large(
        self, flags: tuple[str, ...], date: int | None, octets: memoryview, index: MessageIndex
    ) -> None:
        source = await self._store.put_content(octets, upload=True)
        self._messages.append(NewMessage(flags, date, source, None))
        await self._store.content.describe_upload(source.upload or b"", index)

    async def _next_place(self, octets: int) -> ContentSource:
        """In the upload that small ones share."""
        if not self._upload:
            self._upload = await self._store.content.begin_upload(-1)
        return ContentSource(octets, upload=self._upload, part=self._uploaded + len(self._waiting))

    async def _send(self) -> None:
        if self._waiting:
            self._uploaded = await self._store.content.add_contents(self._upload, self._uploaded, tuple(self._waiting))
            self._waiting.clear()
            self._waiting_octets = 0

    async def messages(self) -> tuple[NewMessage, ...]:
        """For ``append_all``, in the order in which they were added. Raises StoreError."""
        await self._send()
        return tuple(self._messages)

    def drop(self) -> None:
        """They are not going to be filed."""
        uploads = {each.content.upload: each.content for each in self._messages if each.content.upload is not None}
        if self._upload:
            uploads[self._upload] = ContentSource(0, upload=self._upload)
        for source in uploads.values():
            self._store.drop_content(source)


def _octets_of(index: MessageIndex) -> int:
    return 100 + sum(map(len, (index.envelope, index.bodystructure, index.body, index.parts, index.summary)))
