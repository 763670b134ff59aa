"""`pillarbox account pop3` as typed, against a real store; how what is typed reads."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.cli.invocation import WrongUse
from shared.cli.pop3 import parse_days, parse_dele
from shared.model.pop3 import Dele
from shared.testing.process import ROOT
from shared.testing.stack import Stack

ALICE = "alice@example.test"
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def pop3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    settings = {"PILLARBOX_POP3__KEEP_DAYS": "90"}
    with Stack(tmp_path_factory.mktemp("cli") / "data", services=(), settings=settings) as stack:
        stack.add_account(ALICE)
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "PILLARBOX_DATA": str(stack.data_dir), "TZ": "UTC"}

        def run(*words: str) -> "subprocess.CompletedProcess[str]":
            argv = [sys.executable, "-P", "-m", "shared.cli.main", "account", "pop3", *words]
            return subprocess.run(argv, capture_output=True, env=environ, timeout=40, check=False, text=True)

        yield run


def told(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_shown_set_and_given_back(pop3: Command) -> None:
    state = {"address": ALICE, "dele": "delete", "dele_own": False, "keep_days": 90, "keep_days_own": False}
    assert told(pop3(ALICE, "--json")) == state
    hidden = {**state, "dele": "hide", "keep_days": 14, "keep_days_own": True}
    assert told(pop3(ALICE, "--keep-days", "14", "--json")) == hidden
    assert told(pop3(ALICE, "--dele", "hide", "--json")) == {**hidden, "dele_own": True}
    # days belong to what is hidden
    assert told(pop3(ALICE, "--dele", "trash", "--json")) == {**state, "dele": "trash", "dele_own": True}
    assert told(pop3(ALICE, "--dele", "default", "--keep-days", "default", "--json")) == state
    lines = pop3(ALICE, "--dele", "hide", "--keep-days", "0").stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["POP3", "IS", "SET", "BY"], ["dele", "hide", "account"], ["keep", "days", "for", "ever", "account"]
    ]  # fmt: skip


def test_what_cannot_be(pop3: Command) -> None:
    refused = pop3(ALICE, "--dele", "delete", "--keep-days", "7")
    assert refused.returncode == 1
    assert "only what is hidden is kept for some days" in refused.stderr
    assert pop3("nobody@example.test").returncode == 1
    for words in (("--dele", "burn"), ("--keep-days", "x"), ("--keep-days", "-1")):
        assert pop3(ALICE, *words).returncode == 2


@pytest.mark.parametrize("text", ["", "-1", "1.5", "36501", "999999", "٣"])
def test_no_days(text: str) -> None:
    with pytest.raises(WrongUse):
        parse_days(text, None)


def test_days_and_meanings() -> None:
    assert [parse_days(text, 7) for text in (None, "default", "0", "36500")] == [7, None, 0, 36_500]
    assert [parse_dele(text, Dele.HIDE) for text in (None, "default", "trash")] == [Dele.HIDE, None, Dele.TRASH]
