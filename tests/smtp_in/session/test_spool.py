"""Contents in bounded memory: when the file is used, what is put in front, what happens when the disk or the header is bad."""

import sys
from pathlib import Path

import trio
import trio.testing

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.data import HeaderFacts
from services.smtp_in.spool import SMALL_OCTETS, WRITE_OCTETS, MemoryBudget, Spool, Spooled, SpoolLimits
from shared.testing.runner import trio_test

MEMORY = 256 * 1024
HEAD = b"Subject: x\r\n\r\n"
LINE = b"0123456789abcdef" * 4 + b"\r\n"


def limits(directory: Path, *, header_octets: int = 512 * 1024, budget: int = 1 << 30) -> SpoolLimits:
    return SpoolLimits(directory, MEMORY, header_octets, MemoryBudget(budget))


def prepare(head: bytes, header: HeaderFacts) -> bytes:
    assert header.complete or header.octets == len(head)
    return b"Received: here\r\n" + head


async def fill(spool: Spool, content: bytes, piece: int = 30_000) -> None:
    for start in range(0, len(content), piece):
        if spool.add(content[start : start + piece]):
            await spool.flush()


@trio_test
async def test_small_content_stays_in_memory(tmp_path: Path) -> None:
    own = limits(tmp_path)
    spool = Spool(own, prepare)
    content = HEAD + LINE * 100
    await fill(spool, content, 7)
    assert not spool.on_disk
    assert own.budget.used == len(content)
    spooled = await spool.finish()
    assert isinstance(spooled, Spooled)
    assert spooled.data == b"Received: here\r\n" + content
    assert spooled.header == HeaderFacts(len(HEAD), True, 0)
    spool.close()
    spool.close()
    assert own.budget.used == 0


@trio_test
async def test_large_content_goes_to_an_unlinked_file(tmp_path: Path) -> None:
    own = limits(tmp_path)
    spool = Spool(own, prepare)
    content = HEAD + LINE * 20_000
    await fill(spool, content)
    assert spool.on_disk
    assert list(tmp_path.iterdir()) == []
    # Only what is collected for the next write is in memory.
    assert own.budget.used < WRITE_OCTETS
    spooled = await spool.finish()
    assert isinstance(spooled, Spooled)
    assert spooled.data[:] == b"Received: here\r\n" + content
    spool.close()
    assert own.budget.used == 0


@trio_test
async def test_a_spent_budget_sends_more_to_the_file(tmp_path: Path) -> None:
    own = limits(tmp_path, budget=SMALL_OCTETS)
    small, medium = Spool(own, prepare), Spool(own, prepare)
    await fill(medium, HEAD + b"x" * (SMALL_OCTETS + 1))
    assert medium.on_disk
    await fill(small, HEAD + b"x" * 60_000, 1000)
    assert not small.on_disk
    small.close()
    medium.close()


@trio_test
async def test_a_header_without_end(tmp_path: Path) -> None:
    own = limits(tmp_path, header_octets=MEMORY + 100_000)
    spool = Spool(own, prepare)
    # Longer than what stays in memory, but allowed.
    await fill(spool, b"X: " + b"y" * (MEMORY + 50_000) + b"\r\n\r\n" + LINE * 1000)
    assert spool.failure is None
    assert isinstance(await spool.finish(), Spooled)
    spool.close()
    spool = Spool(own, prepare)
    await fill(spool, b"X: y\r\n" * 200_000)
    assert spool.failure is replies.HEADER_TOO_BIG
    assert own.budget.used == 0
    assert await spool.finish() is replies.HEADER_TOO_BIG
    spool.close()


@trio_test
async def test_a_disk_that_fails(tmp_path: Path) -> None:
    own = limits(tmp_path / "gone")
    spool = Spool(own, prepare)
    await fill(spool, HEAD + LINE * 20_000)
    assert spool.failure is replies.OUT_OF_SPACE
    assert own.budget.used == 0
    assert await spool.finish() is replies.OUT_OF_SPACE
    spool.close()


@trio_test
async def test_a_content_that_waits_for_a_thread_is_in_memory_once(tmp_path: Path) -> None:
    piece = HEAD + LINE * 5000
    held = sys.getrefcount(piece)
    threads = trio.to_thread.current_default_thread_limiter()
    borrowers = [object() for _ in range(int(threads.total_tokens))]
    for borrower in borrowers:
        await threads.acquire_on_behalf_of(borrower)
    spool = Spool(limits(tmp_path), prepare)
    assert spool.add(piece)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(spool.flush)
        await trio.testing.wait_all_tasks_blocked()
        assert sys.getrefcount(piece) == held
        for borrower in borrowers:
            threads.release_on_behalf_of(borrower)
    spooled = await spool.finish()
    assert isinstance(spooled, Spooled)
    assert spooled.data[:] == b"Received: here\r\n" + piece
    spool.close()
