"""Several processes that read messages ahead, and their answers in order."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
import msgpack
import trio

from shared.model.message_index import MessageIndex
from shared.moving.worker import LENGTH, Kind

MOST_OCTETS: Final = 1024 * 1024 * 1024
"""Of a message."""
BATCH_MESSAGES: Final = 100
BATCH_OCTETS: Final = 2 * 1024 * 1024
"""Of messages in one question: what is read ahead is in memory."""


@attrs.frozen
class Wanted:
    """A message in a file: all of the file, or a range. Of an IMAP server: mailbox, and UID as the offset."""

    path: bytes
    size: int
    """About what it takes."""
    offset: int = 0
    octets: int = -1


@attrs.frozen
class Taken:
    """A message that was read."""

    came: int
    """Seconds since 1970."""
    flags: tuple[str, ...]
    """Those that the message itself holds."""
    digest: bytes
    content: bytes = attrs.field(repr=False)
    index: MessageIndex = attrs.field(repr=False)


class SourceFailed(Exception):
    """What mail comes from can be read no more; in words."""


class WorkersFailed(SourceFailed):
    """A process ended that should not have."""


@attrs.define
class Pending:
    """A question that was asked; ``rows`` are there when it is done."""

    rows: list[Taken | str] = attrs.field(factory=list)
    failure: SourceFailed | None = None
    done: trio.Event = attrs.field(factory=trio.Event)

    async def wait(self) -> list[Taken | str]:
        """Messages, or what was wrong with them. Raises SourceFailed."""
        await self.done.wait()
        if self.failure is not None:
            raise self.failure
        return self.rows


def batches_of(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    """Questions of a size that suits memory."""
    batches: list[list[Wanted]] = []
    octets = BATCH_OCTETS
    for each in wanted:
        if not batches or octets + each.size > BATCH_OCTETS or len(batches[-1]) >= BATCH_MESSAGES:
            batches.append([])
            octets = 0
        batches[-1].append(each)
        octets += each.size
    return batches


class Workers:
    """``async with trio.open_nursery() as n: workers = Workers(n, 2, environment)``; they end with the nursery."""

    def __init__(self, nursery: trio.Nursery, count: int, environment: Mapping[str, str]) -> None:
        self._nursery = nursery
        self.count = count
        self._environment = environment
        send, self._receive = trio.open_memory_channel[tuple[bytes, Pending]](1000)
        self._send = send
        for _ in range(count):
            nursery.start_soon(self._run)

    def ask(self, batch: Sequence[Wanted], kind: Kind) -> Pending:
        """At most a thousand questions may wait."""
        return self._put(kind, [[each.path, each.offset, each.octets] for each in batch])

    def take_apart(self, contents: Sequence[bytes]) -> Pending:
        """``ask`` for messages that were read already; the rows are without their contents."""
        return self._put(Kind.CONTENT, [[content, 0, -1] for content in contents])

    def _put(self, kind: Kind, wanted: list[list[Any]]) -> Pending:
        pending = Pending()
        self._send.send_nowait((msgpack.packb([kind.value, MOST_OCTETS, wanted]), pending))
        return pending

    async def _run(self) -> None:
        argv = [sys.executable, "-P", "-m", "shared.moving.worker"]
        # in a session of its own: Ctrl-C is for us, and our end is theirs
        process = await trio.lowlevel.open_process(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment, start_new_session=True
        )
        try:
            async for question, pending in self._receive:
                try:
                    pending.rows = await _exchange(process, question)
                except WorkersFailed as error:
                    # whoever waits hears of it, now and later
                    pending.failure = error
                pending.done.set()
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


async def _exchange(process: trio.Process, question: bytes) -> list[Taken | str]:
    if process.stdin is None or process.stdout is None:
        raise WorkersFailed("no pipes")
    try:
        await process.stdin.send_all(LENGTH.pack(len(question)) + question)
        head = await _read(process.stdout, LENGTH.size)
        rows: list[Any] = msgpack.unpackb(await _read(process.stdout, LENGTH.unpack(head)[0]))
    except trio.BrokenResourceError:
        raise WorkersFailed("a process that reads messages has ended") from None
    return [row if isinstance(row, str) else Taken(row[0], tuple(row[1]), row[2], row[3], MessageIndex(*row[4:])) for row in rows]


async def _read(source: trio.abc.ReceiveStream, octets: int) -> bytes:
    data = bytearray()
    while len(data) < octets:
        piece = await source.receive_some(min(octets - len(data), 1024 * 1024))
        if not piece:
            raise WorkersFailed("a process that reads messages has ended")
        data += piece
    return bytes(data)
