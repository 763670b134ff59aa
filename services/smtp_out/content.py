"""A queued message's content, read from the store in pieces as the remote takes it: memory is one piece per delivery.

What is one piece as a whole is read once, however often it is wanted: signed, sent, sent to more recipients.
"""

from __future__ import annotations

from shared.contract.queue import QueueApi
from shared.contract.types import CHUNK_OCTETS
from shared.errors import StoreError
from shared.mail.recode.converter import Converter
from shared.mail.recode.goal import Plan
from shared.model.ids import EntryId


class ContentLost(Exception):
    """The store did not give the whole content: nothing is known about the message, the delivery is broken off."""


class ContentReader:
    """Reads one entry's content in order. The store leaves the Return-Path line out already."""

    def __init__(self, queue: QueueApi, worker: str, entry: EntryId, octets: int) -> None:
        self._queue = queue
        self._worker = worker
        self._entry = entry
        self._octets = octets
        self._offset = 0
        self._first: bytes | None = None
        self._front = b""
        self._front_given = False
        self._whole_given = False
        self._plan: Plan | None = None
        self._converter: Converter | None = None
        self._converted_octets = 0

    @property
    def octets(self) -> int:
        """Of all that `read` gives."""
        return len(self._front) + self._sent_octets

    @property
    def _sent_octets(self) -> int:
        return self._octets if self._plan is None else self._converted_octets

    async def convert(self, plan: Plan) -> None:
        """From here on `read` gives the content as the plan wants it, from its beginning. Raises ContentLost."""
        self._plan = plan
        self._first = None
        self.rewind()
        octets = 0
        while piece := await self.read():
            octets += len(piece)
        self._converted_octets = octets
        self.rewind()

    def put_in_front(self, octets: bytes) -> None:
        """Header fields for the next `read` to begin with."""
        self._front = octets
        self._front_given = False

    async def first(self) -> bytes:
        """The first piece, kept until `read` gives it. Raises ContentLost."""
        if self._first is None:
            self._first = await self._next()
        return self._first

    def rewind(self) -> None:
        """Begin again, for another transaction; a first piece that was not yet given is kept."""
        self._front_given = self._whole_given = False
        if self._first is None:
            self._offset = 0
            self._converter = None if self._plan is None else Converter(self._plan)

    async def read(self) -> bytes:
        """The next piece, empty at the end. Raises ContentLost."""
        if self._front and not self._front_given:
            self._front_given = True
            return self._front
        if self._first is None:
            return await self._next()
        if len(self._first) < self._sent_octets:
            piece, self._first = self._first, None
            return piece
        if self._whole_given:
            return b""
        self._whole_given = True
        return self._first

    async def _next(self) -> bytes:
        """A piece as it is sent; of a converted content about as large as of any other, so that the first holds the header."""
        if self._plan is None:
            return await self._fetch()
        pieces: list[bytes] = []
        octets = 0
        while self._converter is not None and octets < CHUNK_OCTETS:
            fetched = await self._fetch()
            pieces.append(self._converter.feed(fetched) if fetched else self._converter.finish())
            octets += len(pieces[-1])
            if not fetched:
                self._converter = None
        return b"".join(pieces)

    async def _fetch(self) -> bytes:
        wanted = min(CHUNK_OCTETS, self._octets - self._offset)
        if wanted <= 0:
            return b""
        try:
            piece = await self._queue.read_content(self._worker, self._entry, self._offset, wanted)
        except StoreError as error:
            raise ContentLost(str(error)) from None
        if not piece:
            raise ContentLost("the content is shorter than its entry says")
        self._offset += len(piece)
        return piece
