"""Postfix + Dovecot and Pillarbox side by side on this machine: `./tests/bench/run`.

Both stay up; every case runs on both in turn, in several rounds, and who is first rotates: the same run of the same
server drifts by up to 1.8 times within an hour on a shared machine, the ratio within a round does not. Printed are the
medians of the rounds, and the median of the rounds' ratios (above 1: Pillarbox is faster, or needs less CPU).

A delivery counts when the message is visible in its mailbox. CPU is that of all processes of a server.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from drive import Commands, Imap, build_driver, build_slow_disk, corpus, fill, load
from measure import Meter, median, memory_kib
from servers import DOMAIN, Pillarbox, PostfixDovecot

HERE = Path(__file__).resolve().parent
DELIVERY_USERS = 48
"""user0..47 take deliveries; the later ones hold the mailboxes for reading."""
METADATA = "FETCH 1:* (FLAGS UID RFC822.SIZE INTERNALDATE ENVELOPE BODYSTRUCTURE)"
VISIBLE_SECONDS = 300.0

Server = PostfixDovecot | Pillarbox
Figures = dict[str, list[tuple[float, float]]]
"""Case -> per round (units per second, CPU ms per unit)."""


class Bench:
    """One run over both servers."""

    def __init__(self, driver: Path, servers: Sequence[Server], rounds: int) -> None:
        self.driver = driver
        self.servers = list(servers)
        self.rounds = rounds
        self.figures: dict[str, Figures] = {server.name: {} for server in servers}
        self.details: dict[str, dict[str, float]] = {}

    def case(self, name: str, once: Callable[[Server, int], tuple[float, float]]) -> None:
        """Run `once(server, round)` -> (units per second, CPU ms per unit) on all servers, in turn, in every round."""
        for number in range(self.rounds):
            shift = number % len(self.servers)
            for server in self.servers[shift:] + self.servers[:shift]:
                rate, cost = once(server, number)
                self.figures[server.name].setdefault(name, []).append((rate, cost))
                say(f"{name} | {server.name} | round {number + 1}: {rate:.0f}/s, {cost:.3f} CPU ms each")

    # -- cases

    def deliver(self, connections: int, size: int, count: int) -> None:
        """Durable deliveries over `connections` at once, until all are visible."""
        counters = {
            server.name: [Imap(server.imap, f"user{user}@{DOMAIN}") for user in range(DELIVERY_USERS)]
            for server in self.servers
        }

        def once(server: Server, number: int) -> tuple[float, float]:
            clients = counters[server.name]
            if number == 0:
                self._deliver(server, clients, connections, size, min(count, 100))
            want = _wanted(clients, count)
            with Meter(server.roots) as meter:
                self._deliver(server, clients, connections, size, count, want)
            polling = sum(meter.cpu.get(reader, 0.0) for reader in server.readers)
            self._note(f"deliver {connections}x{size}", server, meter, count)
            return count / meter.wall, 1e3 * (meter.total - polling) / count

        self.case(f"deliver, {connections} connections, {size // 1024} KB", once)
        for clients in counters.values():
            for client in clients:
                client.close()

    def _deliver(
        self,
        server: Server,
        clients: Sequence[Imap],
        connections: int,
        size: int,
        count: int,
        want: Sequence[int] | None = None,
    ) -> None:
        want = want or _wanted(clients, count)
        host, port = server.smtp
        sizes = ("-c", connections, "-n", count, "-l", size, "-u", DELIVERY_USERS)
        answer = load(self.driver, "smtp", "-H", host, "-P", port, *sizes)
        if answer["failed"]:
            raise SystemExit(f"{server.name} refused {answer['failed']} of {count} messages")
        deadline = time.monotonic() + VISIBLE_SECONDS
        waiting = list(range(DELIVERY_USERS))
        while waiting:
            if clients[waiting[-1]].count() >= want[waiting[-1]]:
                waiting.pop()
            elif time.monotonic() > deadline:
                raise SystemExit(f"{server.name}: messages of {len(waiting)} users did not become visible")
            else:
                time.sleep(0.01)

    def fetch(self, count: int) -> None:
        """IMAP: metadata of `count` messages at first sight and again, and all bodies."""
        messages = corpus(count, 4096)
        first_user = 50
        for number in range(self.rounds):
            for server in self.servers:
                seconds = fill(server.imap, f"user{first_user + number}@{DOMAIN}", messages)
                say(f"fill {count} | {server.name}: {count / seconds:.0f}/s")

        def fetching(what: str, *, fresh: bool) -> Callable[[Server, int], tuple[float, float]]:
            def once(server: Server, number: int) -> tuple[float, float]:
                commands = Commands(self.driver, server.imap, f"user{first_user + number}@{DOMAIN}")
                commands.run("SELECT INBOX")
                if not fresh:
                    commands.run(what)
                with Meter(server.roots) as meter:
                    answer = commands.run(what)
                commands.close()
                if answer["untagged"] < count:
                    raise SystemExit(f"{server.name}: {answer['untagged']} of {count} FETCH responses")
                self._note(what[:30] + (" first" if fresh else " warm"), server, meter, count)
                return count / answer["wall"], 1e3 * meter.total / count

            return once

        self.case(f"FETCH metadata of {count}, first", fetching(METADATA, fresh=True))
        self.case(f"FETCH metadata of {count}, warm", fetching(METADATA, fresh=False))
        self.case(f"FETCH bodies of {count}, first", fetching("FETCH 1:* BODY.PEEK[]", fresh=True))
        self.case(f"FETCH bodies of {count}, warm", fetching("FETCH 1:* BODY.PEEK[]", fresh=False))

    def retrieve(self, count: int) -> None:
        """POP3: RETR of `count` messages, one after the other and pipelined."""
        messages = corpus(count, 4096)
        user = 48
        for server in self.servers:
            fill(server.imap, f"user{user}@{DOMAIN}", messages)
        for window in (1, 32):

            def once(server: Server, number: int, window: int = window) -> tuple[float, float]:
                sizes = ("-c", 1, "-n", 1, "-b", user, "-u", 1, "-W", window)
                load(self.driver, "pop3", "-P", server.pop3, *sizes)  # processes are up, the password is known
                with Meter(server.roots) as meter:
                    answer = load(self.driver, "pop3", "-P", server.pop3, *sizes)
                if answer["messages_in"] != count or answer["failed"]:
                    raise SystemExit(f"{server.name}: {answer['messages_in']} of {count} messages by POP3")
                self._note(f"RETR window {window}", server, meter, count)
                return count / answer["wall"], 1e3 * meter.total / count

            self.case(f"POP3 RETR of {count}, {window} in flight", once)

    # -- report

    def _note(self, case: str, server: Server, meter: Meter, units: int) -> None:
        """Keep where the CPU went in the last round, for --json."""
        spent = {name: round(1e3 * value / units, 4) for name, value in meter.cpu.items() if value}
        self.details[f"{case} | {server.name}"] = spent

    def table(self) -> str:
        """The report in Markdown."""
        peer, ours = self.servers[0].name, self.servers[1].name
        lines = [
            f"| case | {peer}/s | {ours}/s | speed ratio | {peer} CPU ms | {ours} CPU ms | CPU ratio |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        for case, theirs in self.figures[peer].items():
            mine = self.figures[ours][case]
            speed = median(b[0] / a[0] for a, b in zip(theirs, mine, strict=True))
            cost = median(a[1] / b[1] for a, b in zip(theirs, mine, strict=True) if b[1] > 0)
            cells = [median(a[0] for a in theirs), median(b[0] for b in mine)]
            costs = [median(a[1] for a in theirs), median(b[1] for b in mine)]
            lines.append(
                f"| {case} | {cells[0]:.0f} | {cells[1]:.0f} | **{speed:.2f}** "
                f"| {costs[0]:.3f} | {costs[1]:.3f} | **{cost:.2f}** |"
            )
        return "\n".join(lines)


def _wanted(clients: Sequence[Imap], count: int) -> list[int]:
    """How many messages every delivery user has once `count` more are visible."""
    share = [count // DELIVERY_USERS + (user < count % DELIVERY_USERS) for user in range(DELIVERY_USERS)]
    return [client.count() + share[user] for user, client in enumerate(clients)]


def say(text: str) -> None:
    """One line of progress, at once."""
    print(text, flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="all cases, more messages, 5 rounds (about 15 minutes)")
    parser.add_argument("--smoke", action="store_true", help="a few messages each: whether the benchmark itself works")
    parser.add_argument("--rounds", type=int, help="rounds per case (2; with --full 5)")
    parser.add_argument("--only", default="deliver,fetch,retrieve", help="deliver, fetch, retrieve (by commas)")
    parser.add_argument("--slow-disk", type=float, metavar="MS", help="every flush to disk takes that long")
    parser.add_argument("--profile", type=Path, metavar="DIR", help="run our services under cProfile, one file each")
    parser.add_argument("--write", action="store_true", help="append the report to tests/bench/RESULTS.md")
    parser.add_argument("--json", action="store_true", help="print CPU per process of the last round as JSON, too")
    return parser.parse_args()


def main() -> int:
    """Run it."""
    options = arguments()
    compiler = shutil.which("cc")
    if compiler is None or os.geteuid() != 0:
        print("the benchmark needs a C compiler (cc), and root for Postfix and Dovecot", file=sys.stderr)
        return 2
    rounds = options.rounds or (5 if options.full else 1 if options.smoke else 2)
    parts = options.only.split(",")
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="pillarbox-bench-") as scratch:
        preload = {}
        Path(scratch).chmod(0o755)
        if options.slow_disk:
            library = build_slow_disk(Path(scratch), compiler)
            preload = {"LD_PRELOAD": str(library), "SLOWSYNC_MS": str(options.slow_disk)}
        driver = build_driver(Path(scratch), compiler)
        with PostfixDovecot(preload) as peer, Pillarbox(preload, options.profile) as ours:
            memory = {server.name: memory_kib(server.roots.values()) // 1024 for server in (peer, ours)}
            bench = Bench(driver, (peer, ours), rounds)
            if options.smoke:
                smoke(bench)
            else:
                run(bench, parts, full=options.full)
            after = {server.name: memory_kib(server.roots.values()) // 1024 for server in (peer, ours)}
    report = "\n".join(
        [
            f"## {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC",
            f"`tests/bench/run {' '.join(sys.argv[1:])}`: {rounds} rounds, {os.cpu_count()} cores, "
            f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, "
            f"load by others {load_before:.1f}"
            + (f", every flush to disk {options.slow_disk:g} ms" if options.slow_disk else ""),
            "",
            bench.table(),
            "",
            "Memory (PSS): " + "; ".join(f"{name} {memory[name]} MB fresh, {after[name]} MB after" for name in memory),
        ]
    )
    print("\n" + report)
    if options.json:
        print(json.dumps(bench.details, indent=1))
    if options.write:
        with (HERE / "RESULTS.md").open("a") as file:
            file.write("\n" + report + "\n")
    return 0


def run(bench: Bench, parts: Sequence[str], *, full: bool) -> None:
    """The cases."""
    if "deliver" in parts:
        for size, factor in ((4096, 1.0), (102400, 0.25)):
            for connections, count in ((1, 400), (16, 2000), (64, 2000)):
                if full or size == 4096 or connections == 16:
                    bench.deliver(connections, size, int(count * factor * (2 if full else 1)))
    if "fetch" in parts:
        bench.fetch(10_000)
    if "retrieve" in parts:
        bench.retrieve(1000)


def smoke(bench: Bench) -> None:
    """Every kind of case once, small."""
    bench.deliver(4, 4096, 60)
    bench.fetch(100)
    bench.retrieve(40)


if __name__ == "__main__":
    sys.exit(main())
