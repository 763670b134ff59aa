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
from collections.abc import Sequence
from pathlib import Path

import cases_imap
import cases_mail
import cases_outbound
from bench import Bench
from drive import build_driver, build_slow_disk
from measure import memory_kib
from outside import Outside
from servers import Pillarbox, PostfixDovecot

HERE = Path(__file__).resolve().parent
PARTS = ("deliver", "outbound", "retrieve", *cases_imap.PARTS)
GROUPS = {"imap": cases_imap.PARTS, "bodies": ("body4k", "body100k"), "all": PARTS}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="all cases, more messages, 5 rounds (about 15 minutes)")
    parser.add_argument("--smoke", action="store_true", help="a few messages each: whether the benchmark itself works")
    parser.add_argument("--rounds", type=int, help="rounds per case (2; with --full 5)")
    parser.add_argument(
        "--only", default="deliver,fetch,body4k,retrieve", help=f"by commas: {', '.join((*PARTS, *GROUPS))}"
    )
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
    parts = [part for name in options.only.split(",") for part in GROUPS.get(name, (name,))]
    if unknown := set(parts) - set(PARTS):
        print(f"no such part: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="pillarbox-bench-") as scratch:
        preload = {}
        Path(scratch).chmod(0o755)
        if options.slow_disk:
            library = build_slow_disk(Path(scratch), compiler)
            preload = {"LD_PRELOAD": str(library), "SLOWSYNC_MS": str(options.slow_disk)}
        driver = build_driver(Path(scratch), compiler)
        with (
            Outside() as outside,
            PostfixDovecot(preload, outside) as peer,
            Pillarbox(preload, outside, options.profile) as ours,
        ):
            memory = {server.name: memory_kib(server.roots.values()) // 1024 for server in (peer, ours)}
            bench = Bench(driver, (peer, ours), rounds)
            if options.smoke:
                smoke(bench, outside)
            else:
                run(bench, outside, parts, full=options.full)
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
            *(f"- {remark}" for remark in bench.remarks),
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


def run(bench: Bench, outside: Outside, parts: Sequence[str], *, full: bool) -> None:
    """The cases."""
    if "deliver" in parts:
        for size, factor in ((4096, 1.0), (102400, 0.25)):
            for connections, count in ((1, 400), (16, 2000), (64, 2000)):
                if full or size == 4096 or connections == 16:
                    cases_mail.deliver(bench, connections, size, int(count * factor * (2 if full else 1)))
    if "outbound" in parts:
        cases_outbound.outbound(bench, outside, 16, 2000)
        cases_outbound.dead(bench, outside, 2000)
    if "retrieve" in parts:
        cases_mail.retrieve(bench, 1000)
        cases_mail.pop3_login(bench, 1, 500)
        cases_mail.pop3_login(bench, 16, 2000)
        cases_mail.pop3_delete(bench, 10_000)
    cases_imap.run(bench, parts, count=10_000, large=1000, small=2000)


def smoke(bench: Bench, outside: Outside) -> None:
    """Every kind of case once, small."""
    cases_mail.deliver(bench, 4, 4096, 60)
    cases_outbound.outbound(bench, outside, 4, 60)
    cases_outbound.dead(bench, outside, 400)
    cases_mail.retrieve(bench, 40)
    cases_mail.pop3_login(bench, 4, 40)
    cases_mail.pop3_delete(bench, 40)
    cases_imap.run(bench, cases_imap.PARTS, count=100, large=10, small=40)


if __name__ == "__main__":
    sys.exit(main())
