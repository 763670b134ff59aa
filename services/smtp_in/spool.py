"""The content of one message while it comes in: in memory while it is small, in an unlinked file beyond that.

Laws: a message takes at most `memory_octets` of memory (or its header block, where that is longer) and then one write buffer, however large
it is; when all messages together have spent the budget, everything above SMALL_OCTETS goes to the file. The file has no
name from the beginning, so a crash leaves nothing behind; it is never synced, because nothing is promised before the
store has the content. What is put in front of the content is put there once, when its header block is complete.

What can fail: a full or broken disk and an endless header block; `failure` then holds the reply, the rest is dropped as it comes.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import trio
from attrs import define, frozen

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.data import HeaderFacts, inspect_header
from services.smtp_in.protocol.replies import Reply
from shared.mail.content import Content
from shared.mail.recode.converter import Converter
from shared.mail.recode.goal import Plan

SMALL_OCTETS = 64 * 1024
WRITE_OCTETS = 128 * 1024
"""Collected before a write: a thread's hand-over costs about 100 us, so a write should be worth it."""

Prepare = Callable[[bytes, HeaderFacts], bytes]
"""From the beginning of the content, its header block complete, to what is stored in its place."""


@define
class MemoryBudget:
    """What the contents under way take together, of one process."""

    octets: int
    used: int = 0

    @property
    def spent(self) -> bool:
        """Nothing is left for messages that can go elsewhere."""
        return self.used >= self.octets


@frozen
class SpoolLimits:
    """Where contents go, and when."""

    directory: Path
    memory_octets: int
    header_octets: int
    budget: MemoryBudget


@frozen
class Spooled:
    """A complete content as it will be stored, and the facts of its header block as the client sent it."""

    data: Content
    header: HeaderFacts


class Spool:
    """One content: `add` each piece, `flush` when told, `finish`, and `close` in any case."""

    def __init__(self, limits: SpoolLimits, prepare: Prepare) -> None:
        self._limits = limits
        self._prepare = prepare
        self._pieces: list[bytes] = []
        self._octets = 0
        self._file: BinaryIO | None = None
        self._map: mmap.mmap | None = None
        self._header: HeaderFacts | None = None
        self.failure: Reply | None = None

    def add(self, data: bytes) -> bool:
        """Take a piece; True when `flush` has to be awaited before the next one."""
        if self.failure is not None:
            return False
        self._pieces.append(data)
        self._octets += len(data)
        budget = self._limits.budget
        budget.used += len(data)
        if self._file is not None:
            return self._octets >= WRITE_OCTETS
        return self._octets > self._limits.memory_octets or (budget.spent and self._octets > SMALL_OCTETS)

    @property
    def on_disk(self) -> bool:
        """The content was too large for memory."""
        return self._file is not None

    async def flush(self) -> None:
        """Bring what is in memory to the file."""
        data = b"".join(self._pieces)
        self._pieces = []  # not twice in memory while we wait for a thread, as hundreds of contents may
        if self._header is None:
            header = inspect_header(data)
            if not header.complete:
                self._pieces = [data]
                if header.octets > self._limits.header_octets:
                    self._fail(replies.HEADER_TOO_BIG)
                return
            self._header = header
            data = self._prepare(data, header)
        try:
            await trio.to_thread.run_sync(self._write, data)
        except OSError:
            self._fail(replies.OUT_OF_SPACE)
        else:
            self._forget_pieces()

    async def finish(self) -> Spooled | Reply:
        """The complete content, or the reply for what went wrong. It is valid until `close`."""
        if self._file is None and self.failure is None:
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            header = inspect_header(data)
            return Spooled(self._prepare(data, header), header)
        if self._pieces and self.failure is None:
            await self.flush()
        if self.failure is not None:
            return self.failure
        try:
            self._map = await trio.to_thread.run_sync(self._map_file)
        except (OSError, ValueError):
            return replies.OUT_OF_SPACE
        if self._header is None:
            raise RuntimeError("a file without a header")
        return Spooled(self._map, self._header)

    async def insert(self, spooled: Spooled, at: int, octets: bytes) -> Spooled | Reply:
        """The same content with octets put in at an offset; a file is written again, in a worker thread."""
        data = spooled.data
        if isinstance(data, bytes):
            return Spooled(b"".join((data[:at], octets, data[at:])), spooled.header)
        try:
            await trio.to_thread.run_sync(self._write_again, data, at, octets)
            self._map = await trio.to_thread.run_sync(self._map_file)
        except (OSError, ValueError):
            return replies.OUT_OF_SPACE
        data.close()
        return Spooled(self._map, spooled.header)

    async def convert(self, spooled: Spooled, plan: Plan, piece_octets: int) -> Spooled | Reply:
        """The same content as the plan wants it; more than a piece in a worker thread, a file in pieces."""
        data = spooled.data
        if isinstance(data, bytes):
            inline = len(data) <= piece_octets
            converted = _converted(data, plan) if inline else await trio.to_thread.run_sync(_converted, data, plan)
            return Spooled(converted, spooled.header)
        try:
            await trio.to_thread.run_sync(self._write_converted, data, plan, piece_octets)
            self._map = await trio.to_thread.run_sync(self._map_file)
        except (OSError, ValueError):
            return replies.OUT_OF_SPACE
        data.close()
        return Spooled(self._map, spooled.header)

    def _write_converted(self, data: mmap.mmap, plan: Plan, piece_octets: int) -> None:
        """In a worker thread."""
        old, self._file = self._file, None
        converter = Converter(plan)
        try:
            for start in range(0, len(data), piece_octets):
                self._write(converter.feed(data[start : start + piece_octets]))
            self._write(converter.finish())
        finally:
            if old is not None:
                old.close()

    def _write_again(self, data: mmap.mmap, at: int, octets: bytes) -> None:
        """In a worker thread."""
        old, self._file = self._file, None
        try:
            self._write(data[:at] + octets)
            with memoryview(data) as view:
                for start in range(at, len(view), WRITE_OCTETS):
                    self._write(view[start : start + WRITE_OCTETS])
        finally:
            if old is not None:
                old.close()

    def close(self) -> None:
        """Give everything back. Harmless when done twice."""
        self._forget_pieces()
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, data: bytes | memoryview) -> None:
        """In a worker thread."""
        if self._file is None:
            # No name in the directory: O_TMPFILE, or unlinked at once where the file system has no such thing.
            self._file = tempfile.TemporaryFile(dir=self._limits.directory, buffering=0)  # noqa: SIM115 - closed by close()
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) or 0 :]

    def _map_file(self) -> mmap.mmap:
        """In a worker thread."""
        if self._file is None:
            raise ValueError("nothing was written")
        return mmap.mmap(self._file.fileno(), os.fstat(self._file.fileno()).st_size, prot=mmap.PROT_READ)

    def _fail(self, reply: Reply) -> None:
        self.failure = reply
        self.close()

    def _forget_pieces(self) -> None:
        self._limits.budget.used -= self._octets
        self._octets = 0
        self._pieces = []


def _converted(data: bytes, plan: Plan) -> bytes:
    converter = Converter(plan)
    return converter.feed(data) + converter.finish()
