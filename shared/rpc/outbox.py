"""Coalesced writes: frames that are put in one turn of the scheduler, or while a write is under way, leave together.

A peer that does not read fills the outbox up to its bound; ``wait_room`` then holds back whoever produces more.
"""

from collections.abc import Sequence
from typing import Any, Final

import outcome
import trio

from shared.model.blob import Buffer

HIGH_WATER_OCTETS: Final = 4 * 1024 * 1024
_GATHER_OCTETS: Final = 64 * 1024
"""From here on pieces are handed to the kernel as they are, below they are joined first."""
_GATHER_PIECES: Final = 512
"""In one system call; Linux takes 1,024."""


class Outbox:
    """Frames on their way into one stream. ``run`` is its only writer."""

    def __init__(self, stream: trio.abc.SendStream, high_water_octets: int = HIGH_WATER_OCTETS) -> None:
        self._stream = stream
        self._high_water = high_water_octets
        self._frames: list[Buffer] = []
        self._octets = 0
        self._parked: trio.lowlevel.Task | None = None
        self._room = trio.Event()
        self._closed = False

    @property
    def octets(self) -> int:
        """Waiting now."""
        return self._octets

    def put_nowait(self, frame: Buffer, *blob: Buffer) -> None:
        """Queue a frame, with what follows it; dropped when the connection has ended."""
        if self._closed:
            return
        self._frames.append(frame)
        self._octets += len(frame)
        if blob:
            self._frames.extend(blob)
            self._octets += sum(map(len, blob))
        self._wake()

    async def wait_room(self) -> None:
        """Return when less than the high water waits, or the connection has ended. Costs nothing where there is room."""
        while self._octets > self._high_water and not self._closed:
            await self._room.wait()

    def close(self) -> None:
        self._closed = True
        self._frames.clear()
        self._octets = 0
        self._room.set()
        self._wake()

    def _wake(self) -> None:
        # the writer runs in the scheduler's next turn: whoever runs in this one adds to the same write
        if self._parked is not None:
            task, self._parked = self._parked, None
            trio.lowlevel.reschedule(task, outcome.Value(None))

    async def _wait_frames(self) -> None:
        self._parked = trio.lowlevel.current_task()

        def abort(_: Any) -> trio.lowlevel.Abort:
            self._parked = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    async def run(self) -> None:
        """Write until cancelled or closed. Raises what the stream raises."""
        try:
            while not self._closed:
                if not self._frames:
                    await self._wait_frames()
                    continue
                frames, self._frames = self._frames, []
                octets = sum(map(len, frames))
                if len(frames) == 1:
                    await self._stream.send_all(frames[0])
                elif octets >= _GATHER_OCTETS and isinstance(self._stream, trio.SocketStream):
                    await _send_gathered(self._stream.socket, frames)
                else:
                    await self._stream.send_all(b"".join(frames))
                self._octets -= octets
                if self._octets <= self._high_water:
                    self._room.set()
                    self._room = trio.Event()
        finally:
            self.close()

    async def run_or_cancel(self, scope: trio.CancelScope) -> None:
        """Write until cancelled; when the stream is lost, cancel ``scope``: the rest of the connection has nothing to do."""
        try:
            await self.run()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            scope.cancel()


async def _send_gathered(sock: trio.socket.SocketType, pieces: Sequence[Buffer]) -> None:
    """Send pieces in their order without joining them. Raises BrokenResourceError."""
    for start in range(0, len(pieces), _GATHER_PIECES):
        rest = list(pieces[start : start + _GATHER_PIECES])
        while rest:
            try:
                sent = await sock.sendmsg(rest)
            except OSError as error:
                raise trio.BrokenResourceError("the peer is gone") from error
            done = 0
            while done < len(rest) and sent >= len(rest[done]):
                sent -= len(rest[done])
                done += 1
            del rest[:done]
            if sent:
                rest[0] = memoryview(rest[0])[sent:]
