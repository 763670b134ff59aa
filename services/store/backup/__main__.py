"""The process behind `pillarbox backup` and `pillarbox restore`: ``python -m services.store.backup make|restore|account|test ...``.

The command line starts it and holds its standard input; it ends with it. Lines of JSON: ``{"stage", "done", "total"}`` as it goes, and
one with the result at the end. Exit status: 0 done, 1 failed (the reason on standard error, in one line).
"""

import argparse
import os
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import attrs

from services.store.background import begin, report
from services.store.backup.account import Wanted, restore_account
from services.store.backup.keep import Keep
from services.store.backup.make import Job, make_backup
from services.store.backup.manifest import BackupError, choose
from services.store.backup.restore import restore

TELL_SECONDS: Final = 0.1
"""Between two lines of progress."""


class Progress:
    """Stages as they begin and end, and what lies between now and then."""

    def __init__(self, tell: Callable[[Mapping[str, object]], None] = report) -> None:
        self._tell = tell
        self._told_at = 0.0
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage or done >= total or now - self._told_at >= TELL_SECONDS:
            self._stage, self._told_at = stage, now
            self._tell({"stage": stage, "done": done, "total": total})


def _make(options: argparse.Namespace) -> dict[str, Any]:
    keep = Keep(options.keep_daily, options.keep_weekly, options.keep_monthly)
    job = Job(options.data, options.directory, options.settings, keep, options.limit)
    return attrs.asdict(make_backup(job, datetime.now(UTC), Progress()))


def _restore(options: argparse.Namespace) -> dict[str, Any]:
    folder = choose(options.directory, options.at)
    return attrs.asdict(restore(folder, options.data, datetime.now(UTC), Progress(), force=options.force))


def _account(options: argparse.Namespace) -> dict[str, Any]:
    wanted = Wanted(options.address, options.mailbox, options.uid)
    return restore_account(choose(options.directory, options.at), options.data, wanted, Progress())


def _test(options: argparse.Namespace) -> dict[str, Any]:
    # a scratch store takes SQLAlchemy, which the other jobs do without
    from services.store.backup.rehearse import rehearse

    folder = choose(options.directory, options.at)
    return attrs.asdict(rehearse(folder, Progress(), random.Random(), options.address))


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The words of the command line."""
    parser = argparse.ArgumentParser()
    jobs = parser.add_subparsers(required=True)
    make = jobs.add_parser("make")
    make.add_argument("--settings", type=Path)
    for period in ("daily", "weekly", "monthly"):
        make.add_argument(f"--keep-{period}", type=int, required=True)
    make.add_argument("--limit", type=int, default=0)
    make.set_defaults(run=_make)
    back = jobs.add_parser("restore")
    back.add_argument("--force", action="store_true")
    back.set_defaults(run=_restore)
    account = jobs.add_parser("account")
    account.add_argument("--address", required=True)
    account.add_argument("--mailbox", default="")
    account.add_argument("--uid", type=int, default=0)
    account.set_defaults(run=_account)
    test = jobs.add_parser("test")
    test.add_argument("--address", default="")
    test.set_defaults(run=_test)
    for job in (back, account, test):
        job.add_argument("--at")
    for job in (make, back, account, test):
        job.add_argument("data", type=Path)
        job.add_argument("directory", type=Path)
    return parser.parse_args(words)


def main() -> int:
    """The exit status."""
    options = parse()
    begin()
    try:
        result = options.run(options)
    except (BackupError, sqlite3.Error) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"{where}{os.strerror(error.errno) if error.errno else error}\n")
        return 1
    report({"result": result})
    return 0


if __name__ == "__main__":
    sys.exit(main())
