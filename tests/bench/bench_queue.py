"""A queue of a million entries: `python tests/bench/bench_queue.py [COUNT]`. What must not cost in proportion to it.

The entries are written into the database before the start: for few destinations or for very many, all to be tried again in an
hour, and a few that are due. Measured are the start of the store, leases, and what smtp_out holds in memory.
"""

import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from measure import memory_kib

from services.store.domain.turns import share_of
from shared.contract.registry import Role
from shared.contract.types import ContentSource, Delivery, LocalRecipient
from shared.mail.index import build_index
from shared.rpc.store_client import StoreClient
from shared.testing.stack import Stack

ROUNDS = 9
DUE = 50


def fill(database: Path, count: int, destinations: int) -> None:
    """`count` entries, of 10 recipients to a message; the last DUE messages' first entries are due."""
    now = time.time()
    connection = sqlite3.connect(database, isolation_level=None)
    tables = ("queue_message", "queue_entry")
    columns = {table: [row[1:] for row in connection.execute(f"PRAGMA table_info({table})")] for table in tables}

    def insert(table: str, **values: object) -> tuple[str, list[object]]:
        given = {name: values.get(name, "" if kind == "TEXT" else 0) for name, kind, *_ in columns[table]}
        names, places = ", ".join(given), ", ".join("?" * len(given))
        return f"INSERT INTO {table} ({names}) VALUES ({places})", list(given.values())

    connection.execute("BEGIN")
    content = connection.execute("SELECT id FROM content LIMIT 1").fetchone()[0]
    entry_id = 0
    for message_id in range(1, count // 10 + 1):
        expires = now + 5 * 86400.0
        connection.execute(
            *insert("queue_message", id=message_id, content_id=content, trace=f"t{message_id}", sender="a@bench.test", octets=1000,
                    queued_at=now, expires_at=expires, account_id=1 + message_id % 3, entries=10)
        )  # fmt: skip
        destination = f"d{message_id % destinations}.out.test"
        for _ in range(10):
            entry_id += 1
            due = now - 1 if message_id > count // 10 - DUE and entry_id % 10 == 1 else now + 3600.0
            connection.execute(
                *insert("queue_entry", id=entry_id, message_id=message_id, recipient=f"r{entry_id}@{destination}", destination=destination,
                        due_at=due, account_id=None, share=share_of(1 + message_id % 3, destination))
            )  # fmt: skip
    connection.execute("COMMIT")
    connection.close()


def add_content(stack: Stack) -> None:
    """One content, for all of them."""
    text = b"Subject: queue\r\n\r\nx\r\n"

    async def run(store: StoreClient) -> None:
        found = await store.directory.resolve("a@example.test")
        here = (LocalRecipient(found.accounts[0], "a@example.test"),)
        source = ContentSource(len(text), inline=text)
        await store.messages.deliver(Delivery("trace", "s@elsewhere.test", here, (), source, build_index(text)))

    stack.administer(run, Role.SMTP_IN)


def lease_times(stack: Stack) -> str:
    """Leases of 20, one after the other, and one that finds nothing."""

    async def run(store: StoreClient) -> str:
        times, got = [], 0
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            lease = await store.queue.lease("bench", 20, 600.0, ())
            times.append(1e3 * (time.perf_counter() - begun))
            got += len(lease.entries)
        return f"{statistics.median(times):.1f} ms (longest {max(times):.1f}), {got} of {DUE} due entries"

    return stack.administer(run, Role.SMTP_OUT)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    for destinations in (20, count // 10):
        with tempfile.TemporaryDirectory(prefix="pillarbox-queue-") as name:
            data = Path(name) / "data"
            with Stack(data, ()) as stack:
                stack.add_account("a@example.test")
                add_content(stack)
            fill(data / "store" / "pillarbox.db", count, destinations)
            print(f"{count} entries for {destinations} destinations", flush=True)
            for turn in ("first", "second"):
                begun = time.perf_counter()
                with Stack(data, ()) as stack:
                    print(f"  start of the store ({turn}): {time.perf_counter() - begun:.2f} s", flush=True)
                    if turn == "second":
                        print(f"  lease: {lease_times(stack)}", flush=True)
                        print(f"  store: {memory_kib([stack['store'].pid]) // 1024} MB", flush=True)
            with Stack(data, ("smtp_out",), {"PILLARBOX_SMTP_OUT__MX_PORT": "1"}) as stack:
                time.sleep(3)
                print(f"  smtp_out: {memory_kib([stack['smtp_out'].pid]) // 1024} MB", flush=True)


if __name__ == "__main__":
    main()
