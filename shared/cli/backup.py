"""`pillarbox backup [test] DIR`: a dated folder that holds everything, made beside the running store or of a stopped one.

It shares what it can with the backup before (hard links). Exit code 0: made and compared, 4: made, of a store that is damaged (nothing
older is removed then), 1: not made.
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from shared.cli.account import check_address
from shared.cli.environment import service_environment
from shared.cli.invocation import EXIT_DAMAGED, EXIT_OK, Invocation, WrongUse
from shared.cli.output import print_json, printable, size_text
from shared.cli.progress import Bar
from shared.cli.run import settings_for
from shared.cli.service_process import is_terminal, run_job
from shared.cli.store import speed
from shared.config.schema import BackupSettings

MODULE: Final = "services.store.backup"
TEST: Final = "test"
PERIODS: Final = ("daily", "weekly", "monthly")


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """The command's words."""
    summary = "back up everything into a folder"
    parser = nouns.add_parser("backup", help=summary, description=summary.capitalize() + ", while mail goes on.")
    directory_help = "folder of the backups, outside of the data directory; with `test` before it: try to restore the newest one"
    parser.add_argument("words", metavar="[test] DIR", nargs="+", help=directory_help)
    parser.add_argument("--account", metavar="ADDRESS", help="with `test`: this account (default: one at random)")
    for period in PERIODS:
        parser.add_argument(
            f"--keep-{period}", type=int, metavar="N", help=f"{period} backups that stay (default: backup.keep_{period})"
        )
    parser.add_argument("--limit", metavar="SIZE", help="octets to read per second (20M; default: backup.octets_per_second)")
    parser.set_defaults(handler=backup)


def backup(invocation: Invocation) -> int:
    """Make one, or test the newest."""
    words: list[str] = invocation.options.words
    if len(words) == 1:
        if invocation.options.account is not None:
            raise WrongUse("--account goes with `backup test`: a backup holds all of them")
        return make_backup(invocation, words[0])
    if len(words) == 2 and words[0] == TEST:
        return test_backup(invocation, words[1])
    raise WrongUse("backup [test] DIR")


def test_backup(invocation: Invocation, directory: str) -> int:
    """Every file is compared, and an account restored on trial. Raises CommandFailed."""
    address = invocation.options.account
    words = ["test", *([f"--address={check_address(address)}"] if address else [])]
    tested = run_with_bar(invocation, [*words, str(invocation.data), os.path.abspath(directory)])
    if invocation.json:
        print_json(tested)
        return EXIT_OK
    print(f"{Path(directory) / tested['name']}: {tested['files']} files, {size_text(tested['octets'])}, are what was written")
    if tested["address"]:
        print(f"{tested['messages']} messages of {tested['address']} were restored on trial, every octet as it was")
    return EXIT_OK


def make_backup(invocation: Invocation, directory: str) -> int:
    """Prints what was made."""
    options = invocation.options
    settings = settings_for(service_environment(invocation, None)).backup
    words = ["make", *keep_words(options, settings), "--limit", str(speed(options.limit) or settings.octets_per_second)]
    if invocation.config is not None:
        words += ["--settings", str(invocation.config)]
    made = run_with_bar(invocation, [*words, str(invocation.data), os.path.abspath(directory)])
    if invocation.json:
        print_json(made)
    else:
        _show(Path(directory), made)
    return EXIT_DAMAGED if made["damages"] else EXIT_OK


def keep_words(options: argparse.Namespace, settings: BackupSettings) -> list[str]:
    """What stays, as the process wants it. Raises WrongUse."""
    words = []
    for period in PERIODS:
        asked = getattr(options, f"keep_{period}")
        if asked is not None and asked < 0:
            raise WrongUse(f"--keep-{period} {asked}: a number of backups")
        words += [f"--keep-{period}", str(getattr(settings, f"keep_{period}") if asked is None else asked)]
    return words


def run_with_bar(invocation: Invocation, words: list[str]) -> dict[str, Any]:
    """Run the process with a progress bar; its result. Raises CommandFailed."""
    bar = Bar(show=is_terminal(invocation))
    result: dict[str, Any] = {}

    def heard(line: Mapping[str, Any]) -> None:
        if "stage" in line:
            bar.show(line["stage"], line["done"], line["total"])
        else:
            result.update(line["result"])

    try:
        run_job(invocation, MODULE, words, heard)
    finally:
        bar.end()
    return result


def _show(directory: Path, made: Mapping[str, Any]) -> None:
    print(f"{directory / made['name']}: {made['files']} files, {size_text(made['octets'])}, {size_text(made['new_octets'])} of it new")
    if made["removed"]:
        print(f"removed: {', '.join(made['removed'])}")
    for damage in made["damages"]:
        print(f"DAMAGED: {printable(damage)} (pillarbox store verify names the messages)")
