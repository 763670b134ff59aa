"""The task that gives back space: packs that are mostly dead are written anew, at a pace that leaves the disk to the mail.

    choose   a sealed pack of which less than ``compact_live_percent`` is needed
    piece    a reader walks it and finds the records that content rows name
    move     the writer appends them to the current pack and has the rows name the copies, in one commit
    retire   nothing names the pack any more: noted, with its time
    remove   ``compact_keep_seconds`` later its file, then its row

Laws:
- A process that ends at any moment leaves a state from which the next one goes on: copies that no commit names are dead octets of
  the newest pack, a pack that was half moved is chosen again, one that is retired is removed then.
- Only what the database calls retired is ever removed. A file that it does not know is left alone: it may be all there is of some mail.
- A pack with damage is left as it is, for a restore or for somebody who can read it.
- Files are unlinked, never cut or written to: a backup may hold a link to the same octets, a reader may have it open.
- REFERENCE records are not copied: the packs alone then know where a content was filed first, not where it came in again.
"""

import sqlite3
import time
from pathlib import Path
from shutil import disk_usage
from typing import Final

import trio

from services.store.domain.compaction import PackState, choose
from services.store.packs.paths import pack_path, sync_directory
from services.store.packs.read import PackReader
from services.store.packs.record import PACK_HEADER
from services.store.readers import Readers
from services.store.reads import compaction as reads
from services.store.writer import Command, Writer
from services.store.writes import compaction as writes
from shared.config.schema import StoreSettings
from shared.contract.space_types import SpaceStatus
from shared.errors import OutOfSpace, StoreError
from shared.observe.log import Logger

CHECK_PAUSE_SECONDS: Final = 0.05
"""Between two walks through the contents: mail goes first."""


class _NotPossibleError(Exception):
    """A pack cannot be written anew; the message says why."""


class Compactor:
    """One per store; all of it in the trio thread."""

    def __init__(
        self, directory: Path, readers: Readers, writer: Writer, packs: PackReader, settings: StoreSettings, log: Logger
    ) -> None:
        self._directory = directory
        self._readers = readers
        self._writer = writer
        self._packs = packs
        self._settings = settings
        self._log = log
        self._wanted = trio.Event()
        self._skip: set[int] = set()
        self._seen_retired: dict[int, float] = {}
        """When it was first seen, by a clock that does not jump: who reads it now has begun earlier."""
        self.at_work = 0
        self.moved_octets = 0
        self.given_back_octets = 0
        self.failure = ""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with trio.move_on_after(self._settings.compact_seconds):
                await self._wanted.wait()
            self._wanted = trio.Event()
            try:
                await self._round()
            except (StoreError, sqlite3.Error) as error:
                self._fail(0, str(error) or type(error).__name__)
            finally:
                self.at_work = 0

    def wake(self) -> None:
        """Look for packs now."""
        self._wanted.set()

    async def status(self) -> SpaceStatus:
        states = await self._readers.run(reads.packs)
        there = [state for state in states if not state.retired]
        gone = [state for state in states if state.retired]
        return SpaceStatus(
            packs=len(there),
            octets=sum(state.octets for state in there),
            dead_octets=sum(state.dead_octets for state in there),
            at_work=self.at_work,
            retired=len(gone),
            retired_octets=sum(state.octets for state in gone),
            moved_octets=self.moved_octets,
            given_back_octets=self.given_back_octets,
            failure=self.failure,
        )

    async def _round(self) -> None:
        while True:
            states = await self._readers.run(reads.packs)
            await self._remove_retired(states)
            free = await trio.to_thread.run_sync(lambda: disk_usage(self._directory).free)
            chosen = choose(states, self._settings.compact_live_percent, self._skip, free)
            if chosen is None:
                return
            self.at_work = chosen.number
            try:
                await self._write_anew(chosen)
                self.failure = ""
            except OutOfSpace:
                raise
            except (_NotPossibleError, OSError, StoreError) as error:
                # not again by this process: what is wrong with it does not go away
                self._skip.add(chosen.number)
                self._fail(chosen.number, str(error))

    def _fail(self, pack: int, reason: str) -> None:
        self.failure = f"pack {pack}: {reason}" if pack else reason
        self._log.error("compaction failed", pack=pack, reason=reason)

    async def _write_anew(self, pack: PackState) -> None:
        """Raises _NotPossibleError, OSError, StoreError."""
        path = pack_path(self._directory, pack.number)
        position, moved = PACK_HEADER.size, 0
        while position < pack.octets:
            piece = await self._readers.run(reads.piece, self._directory, pack.number, position, pack.octets)
            if piece.damage is not None or piece.next <= position:
                reason = "it ends too early" if piece.damage is None else piece.damage.reason
                raise _NotPossibleError(f"damaged at {position}: {reason}")
            if piece.live:
                octets = await self._writer.submit(
                    Command("", None, writes.move, (pack.number, path, piece.live))
                )
                moved += octets
                self.moved_octets += octets
            await trio.sleep((piece.next - position) / self._settings.compact_octets_per_second)
            position = piece.next
        if await self._is_named(pack.number):
            raise _NotPossibleError("contents lie where no record is")
        await self._writer.submit(Command("", None, writes.retire, (pack.number,)))
        self._log.info("a pack was written anew", pack=pack.number, octets=pack.octets, moved=moved)

    async def _is_named(self, pack: int) -> bool:
        """Whether a content row names a pack. Nothing is ever added to a sealed one, so that a no stays a no."""
        after = 0
        while True:
            named, after = await self._readers.run(reads.names_pack, pack, after)
            if named or not after:
                return named
            await trio.sleep(CHECK_PAUSE_SECONDS)

    async def _remove_retired(self, states: list[PackState]) -> None:
        now = time.monotonic()
        for state in states:
            if not state.retired:
                continue
            seen = self._seen_retired.setdefault(state.number, now)
            if now - seen < self._settings.compact_keep_seconds:
                continue
            try:
                await trio.to_thread.run_sync(_remove, self._directory, state.number)
            except OSError as error:
                self._fail(state.number, f"cannot be removed: {error.strerror}")
                continue
            await self._writer.submit(Command("", None, writes.forget, (state.number,)))
            self._packs.forget(state.number)
            del self._seen_retired[state.number]
            self.given_back_octets += state.octets
            self._log.info("a pack was removed", pack=state.number, octets=state.octets)


def _remove(directory: Path, number: int) -> None:
    """The file, durably; one that is gone already is fine. Raises OSError."""
    pack_path(directory, number).unlink(missing_ok=True)
    sync_directory(directory)
