"""CPU per message of `shared.mail.index.build_index`, in microseconds, with what the standard library's parser takes as the peer.

    PYTHONPATH=. python tests/bench/bench_index.py [--profile]

The budget: a plain message of 4 KB well under 300 us, of 100 KB at most 2 ms.
"""

import argparse
import cProfile
import email
import pstats
import time
from collections.abc import Callable

from shared.mail.index import build_index
from shared.testing.corpus import multipart_message, plain_message

ROUND_SECONDS = 0.7
CASES = {
    "plain 1 KB": plain_message(1024),
    "plain 4 KB": plain_message(4096),
    "plain 100 KB": plain_message(100 * 1024),
    "multipart 30 KB": multipart_message(30 * 1024),
    "multipart 2 MB": multipart_message(2 * 1024 * 1024),
}


def microseconds(call: Callable[[bytes], object], message: bytes) -> float:
    """Best of five rounds, CPU time."""
    call(message)
    best = float("inf")
    for _ in range(5):
        count = 0
        start = now = time.process_time()
        while now - start < ROUND_SECONDS / 5:
            for _ in range(20):
                call(message)
            count += 20
            now = time.process_time()
        best = min(best, (now - start) / count)
    return best * 1e6


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--profile", action="store_true", help="show where the time goes for the plain 4 KB message")
    if arguments.parse_args().profile:
        with cProfile.Profile() as profile:
            for _ in range(3000):
                build_index(CASES["plain 4 KB"])
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    print(f"{'message':18}{'octets':>10}{'index us':>10}{'email us':>10}{'ratio':>8}")
    for name, message in CASES.items():
        ours = microseconds(build_index, message)
        peer = microseconds(email.message_from_bytes, message) if len(message) < 200_000 else float("nan")
        print(f"{name:18}{len(message):10}{ours:10.0f}{peer:10.0f}{peer / ours:8.1f}")


if __name__ == "__main__":
    main()
