"""Submission until the message has left for another server, and what dead destinations cost the living ones."""

import time

from bench import Bench, Server
from drive import load
from measure import Meter, median
from outside import DEAD, DOMAINS, Outside
from servers import Pillarbox

SUBMITTER = 63
"""user63 submits."""


def outbound(bench: Bench, outside: Outside, connections: int, count: int) -> None:
    """`count` messages of 4 KB for one domain, submitted over `connections`, until all are at the other server."""

    def once(server: Server, number: int) -> tuple[float, float]:
        if number == 0:
            _submit(bench, server, outside, connections, 50, 1)
        with Meter(server.roots) as meter:
            seconds = _submit(bench, server, outside, connections, count, 1)
        bench.note(f"outbound {connections}x4096", server, meter, count)
        return count / seconds, 1e3 * meter.total / count

    bench.case(f"outbound, {connections} connections, 4 KB", once)


def dead(bench: Bench, outside: Outside, count: int) -> None:
    """Pillarbox alone: the same for many domains, with and without those that never answer."""
    ours = next(server for server in bench.servers if isinstance(server, Pillarbox))
    rates: dict[int, list[float]] = {}
    for _ in range(bench.rounds):
        for domains in (DOMAINS - DEAD, DOMAINS):
            living = sum(number % domains < DOMAINS - DEAD for number in range(count))
            seconds = _submit(bench, ours, outside, 16, count, domains, living)
            rates.setdefault(domains, []).append(living / seconds)
    alone, with_dead = (median(rates[domains]) for domains in (DOMAINS - DEAD, DOMAINS))
    bench.remark(
        f"outbound for {DOMAINS - DEAD} living domains: {alone:.0f}/s; with {DEAD} more that accept connections and never "
        f"say a word: {with_dead:.0f}/s to the living ({with_dead / alone:.2f})"
    )


def _submit(
    bench: Bench, server: Server, outside: Outside, connections: int, count: int, domains: int, living: int | None = None
) -> float:
    """Seconds from the first connection to the arrival of the last message for a living domain."""
    host, port = server.submission
    before = outside.arrived
    begun = time.perf_counter()
    sizes = ("-c", connections, "-n", count, "-l", 4096, "-b", SUBMITTER, "-d", domains)
    login = ("-A",) if isinstance(server, Pillarbox) else ()
    answer = load(bench.driver, "smtp", "-H", host, "-P", port, *sizes, *login)
    if answer["failed"]:
        raise SystemExit(f"{server.name} refused {answer['failed']} of {count} messages")
    return outside.wait_for(before + (count if living is None else living)) - begun
