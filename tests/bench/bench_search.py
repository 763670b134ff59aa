"""`PYTHONPATH=. python tests/bench/bench_search.py [--messages N]`: text search by the store's index, through a real imap and store.

Fills one mailbox with N messages of about 4 KB (70 % Latin, 30 % Korean in UTF-8 and EUC-KR; realistic structures, words at random),
waits for the indexer, and prints deliveries per second, indexing rate and CPU, bytes per message, and for each question its hits,
the first answer, the median of the next five, and the CPU of imap and store for one. No peer: the ratio to Dovecot is in `tests/bench/run`.
"""

import argparse
import base64
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).parent))

from bench_store import cpu_seconds
from messages import message

from shared.contract.registry import Role
from shared.contract.types import Delivery, LocalRecipient
from shared.mail.index import build_index
from shared.rpc.store_client import StoreClient
from shared.testing.imap_client import ImapClient
from shared.testing.stack import PASSWORD, Stack, open_client

ADDRESS = "user0@bench.test"
FLIGHT = 64
_seed = random.Random(2)
_SYLLABLES = [chr(code) for code in _seed.sample(range(0xAC00, 0xD7A4), 700) if chr(code) not in "거문고"]
_KOREAN = ["".join(_seed.choices(_SYLLABLES, k=_seed.randint(2, 4))) for _ in range(6000)]
_COMMON = "회의 자료 확인 부탁 감사 안녕하세요 내일 오늘 첨부 파일".split()  # noqa: SIM905  easier to read


def korean(number: int, octets: int) -> bytes:
    """A letter in Korean; one in 100 of them speaks of a `거문고`."""
    source = random.Random(number)
    charset, codec = ("utf-8", "utf-8") if number % 2 else ("euc-kr", "cp949")
    words: list[str] = ["거문고"] if number % 1000 == 500 + number // 1000 % 10 else []
    size = 0
    while size < octets * 2 // 3:
        words.append(source.choice(_COMMON) if source.random() < 0.2 else source.choice(_KOREAN))
        size += len(words[-1].encode(codec)) + 1
    subject = base64.b64encode(" ".join(words[:4]).encode(codec)).decode()
    body = base64.encodebytes(" ".join(words).encode(codec)).replace(b"\n", b"\r\n")
    head = (
        f"From: =?utf-8?B?{base64.b64encode('김철수'.encode()).decode()}?= <kim{number % 300}@mail{number % 40}.example.kr>\r\n"
        f"To: <{ADDRESS}>\r\nSubject: =?{charset}?B?{subject}?=\r\nMessage-ID: <{number}@example.kr>\r\n"
        f"Date: Mon, {1 + number % 28} Jun 2026 10:00:00 +0900\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + body


def make(number: int) -> bytes:
    """Message `number`."""
    if number % 10 >= 7:
        return korean(number, 4096)
    made = message(number, to=ADDRESS)
    if number % 100 == 6:
        at = made.index(b"\r\n\r\n", made.index(b"text/plain")) + 4
        made = made[:at] + b"a xylophone is here\r\n" + made[at:]
    return made


async def fill(store: StoreClient, account: int, count: int) -> None:
    """Deliver all messages, FLIGHT at a time."""
    numbers = iter(range(count))
    recipients = (LocalRecipient(account, ADDRESS),)

    async def run() -> None:
        for number in numbers:
            content = make(number)
            index = build_index(content)
            source = await store.put_content(content)
            await store.messages.deliver(Delivery("bench", "s@example.org", recipients, (), source, index))

    async with trio.open_nursery() as nursery:
        for _ in range(FLIGHT):
            nursery.start_soon(run)


QUESTIONS: tuple[tuple[str, str], ...] = (
    ("Latin word, 1 %", "TEXT xylophone"),
    ("fragment of it", "TEXT ylopho"),
    ("no such word", "TEXT qqxyzzyq"),
    ("e-mail address", "TEXT sender123@example23.test"),
    ("address, FROM", "FROM kim17@mail17.example.kr"),
    ("two syllables, 0.1 %", "TEXT 거문"),
    ("two syllables, common", "TEXT 회의"),
    ("one syllable", "TEXT 의"),
    ("three letters", "TEXT abc"),
    ("two letters", "TEXT te"),
    ("in every message", "TEXT example"),
    ("SUBJECT, common", "SUBJECT 회의"),
    ("BODY and NOT", "BODY xylophone NOT FROM sender1"),
)


def ask(client: ImapClient, question: str) -> int:
    """How many messages match."""
    words = [word.encode() for word in question.split(" ")]
    literal = [word if word.isascii() else b"{%d+}\r\n" % len(word) + word for word in words]
    return len(client.ok(b"SEARCH CHARSET UTF-8 " + b" ".join(literal)).numbers())


def measure(client: ImapClient, cpu: Callable[[], tuple[float, float]], repeat: int) -> None:
    """A line for each question."""
    print(f"{'question':24} {'hits':>7} {'first ms':>9} {'then ms':>8} {'cpu ms: imap':>13} {'store':>7}")
    for words, question in QUESTIONS:
        times = []
        before = cpu()
        for _ in range(1 + repeat):
            begun = time.perf_counter()
            hits = ask(client, question)
            times.append((time.perf_counter() - begun) * 1000)
        spent = [(after - was) * 1000 / (1 + repeat) for was, after in zip(before, cpu(), strict=True)]
        print(f"{words:24} {hits:7} {times[0]:9.1f} {statistics.median(times[1:]):8.1f} {spent[0]:13.1f} {spent[1]:7.1f}")


def children_cpu(pid: int) -> float:
    """User and system time of the processes that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / 100


def indexed(stack: Stack) -> tuple[int, int]:
    """When nothing waits any more: contents and octets."""

    async def wait(store: StoreClient) -> tuple[int, int]:
        while True:
            status = await store.admin.search_status()
            if not status.tail and not status.running and not status.rebuilding:
                return status.indexed, status.octets
            await trio.sleep(0.1)

    return stack.administer(wait, seconds=3600)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--no-rebuild", action="store_true", help="leave the rebuild out")
    parser.add_argument("--no-index", action="store_true", help="turn the index off, to see what it costs the deliveries")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    count = options.messages
    settings = {
        "PILLARBOX_STORE__SEARCH_WAIT_SECONDS": "5",
        "PILLARBOX_STORE__SEARCH_INDEX": "false" if options.no_index else "true",
    }
    with (
        tempfile.TemporaryDirectory() as directory,
        Stack(Path(directory) / "data", ("imap",), settings, "bench.test") as stack,
    ):
        stack.add_account(ADDRESS)
        pids = {name: service.popen.pid for name, service in stack.services.items() if service.popen is not None}
        store_pid, imap_pid = pids["store"], pids["imap"]

        async def deliver() -> None:
            async with open_client(stack.data_dir, Role.SMTP_IN) as store:
                (account,) = (await store.directory.resolve(ADDRESS)).accounts
                await fill(store, account, count)

        begun, cpu = time.perf_counter(), cpu_seconds(store_pid)
        trio.run(deliver)
        spent = time.perf_counter() - begun
        print(f"{count} deliveries: {count / spent:.0f}/s (made and taken apart by one client process),", end=" ")
        print(f"store {(cpu_seconds(store_pid) - cpu) / count * 1e6:.0f} us CPU each, the indexer running beside")
        print("at the end of them not indexed:", stack.administer(_tail))
        if not options.no_index:
            report_index(stack, count, rebuild=not options.no_rebuild)
        print("PSS before the searches:", *(f"{name} {pss(pid)} MB" for name, pid in pids.items()))
        with ImapClient(stack.port("imap")) as client:
            client.login(ADDRESS, PASSWORD)
            client.ok("SELECT INBOX")
            measure(client, lambda: (cpu_seconds(imap_pid), cpu_seconds(store_pid)), options.repeat)
        print("PSS after them:", *(f"{name} {pss(pid)} MB" for name, pid in pids.items()))


def pss(pid: int) -> int:
    """Megabytes."""
    found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) // 1024 if found else 0


def report_index(stack: Stack, count: int, *, rebuild: bool) -> None:
    """How fast it is made, and what it takes."""
    popen = stack["store"].popen
    assert popen is not None
    contents, octets = indexed(stack)
    if rebuild:
        begun, cpu = time.perf_counter(), children_cpu(popen.pid)

        async def ask_for_it(store: StoreClient) -> None:
            await store.admin.search_rebuild()

        stack.administer(ask_for_it)
        contents, octets = indexed(stack)
        spent = time.perf_counter() - begun
        print(f"rebuild: {contents / spent:.0f} messages/s,", end=" ")
        print(f"{(children_cpu(popen.pid) - cpu) / contents * 1e6:.0f} us CPU each, at the lowest priority")
    sizes = {
        kind: sum(path.stat().st_size for path in (stack.data_dir / "store" / "search").glob(f"*.{kind}"))
        for kind in ("grams", "text")
    }
    packs = sum(path.stat().st_size for path in (stack.data_dir / "store" / "packs").iterdir())
    print(
        f"index: {octets / contents:.0f} bytes per message (trigrams {sizes['grams'] / contents:.0f},"
        f" texts {sizes['text'] / contents:.0f}); packs {packs / count:.0f}"
    )


async def _tail(store: StoreClient) -> int:
    return (await store.admin.search_status()).tail


if __name__ == "__main__":
    main()
