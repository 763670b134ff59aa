"""Coalesced writes: frames that are put while one write is under way leave together in the next.

A peer that does not read fills the outbox up to its bound; ``wait_room`` then holds back whoever produces more.
"""

from typing import Final

import trio

HIGH_WATER_OCTETS: Final = 4 * 1024 * 1024


class Outbox:
    """Frames on their way into one stream. ``run`` is its only writer."""

    def __init__(self, stream: trio.abc.SendStream, high_water_octets: int = HIGH_WATER_OCTETS) -> None:
        self._stream = stream
        self._high_water = high_water_octets
        self._frames: list[bytes] = []
        self._octets = 0
        self._wake = trio.Event()
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
        self._wake.set()

    async def wait_room(self) -> None:
        """Return when less than the high water waits, or the connection has ended."""
        while self._octets > self._high_water and not self._closed:
            await self._room.wait()

    def close(self) -> None:
        self._closed = True
        self._frames.clear()
        self._octets = 0
        self._room.set()
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled. Raises what the stream raises."""
        try:
            while not self._closed:
                if not self._frames:
                    self._wake = trio.Event()
                    await self._wake.wait()
                    # let everybody who is ready to send in this turn add to the same write
                    await trio.lowlevel.checkpoint()
                frames, self._frames = self._frames, []
                if not frames:
                    continue
                data = frames[0] if len(frames) == 1 else b"".join(frames)
                await self._stream.send_all(data)
                self._octets -= len(data)
                if self._octets <= self._high_water:
                    self._room.set()
                    self._room = trio.Event()
        finally:
            self.close()
