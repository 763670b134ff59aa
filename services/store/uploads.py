"""Uploads: large contents that come in piece by piece, encoded as they come, in files that only this process knows.

A file holds the payload of the record to be (frames, compressed); a delivery copies it into the pack. Or it holds the payloads of
several small contents, one behind the other: then a thousand of them are one upload. Uploads end with their connection, and all that a
dead process left behind is removed at start.
"""

import os
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import attrs
import trio

from services.store.packs.encode import Compressor, EncodedContent, FrameEncoder, encode_content
from shared.contract.append_types import SmallContent
from shared.contract.types import CHUNK_OCTETS, MAX_INLINE_OCTETS
from shared.errors import BadRequest, LimitExceeded, NoSuchUpload, OutOfSpace, TooLarge
from shared.model.message_index import MessageIndex
from shared.rpc.server import Peer

T = TypeVar("T")

HANDLE_OCTETS: Final = 16
_THREADS: Final = 2
INDEX_OCTETS_MAX: Final = 32 * 1024 * 1024
"""Memory of the indexes of all uploads."""
PART_OCTETS: Final = 500
"""Memory of one of several contents in an upload, beside its index."""


@attrs.frozen
class Part:
    """One of several contents in an upload."""

    encoded: EncodedContent
    index: MessageIndex


class _Upload:
    """One upload; its lock keeps pieces in order."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd
        self._compressor = Compressor(level=1)
        self.encoder = FrameEncoder(self._compressor)
        self.finished: EncodedContent | None = None
        self.lock = trio.Lock()
        self.reserved = 0
        """Octets that count against the bound of all uploads."""
        self.held = 0
        """Writes that are going to read the file."""
        self.ended = False
        self.index: MessageIndex | None = None
        self.parts: list[Part] = []
        self._parts_octets = 0
        self._stored = 0

    @property
    def index_octets(self) -> int:
        """Memory of its index, or of its parts."""
        return self._parts_octets + (0 if self.index is None else _index_octets(self.index))

    @property
    def octets(self) -> int:
        return self.encoder.raw_octets

    def append(self, data: bytes) -> None:
        _write_all(self.fd, self.encoder.write(data))

    def add(self, contents: Sequence[SmallContent]) -> None:
        """Raises OSError; then what is in the file is not what the parts say."""
        parts, payloads, stored = [], [], self._stored
        for content in contents:
            encoded = encode_content(content.data, self._compressor)
            payloads.append(encoded.payload)
            spooled = attrs.evolve(encoded, payload=b"", spool=str(self.path), spool_offset=stored)
            parts.append(Part(spooled, content.index))
            stored += encoded.stored_octets
        _write_all(self.fd, b"".join(payloads))
        self._stored = stored
        self.parts += parts
        self._parts_octets += sum(map(_part_octets, contents))

    def drop_indexes(self) -> None:
        """The upload is over."""
        self.index = None
        self.parts = []
        self._parts_octets = 0

    def finish(self) -> EncodedContent:
        if self.finished is None:
            tail, described = self.encoder.finish(str(self.path))
            _write_all(self.fd, tail)
            self.finished = described
        return self.finished

    def remove(self) -> None:
        """Raises OSError; then it may be called again."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)
        self.path.unlink(missing_ok=True)


class Uploads:
    """All uploads. Bounded in number, in size each (``message_octets``) and together (``octets_max``)."""

    def __init__(self, directory: Path, *, uploads_max: int, octets_max: int, message_octets: int) -> None:
        self._directory = directory
        self._uploads_max = uploads_max
        self._octets_max = octets_max
        self._message_octets = message_octets
        self._uploads: dict[tuple[int, bytes], _Upload] = {}
        self._octets = 0
        self._index_octets = 0
        self._limiter = trio.CapacityLimiter(_THREADS)
        self._peers: set[int] = set()
        self._closing: list[_Upload] = []

    def statistics(self) -> dict[str, int]:
        return {"uploads": len(self._uploads), "octets": self._octets}

    def clear_directory(self) -> None:
        """Remove what an earlier process left; before anything is served."""
        for path in self._directory.iterdir():
            path.unlink()

    async def begin(self, peer: Peer, octets: int) -> bytes:
        """Raises TooLarge, LimitExceeded, OutOfSpace."""
        if octets > self._message_octets:
            raise TooLarge(f"above {self._message_octets} octets")
        if len(self._uploads) >= self._uploads_max or self._octets + max(octets, 0) > self._octets_max:
            raise LimitExceeded("uploads")
        handle = secrets.token_bytes(HANDLE_OCTETS)
        path = self._directory / handle.hex()
        fd = await self._in_thread(partial(_create, path))
        self._uploads[peer.number, handle] = _Upload(path, fd)
        if peer.number not in self._peers:
            self._peers.add(peer.number)
            peer.on_close(lambda: self._peer_closed(peer.number))
        return handle

    async def append(self, peer: Peer, handle: bytes, offset: int, data: bytes) -> int:
        """The new length. Raises NoSuchUpload, BadRequest, TooLarge, LimitExceeded, OutOfSpace."""
        upload = self._of(peer, handle)
        if len(data) > CHUNK_OCTETS:
            raise BadRequest(f"a piece has at most {CHUNK_OCTETS} octets")
        async with upload.lock:
            have = upload.octets
            if upload.parts:
                raise BadRequest("an upload of several contents")
            if offset > have or offset < 0:
                raise BadRequest("the offset leaves a gap")
            new = data[have - offset :]
            if not new:
                return have
            if upload.finished is not None or upload.ended:
                raise NoSuchUpload
            if have + len(new) > self._message_octets:
                raise TooLarge(f"above {self._message_octets} octets")
            if self._octets + len(new) > self._octets_max:
                raise LimitExceeded("uploads")
            self._octets += len(new)
            upload.reserved += len(new)
            try:
                await self._in_thread(partial(upload.append, new))
            except OutOfSpace:
                # what is in the file is not what the encoder believes: this upload is over
                if self._uploads.pop((peer.number, handle), None) is not None:
                    self._end(upload)
                raise
            return upload.octets

    async def add_contents(self, peer: Peer, handle: bytes, first: int, contents: Sequence[SmallContent]) -> int:
        """How many contents it holds. Raises NoSuchUpload, BadRequest, TooLarge, LimitExceeded, OutOfSpace."""
        upload = self._of(peer, handle)
        longest = max((len(content.data) for content in contents), default=0)
        if longest > MAX_INLINE_OCTETS:
            raise BadRequest(f"a content has at most {MAX_INLINE_OCTETS} octets")
        if longest > self._message_octets:
            raise TooLarge(f"above {self._message_octets} octets")
        async with upload.lock:
            have = len(upload.parts)
            if upload.octets or not 0 <= first <= have:
                raise BadRequest("the contents leave a gap, or the upload is of another kind")
            new = contents[have - first :]
            if not new:
                return have
            if upload.ended:
                raise NoSuchUpload
            octets, memory = sum(len(content.data) for content in new), sum(map(_part_octets, new))
            if self._octets + octets > self._octets_max or self._index_octets + memory > INDEX_OCTETS_MAX:
                raise LimitExceeded("uploads")
            self._octets += octets
            upload.reserved += octets
            before = upload.index_octets
            try:
                await self._in_thread(partial(upload.add, new))
            except OutOfSpace:
                if self._uploads.pop((peer.number, handle), None) is not None:
                    self._end(upload)
                raise
            if upload.ended:
                # its connection ended meanwhile
                upload.drop_indexes()
                raise NoSuchUpload
            self._index_octets += upload.index_octets - before
            return len(upload.parts)

    async def hold_parts(self, peer: Peer, handle: bytes) -> Sequence[Part]:
        """All contents, for a write; call ``release`` after it. Raises NoSuchUpload."""
        upload = self._of(peer, handle)
        async with upload.lock:
            if upload.ended:
                raise NoSuchUpload
            upload.held += 1
            return upload.parts

    def describe(self, peer: Peer, handle: bytes, index: MessageIndex) -> None:
        """Keep the index of an upload's message until it is filed. Raises NoSuchUpload, LimitExceeded."""
        upload = self._of(peer, handle)
        self._index_octets -= upload.index_octets
        upload.index = index
        self._index_octets += upload.index_octets
        if self._index_octets > INDEX_OCTETS_MAX:
            self._index_octets -= upload.index_octets
            upload.index = None
            raise LimitExceeded("indexes of uploads")

    def index_of(self, peer: Peer, handle: bytes) -> MessageIndex | None:
        """What ``describe`` was given. Raises NoSuchUpload."""
        return self._of(peer, handle).index

    async def abort(self, peer: Peer, handle: bytes) -> None:
        upload = self._uploads.pop((peer.number, handle), None)
        if upload is not None:
            self._end(upload)
            await self._remove_ended()

    async def hold(self, peer: Peer, handle: bytes, octets: int) -> EncodedContent:
        """The whole content, for a write; call ``release`` after it. Raises NoSuchUpload, BadRequest, OutOfSpace."""
        upload = self._of(peer, handle)
        async with upload.lock:
            if upload.parts:
                raise BadRequest("an upload of several contents")
            if upload.octets != octets:
                raise BadRequest(f"{upload.octets} octets of {octets} are there")
            upload.held += 1
            try:
                return await self._in_thread(upload.finish)
            except BaseException:
                upload.held -= 1
                raise

    async def release(self, peer: Peer, handle: bytes, *, done: bool) -> None:
        """The write is over; ``done``: the content is in the packs and the upload is not needed any more."""
        upload = self._uploads.get((peer.number, handle))
        if upload is None:
            upload = next((u for u in self._closing if u.path.name == handle.hex()), None)
            if upload is None:
                return
        upload.held -= 1
        if done and not upload.ended:
            del self._uploads[peer.number, handle]
            self._end(upload)
        await self._remove_ended()

    def _of(self, peer: Peer, handle: bytes) -> _Upload:
        upload = self._uploads.get((peer.number, handle))
        if upload is None:
            raise NoSuchUpload
        return upload

    def _peer_closed(self, number: int) -> None:
        self._peers.discard(number)
        for key in [key for key in self._uploads if key[0] == number]:
            self._end(self._uploads.pop(key))

    def _end(self, upload: _Upload) -> None:
        upload.ended = True
        self._octets -= upload.reserved
        self._index_octets -= upload.index_octets
        upload.drop_indexes()
        self._closing.append(upload)

    async def _remove_ended(self) -> None:
        """Remove the files of ended uploads that nobody reads or writes."""
        free = [upload for upload in self._closing if not upload.held and not upload.lock.locked()]
        self._closing = [upload for upload in self._closing if upload not in free]
        for upload in free:
            try:
                await self._in_thread(upload.remove)
            except OutOfSpace:
                # nobody's call fails for it, least of all one that is durable by now: the next sweep tries again
                self._closing.append(upload)

    async def sweep(self) -> None:
        """Remove what ended with its connection; run it now and then."""
        with trio.CancelScope(shield=True):
            await self._remove_ended()

    async def _in_thread(self, function: Callable[[], T]) -> T:
        try:
            return await trio.to_thread.run_sync(function, limiter=self._limiter)
        except OSError as error:
            raise OutOfSpace(f"uploads: {error.strerror}") from error


def _index_octets(index: MessageIndex) -> int:
    return sum(map(len, (index.envelope, index.bodystructure, index.body, index.parts, index.summary)))


def _part_octets(content: SmallContent) -> int:
    return PART_OCTETS + _index_octets(content.index)


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
