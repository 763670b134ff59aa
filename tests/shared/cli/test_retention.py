"""`pillarbox retention` and `pillarbox space` as typed, against a real store; how answers read."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.cli import retention as module
from shared.cli.space import as_json, lines_for
from shared.contract.retention_types import RetentionRule
from shared.contract.space_types import SpaceStatus
from shared.testing.process import ROOT
from shared.testing.stack import Stack

ALICE = "alice@example.test"
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def pillarbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    with Stack(tmp_path_factory.mktemp("cli") / "data", services=()) as stack:
        stack.add_account(ALICE)
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "PILLARBOX_DATA": str(stack.data_dir), "TZ": "UTC"}

        def run(*words: str) -> "subprocess.CompletedProcess[str]":
            argv = [sys.executable, "-P", "-m", "shared.cli.main", *words]
            return subprocess.run(argv, capture_output=True, env=environ, timeout=40, check=False, text=True)

        yield run


def answer(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_rules_are_set_listed_and_removed(pillarbox: Command) -> None:
    assert pillarbox("retention", "list").stdout == "no rules: all mail is kept for ever\n"
    trash = {"account": None, "mailbox": "\\Trash", "days": 30, "messages": None, "downloaded_days": None, "for_ever": False}
    assert answer(pillarbox("retention", "set", "--mailbox", "\\trash", "--days", "30", "--json")) == trash
    kept = pillarbox("retention", "set", "--account", ALICE, "--mailbox", "Archive", "--keep-for-ever")
    assert kept.stdout.splitlines()[1].split() == [ALICE, "Archive", "for", "ever"]
    told = answer(pillarbox("retention", "list", "--json"))
    assert told["rules"][0] == trash
    assert (told["looked_at"], told["clock_held_until"], len(told["rules"])) == (None, None, 2)
    assert answer(pillarbox("retention", "run", "--dry-run", "--json")) == []
    assert pillarbox("retention", "run").stdout == "nothing is to go\n"
    removed = pillarbox("retention", "remove", "--account", ALICE, "--mailbox", "Archive")
    assert removed.stdout == f"retention of Archive of {ALICE} removed\n"
    again = pillarbox("retention", "remove", "--account", ALICE, "--mailbox", "Archive")
    assert (again.returncode, again.stderr) == (
        1, f"pillarbox: retention of Archive of {ALICE}: not found (there is no such rule)\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "say how long: --days N, --messages N, --downloaded-days N, or --keep-for-ever"),
        (("--days", "3", "--keep-for-ever"), 2, "say how long: --days N, --messages N, --downloaded-days N, or --keep-for-ever"),
        (("--days", "0"), 2, "--days: a number from 1 to 36500"),
        (("--messages", "-1"), 2, "--messages: a number from 1 to 1000000000"),
        (("--downloaded-days", "0"), 2, "--downloaded-days: a number from 1 to 36500"),
        (("--mailbox", "\\No", "--days", "3"), 1, "retention of \\No of all accounts: \\No is no special use"),
        (("--account", "x@example.test", "--days", "3"), 1, "retention of every mailbox of x@example.test: not found"),
    ],
)
def test_wrong_use(pillarbox: Command, words: tuple[str, ...], code: int, said: str) -> None:
    done = pillarbox("retention", "set", *words)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"pillarbox: {said}\n")


def test_how_long_in_words() -> None:
    rules = (
        RetentionRule("", "", 1), RetentionRule("", "", 30, 5), RetentionRule("", "", None, 9), RetentionRule("", ""),
        RetentionRule("", "", downloaded_days=1), RetentionRule("", "", None, 9, 14),
    )  # fmt: skip
    assert [module.words_for(rule) for rule in rules] == [
        "1 day", "30 days, the newest 5", "the newest 9", "for ever",
        "1 day after download by POP3", "the newest 9, 14 days after download by POP3",
    ]  # fmt: skip


def test_space(pillarbox: Command) -> None:
    for words in (("space", "status"), ("space", "compact")):
        told = answer(pillarbox(*words, "--json"))
        assert (told["live_octets"] + told["dead_octets"], told["retired"], told["at_work"]) == (told["octets"], 0, None)
    assert "in use, 0 B dead" in pillarbox("space", "status").stdout
    assert "in use, 0 B dead" in pillarbox("status").stdout
    assert answer(pillarbox("status", "--json"))["space"]["failure"] == ""


def test_space_in_words() -> None:
    assert lines_for(SpaceStatus(1, 5000, 0, 0, 0, 0, 0, 0, "")) == ["1 pack: 5.0 KB in use, 0 B dead"]
    busy = SpaceStatus(3, 9_000_000, 4_000_000, 2, 2, 1_000_000, 77, 3_000_000, "pack 1: damaged at 5: \x1b[2J")
    assert lines_for(busy) == [
        "3 packs: 5.0 MB in use, 4.0 MB dead",
        "pack 2 is being written anew",
        "1.0 MB in 2 old packs about to be given back",
        "3.0 MB given back since the store started",
        "last failure: pack 1: damaged at 5: \N{REPLACEMENT CHARACTER}[2J",
    ]
    assert (as_json(busy)["at_work"], as_json(busy)["live_octets"]) == (2, 5_000_000)
