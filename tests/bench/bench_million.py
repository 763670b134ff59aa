"""A mailbox of a million messages: `python tests/bench/bench_million.py [COUNT]`. What must not cost in proportion to it.

The messages are copies of a few (all share their contents): what is measured are the columns, not the packs.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from measure import memory_kib
from messages import message

from shared.testing.imap_client import ImapClient
from shared.testing.stack import PASSWORD, Stack

ADDRESS, OTHER = "many@example.test", "other@example.test"
ROUNDS = 9


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def median(work: Callable[[], object], rounds: int = ROUNDS) -> str:
    times = sorted(timed(work) for _ in range(rounds))
    return f"{statistics.median(times):.2f} ms (longest {times[-1]:.1f})"


class Waiting:
    """Another account's session that says NOOP all the time: the longest it waited."""

    def __init__(self, client: ImapClient) -> None:
        self._client = client
        self._ended = threading.Event()
        self.longest = 0.0

    def __enter__(self) -> "Waiting":  # noqa: PYI034  a helper of this file
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self) -> None:
        while not self._ended.wait(0.002):
            self.longest = max(self.longest, timed(lambda: self._client.ok("NOOP")))

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def fill(client: ImapClient, count: int) -> None:
    """By copies of copies."""
    for number in range(10):
        client.append(b"INBOX", message(number, 4096))
    client.ok("SELECT INBOX")
    there = 10
    while there < count:
        client.ok(f"COPY 1:{min(there, count - there)} INBOX")
        there = min(count, 2 * there)
    client.ok("STORE 1:* +FLAGS.SILENT (\\Seen)")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="pillarbox-million-") as name, Stack(Path(name) / "data", ("imap",)) as stack:
        stack.add_account(ADDRESS)
        stack.add_account(OTHER)

        def connect(address: str = ADDRESS) -> ImapClient:
            return ImapClient(stack.port("imap")).login(address, PASSWORD)

        def resident() -> int:
            return memory_kib([stack["imap"].pid]) // 1024

        with connect() as client:
            print(f"fill with {count}: {timed(lambda: fill(client, count)) / 1e3:.1f} s", flush=True)
        stack["imap"].stop()
        stack["imap"].start()
        a, b, other = connect(), connect(), connect(OTHER)
        other.ok("SELECT INBOX")
        before = resident()
        with Waiting(other) as waiting:
            print(f"first SELECT: {timed(lambda: a.ok('SELECT INBOX')):.0f} ms; another session waited {waiting.longest:.1f} ms")
        print(f"memory of imap: {before} MB before, {resident()} MB with it (PSS)")
        print("SELECT by another session:", median(lambda: b.ok("SELECT INBOX")))
        print("FETCH of 10:", median(lambda: b.ok(f"FETCH {count // 2}:{count // 2 + 9} (UID FLAGS ENVELOPE)")))
        print("UID FETCH of the last 10:", median(lambda: b.ok(f"UID FETCH {count - 9}:* (UID FLAGS ENVELOPE)")))
        print("STORE of 1:", median(lambda: b.ok(f"STORE {count // 3} FLAGS (\\Seen)")))
        print("NOOP:", median(lambda: b.ok("NOOP")))
        print("STATUS:", median(lambda: other.ok("STATUS INBOX (MESSAGES UNSEEN UIDNEXT)")))
        print("APPEND of 1:", median(lambda: b.append(b"INBOX", message(1, 1024))))
        print("SEARCH UNSEEN:", median(lambda: b.ok("SEARCH UNSEEN")))
        a.ok("NOOP")
        tag = a.idle()
        told: list[float] = []
        for turn in range(ROUNDS):
            start = time.perf_counter()
            b.ok(f"STORE {count // 2 + turn} +FLAGS.SILENT (\\Flagged)")
            while b"FETCH" not in a.read_response():
                pass
            told.append(1e3 * (time.perf_counter() - start))
        print(f"a flag from one session to another in IDLE: {statistics.median(told):.2f} ms (longest {max(told):.1f})")
        told.clear()
        for turn in range(ROUNDS):
            b.ok(f"STORE {count // 4 + turn} +FLAGS.SILENT (\\Deleted)")
            start = time.perf_counter()
            b.ok("EXPUNGE")
            while b"EXPUNGE" not in a.read_response():
                pass
            told.append(1e3 * (time.perf_counter() - start))
        print(f"EXPUNGE of 1, told in IDLE: {statistics.median(told):.2f} ms (longest {max(told):.1f})")
        a.done(tag)
        with Waiting(other) as waiting:
            spent = timed(lambda: b.ok("STORE 1:100000 +FLAGS (\\Answered)"))
        print(f"STORE of 100,000: {spent:.0f} ms; another session waited {waiting.longest:.1f} ms")
        print(f"load average {os.getloadavg()[0]:.1f}")
        for session in (a, b, other):
            session.close()


if __name__ == "__main__":
    main()
