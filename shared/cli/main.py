"""The parser, and how a command ends.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 the store does not run, 4 what was verified is damaged. Everything but answers goes to
stderr, in one line.
`--data`, `--config` and `--json` may stand anywhere on the line, which is why every level of the parser knows them with
no default of its own.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from shared.cli import (
    account,
    alias,
    backup,
    bans,
    device,
    doctor,
    domain,
    exporting,
    importing,
    queue,
    quota,
    relay,
    restore,
    retention,
    run,
    search,
    space,
    status,
    store,
    test,
    trace,
    undo,
    up,
)
from shared.cli.invocation import EXIT_FAILED, EXIT_WRONG_USE, CommandFailed, Handler, make_invocation

NOUNS = (
    up, run, domain, account, device, alias, quota, retention, importing, exporting, queue, relay, trace, bans, search, space, store,
    backup, restore, undo, status, doctor, test,
)  # fmt: skip


class Parser(argparse.ArgumentParser):
    """argparse with wrong use in one line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "allow_abbrev": False})
        common = self.add_argument_group("everywhere")
        add = common.add_argument
        add("--data", metavar="DIR", default=argparse.SUPPRESS, help="data directory (PILLARBOX_DATA; default ./data)")
        add("--config", metavar="FILE", default=argparse.SUPPRESS, help="settings file (PILLARBOX_CONFIG)")
        add("--json", action="store_true", default=argparse.SUPPRESS, help="answer in JSON")

    def error(self, message: str) -> NoReturn:
        """One line, exit code 2."""
        self.exit(EXIT_WRONG_USE, f"{self.prog.split()[0]}: {message} (see {self.prog} --help)\n")


def build_parser() -> Parser:
    """All nouns with their verbs."""
    parser = Parser(prog="pillarbox", description="A mail server for a home or small office.")
    nouns = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for noun in NOUNS:
        noun.register(nouns)
    return parser


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run_command(words))


def run_command(words: Sequence[str]) -> int:
    """The exit code of one command line."""
    split = test.split_words(words)
    options = build_parser().parse_args(split.own)
    options.passed_on = split.passed_on
    handler: Handler = options.handler
    try:
        code = handler(make_invocation(options, os.environ))
        sys.stdout.flush()
        return code
    except CommandFailed as error:
        print(f"pillarbox: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return _interrupted()
    except BaseExceptionGroup as group:
        # Ctrl-C comes out of trio's nurseries in a group
        if group.split(KeyboardInterrupt)[1] is not None:
            raise
        return _interrupted()
    except BrokenPipeError:
        # The reader of our answer (`| head`) has gone; nothing is left to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def _interrupted() -> int:
    print("pillarbox: interrupted", file=sys.stderr)
    return EXIT_FAILED


if __name__ == "__main__":
    main()
