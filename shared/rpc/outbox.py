"""Coalesced writes: frames that are put in one turn of the scheduler, or while a write is under way, leave together.

A peer that does not read fills the outbox up to its bound; ``wait_room`` then holds back whoever produces more.
"""

from typing import Any, Final

import outcome
import trio

HIGH_WATER_OCTETS: Final = 4 * 1024 * 1024


class Outbox:
    """Frames on their way into one stream. ``run`` is its only writer."""

    def __init__(self, stream: trio.abc.SendStream, high_water_octets: int = HIGH_WATER_OCTETS) -> None:
        self._stream = stream
        self._high_water = high_water_octets
        self._frames: list[bytes] = []
        self._octets = 0
        self._parked: trio.lowlevel.Task | None = None
        self._room = trio.Event()
        self._closed = False

    @property
    def octets(self) -> int:
        """Waiting now."""
        return self._octets

    def put_nowait(self, frame: bytes) -> None:
        """Queue a frame; it is dropped when the connection has ended."""
        if self._closed:
            return
        self._frames.append(frame)
        self._octets += len(frame)
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
                data = frames[0] if len(frames) == 1 else b"".join(frames)
                await self._stream.send_all(data)
                self._octets -= len(data)
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
