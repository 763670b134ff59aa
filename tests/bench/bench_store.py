"""`python tests/bench/bench_store.py [--seconds S]`: the store alone, through its real socket.

Prints durable deliveries per second and the store's CPU time per delivery (user and system, all threads) at several
numbers of deliveries in flight, then what a mailbox of 10,000 messages costs to list, to index and to read. No peer: the ratio to
Postfix and Dovecot is the business of `tests/bench/run`, which measures whole servers.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from shared.contract.registry import Role
from shared.contract.types import ContentRange, Delivery, LocalRecipient
from shared.mail.index import build_index
from shared.model.ids import Grant, MailboxId
from shared.model.packed import pack_u32, unpack_u32
from shared.rpc.store_client import StoreClient
from shared.testing.process import RunningService
from shared.testing.stack import PASSWORD, Stack, open_client

TICK = os.sysconf("SC_CLK_TCK")
WORDS = "the quick brown fox jumps over lazy dog mail server delivery durable commit group pack".split()  # noqa: SIM905  easier to read


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def make_message(octets: int, number: int) -> bytes:
    """Text that compresses about as mail does; no two are alike."""
    rng = random.Random(number)
    head = (
        f"From: Sender {number} <s{number}@example.org>\r\nTo: alice@example.test\r\nSubject: Message {number}\r\n"
        f"Date: Mon, 23 Nov 2026 23:00:00 +0000\r\nMessage-ID: <{rng.getrandbits(64):x}@example.org>\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    lines = []
    size = len(head)
    while size < octets:
        line = " ".join(rng.choices(WORDS, k=8)) + f" {rng.getrandbits(40):x}\r\n"
        lines.append(line)
        size += len(line)
    return (head + "".join(lines)).encode()[:octets]


async def deliver_all(store: StoreClient, account: int, messages: list[bytes], flight: int) -> None:
    """Deliver all messages, `flight` at a time."""
    todo = iter(messages)

    async def run() -> None:
        for message in todo:
            content = await store.put_content(message)
            index = INDEXES[message[:200]]
            local = (LocalRecipient(account, "alice@example.test"),)
            await store.messages.deliver(Delivery("bench", "s@example.org", local, (), content, index))

    async with trio.open_nursery() as nursery:
        for _ in range(flight):
            nursery.start_soon(run)


INDEXES = {}


async def measure_deliveries(store: StoreClient, service: RunningService, seconds: float) -> None:
    account = (await store.directory.resolve("alice@example.test")).accounts[0]
    print(f"{'octets':>8} {'in flight':>9} {'per second':>11} {'CPU us each':>12}")
    number = 0
    for octets in (4096, 100_000):
        for flight in (1, 16, 64):
            count = max(64, int(seconds * (400 if flight == 1 else 2000) / (1 if octets < 50_000 else 8)))
            batch = [make_message(octets, number + offset) for offset in range(count)]
            number += count
            for message in batch:
                INDEXES[message[:200]] = build_index(message)
            await deliver_all(store, account, batch[:16], flight)
            cpu, start = cpu_seconds(service.pid), time.perf_counter()
            await deliver_all(store, account, batch[16:], flight)
            took, used = time.perf_counter() - start, cpu_seconds(service.pid) - cpu
            done = count - 16
            print(f"{octets:8} {flight:9} {done / took:11.0f} {used / done * 1e6:12.0f}")


async def timed(name: str, run: Callable[[], Awaitable[object]], times: int = 7) -> None:
    """The median of several runs in ms."""
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        await run()
        spent.append(time.perf_counter() - start)
    print(f"{name:48} {statistics.median(spent) * 1e3:8.2f} ms")


async def measure_reading(store: StoreClient, grant: Grant, mailbox: MailboxId) -> None:
    page = await store.messages.changes(grant, mailbox, 0, 0, 10_000)
    uids = unpack_u32(page.uids).tolist()
    print(f"mailbox of {len(uids)} messages")

    async def index_all() -> None:
        left = uids
        while left:
            rows = await store.messages.fetch_index(grant, mailbox, pack_u32(left), 1 | 32)
            left = left[len(rows) :]

    async def read_all() -> None:
        left = uids[:2000]
        while left:
            pieces = await store.messages.read(grant, mailbox, tuple(ContentRange(uid) for uid in left))
            left = left[len(pieces) :]

    await timed("changes, all", lambda: store.messages.changes(grant, mailbox, 0, 0, 10_000))
    await timed("changes, none", lambda: store.messages.changes(grant, mailbox, page.highest_modseq, 0, 10_000))
    await timed("fetch_index, envelopes of all", index_all)
    await timed("read, bodies of 2,000", read_all)
    await timed("select", lambda: store.mailboxes.select(grant, "INBOX", False), 50)


async def main(data: Path, service: RunningService, seconds: float) -> None:
    async with open_client(data, Role.SMTP_IN) as smtp, open_client(data, Role.IMAP) as imap:
        await measure_deliveries(smtp, service, seconds)
        login = await imap.auth.login("alice@example.test", PASSWORD, "127.0.0.1")
        state = await imap.mailboxes.select(login.grant, "INBOX", True)
        await measure_reading(imap, login.grant, state.mailbox_id)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--data", type=Path, help="directory on the disk to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.data) as directory:
        data = Path(directory) / "data"
        with Stack(data, services=(), settings={"PILLARBOX_LOG__LEVEL": "warning"}) as stack:
            stack.add_account("alice@example.test")
            trio.run(main, data, stack["store"], options.seconds)
