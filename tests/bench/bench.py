"""One run over both servers: every case on both in turn, in several rounds; medians and the median of the ratios."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from drive import corpus, fill
from measure import Meter, median
from servers import DOMAIN, Pillarbox, PostfixDovecot

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
        self.remarks: list[str] = []
        self._filled: set[tuple[str, int]] = set()

    def case(self, name: str, once: Callable[[Server, int], tuple[float, float]]) -> None:
        """Run `once(server, round)` -> (units per second, CPU ms per unit) on all servers, in turn, in every round."""
        for number in range(self.rounds):
            shift = number % len(self.servers)
            for server in self.servers[shift:] + self.servers[:shift]:
                rate, cost = once(server, number)
                self.figures[server.name].setdefault(name, []).append((rate, cost))
                say(f"{name} | {server.name} | round {number + 1}: {rate:.0f}/s, {cost:.4f} CPU ms each")

    def fill(self, user: int, count: int, octets: int) -> None:
        """Have `count` messages of about `octets` in the INBOX of a user, on all servers; only the first time."""
        for server in self.servers:
            if (server.name, user) not in self._filled:
                self._filled.add((server.name, user))
                seconds = fill(server.imap, f"user{user}@{DOMAIN}", corpus(count, octets))
                say(f"fill user{user} with {count} of {octets} | {server.name}: {count / seconds:.0f}/s")
                begun = time.monotonic()
                server.settle()
                say(f"settled | {server.name}: after {time.monotonic() - begun:.1f} s more")

    def note(self, case: str, server: Server, meter: Meter, units: int) -> None:
        """Keep where the CPU went in the last round, for --json."""
        spent = {name: round(1e3 * value / units, 4) for name, value in meter.cpu.items() if value}
        self.details[f"{case} | {server.name}"] = spent

    def remark(self, text: str) -> None:
        """A line below the table."""
        say(text)
        self.remarks.append(text)

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
                f"| {costs[0]:.4f} | {costs[1]:.4f} | **{cost:.2f}** |"
            )
        return "\n".join(lines)


def say(text: str) -> None:
    """One line of progress, at once."""
    print(text, flush=True)
