"""`pillarbox restore DIR`: everything of a backup into an empty data directory, digests compared on the way.

With `--account` only what one account lacks, into the running store: see `services.store.backup.account`.
"""

import argparse
import os
from typing import Any

from shared.cli.account import check_address
from shared.cli.backup import run_with_bar
from shared.cli.invocation import EXIT_DAMAGED, EXIT_OK, Invocation, WrongUse
from shared.cli.output import print_json, printable, size_text
from shared.cli.store_access import check_running


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The command's words."""
    summary = "bring back what was backed up"
    parser = nouns.add_parser("restore", help=summary, description=summary.capitalize() + ".")
    parser.add_argument("directory", metavar="DIR", help="folder of the backups, or one backup")
    parser.add_argument("--at", metavar="WHEN", help="the newest backup of 2026-11-28, 2026-11 or 2026-11-28T11:08 (UTC) or before")
    parser.add_argument("--force", action="store_true", help="also where data is: it is put aside")
    parser.add_argument("--account", metavar="ADDRESS", help="only what this account lacks, into the running store")
    parser.add_argument("--mailbox", metavar="NAME", help="with --account: of this mailbox")
    parser.add_argument("--uid", type=int, metavar="N", help="with --mailbox: this message, by its UID in the backup")
    parser.set_defaults(handler=restore)


def restore(invocation: Invocation) -> int:
    """Prints what was restored. Raises CommandFailed."""
    options = invocation.options
    if options.account is not None:
        return restore_account(invocation)
    if options.mailbox is not None or options.uid is not None:
        raise WrongUse("--mailbox and --uid go with --account")
    words = ["restore", *([f"--at={options.at}"] if options.at else []), *(["--force"] if options.force else [])]
    restored = run_with_bar(invocation, [*words, str(invocation.data), os.path.abspath(options.directory)])
    if invocation.json:
        print_json(restored)
        return EXIT_OK
    print(f"restored the backup of {restored['name']}: {restored['files']} files, {size_text(restored['octets'])}")
    if restored["queued"]:
        print(
            f"{restored['queued']} messages were in its queue and will be sent now; "
            "some may have been sent since (pillarbox queue list)"
        )
    for path in restored["aside"]:
        print(f"put aside: {printable(path)}")
    return EXIT_OK


def restore_account(invocation: Invocation) -> int:
    """What an account lacks. Exit code 4 where the backup cannot give all of it."""
    options = invocation.options
    address = check_address(options.account)
    if options.force:
        raise WrongUse("--force is for a whole data directory")
    if options.uid is not None and (options.mailbox is None or options.uid < 1):
        raise WrongUse("--uid goes with --mailbox, and is a UID of it")
    check_running(invocation.data)
    words = ["account", f"--address={address}", *([f"--at={options.at}"] if options.at else [])]
    words += [f"--mailbox={options.mailbox}"] if options.mailbox else []
    words += ["--uid", str(options.uid)] if options.uid else []
    restored = run_with_bar(invocation, [*words, str(invocation.data), os.path.abspath(options.directory)])
    if invocation.json:
        print_json(restored)
    else:
        print(
            f"{restored['restored']} messages of {address} came back from the backup of {restored['name']}, "
            f"{restored['there']} were there"
        )
        for line in restored["damaged"]:
            print(f"not in the backup any more: {printable(line)}")
    return EXIT_DAMAGED if restored["damaged"] else EXIT_OK
