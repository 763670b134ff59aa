"""The command line without a store: words, exit codes, and one clear line for each mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.cli import main as main_module
from shared.cli import output
from shared.cli.main import run_command
from shared.testing.process import ROOT


def wrong_use(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a command line that must end with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        sys.exit(run_command(words))
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("pillarbox: ")
    return err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "COMMAND"),
        (["frobnicate"], "frobnicate"),
        (["domain"], "add|list|catch-all|dns|dkim-rotate|dkim-activate|tls-reports|remove"),
        (["domain", "add"], "NAME"),
        (["domain", "add", "a.test", "b.test"], "b.test"),
        (["domain", "list", "--frob"], "--frob"),
        (["account", "add"], "ADDRESS"),
        (["account", "add", "alice", "--password-stdin"], "alice is not an address"),
        (["account", "remove", "@example.test"], "is not an address"),
        (["alias", "add", "info@example.test"], "TARGET"),
        (["alias", "add", "info@example.test", "nobody"], "nobody is not an address"),
        (["queue", "show", "seven"], "seven is not an entry's number"),
        (["queue", "show", "0"], "0 is not an entry's number"),
        (["queue", "remove"], "name entries, or give --all, or say which ones"),
        (["queue", "remove", "7", "--all"], "name entries, or give --all, or say which ones"),
        (["queue", "retry", "7", "--all"], "name entries, or give --all, or say which ones"),
        (["queue", "hold", "--to", "a*", "--all"], "name entries, or give --all, or say which ones"),
        (["queue", "list", "--older", "2"], "2 is no age"),
        (["queue", "list", "--older", "9999999d"], "9999999d is no age"),
        (["queue", "list", "--by", "colour"], "invalid choice"),
        (["run", "web"], "web"),
        (["up", "--port-offset", "many"], "many"),
        (["up", "--port-offset", "70000"], "from 0 to 64000"),
        (["--data"], "--data"),
        (["status", "--config", "/nowhere/pillarbox.toml"], "/nowhere/pillarbox.toml does not exist"),
    ],
)
def test_wrong_use_is_one_clear_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in wrong_use(words, capsys)


def test_no_terminal_and_no_password_stdin_is_wrong_use(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert "use --password-stdin" in wrong_use(["account", "add", "alice@example.test"], capsys)


@pytest.mark.parametrize("noun", ["up", "run", "domain", "account", "alias", "quota", "queue", "status"])
def test_everything_has_help(noun: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_command([noun, "--help"])
    assert ended.value.code == 0
    assert "--data DIR" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--data", "{}", "status"],
        ["status", "--data", "{}"],
        ["status", "--data={}", "--json"],
        ["--json", "queue", "--data", "{}", "list"],
        ["domain", "add", "--data", "{}", "example.test"],
        ["domain", "add", "example.test", "--data", "{}"],
    ],
)
def test_data_may_stand_anywhere(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = tmp_path / "nothing here"
    assert run_command([word.format(there) for word in words]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"pillarbox: there is no data directory {there}: name it with --data, or start with: pillarbox up\n"


def test_data_comes_from_the_environment_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PILLARBOX_DATA", str(tmp_path / "theirs"))
    assert run_command(["status"]) == 3
    assert str(tmp_path / "theirs") in capsys.readouterr().err
    assert run_command(["status", "--data", str(tmp_path / "mine")]) == 3
    assert str(tmp_path / "mine") in capsys.readouterr().err
    monkeypatch.delenv("PILLARBOX_DATA")
    monkeypatch.chdir(tmp_path)
    assert run_command(["status"]) == 3
    assert str(tmp_path / "data") in capsys.readouterr().err


def test_a_stopped_store_is_told_from_a_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "keys" / "admin").mkdir(parents=True)
    (tmp_path / "keys" / "admin" / "key").write_bytes(bytes(32))
    assert run_command(["status", "--data", str(tmp_path)]) == 3
    assert capsys.readouterr().err == f"pillarbox: the store does not run in {tmp_path} (start it with: pillarbox up)\n"


def test_a_wrong_setting_stops_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "pillarbox.toml"
    config.write_text("[imap]\nworker = 2\n")
    assert run_command(["up", "--data", str(tmp_path / "data"), "--config", str(config)]) == 1
    err = capsys.readouterr().err
    assert str(config) in err
    assert "worker" in err
    assert "did you mean workers?" in err
    assert not (tmp_path / "data").exists()


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    mode = tmp_path.stat().st_mode
    assert run_command(["up", "--data", str(tmp_path)]) == 1
    assert "holds other things" in capsys.readouterr().err
    assert tmp_path.stat().st_mode == mode


@pytest.mark.parametrize("rows", [1, 9999])
def test_a_reader_that_stopped_reading_is_no_traceback(rows: int) -> None:
    code = f"""
import argparse
from shared.cli import main, output
def answer(invocation):
    output.print_json([{{"n": "x" * 99}}] * {rows})
    return 0
class Parser:
    def parse_args(self, words):
        return argparse.Namespace(handler=answer)
main.build_parser = Parser
main.main(["status"])
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}  # as in a shell: output waits in a buffer
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, env=env, timeout=30)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), BaseExceptionGroup("nursery", [KeyboardInterrupt()])])
def test_ctrl_c_is_one_line(
    raised: BaseException, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise raised

    monkeypatch.setattr(main_module, "make_invocation", fail)
    assert main_module.run_command(["status"]) == 1
    assert capsys.readouterr().err == "pillarbox: interrupted\n"


def test_other_groups_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise BaseExceptionGroup("nursery", [KeyboardInterrupt(), ValueError()])

    monkeypatch.setattr(main_module, "make_invocation", fail)
    with pytest.raises(BaseExceptionGroup):
        main_module.run_command(["status"])


def test_tables_keep_columns_with_wide_characters(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("NAME", "N"), [("보관함", 1), ("Sent", 200)])
    assert capsys.readouterr().out == "NAME      N\n보관함    1\nSent    200\n"


def test_tables_hold_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("ANSWER",), [("250 ok\x1b[31m\r\nFAKE",)])
    assert "\x1b" not in capsys.readouterr().out


def test_no_rows_no_header(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("NAME",), [])
    assert capsys.readouterr().out == ""


def test_json_is_one_document_with_sorted_keys(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"b": "é", "a": 1})
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": 1, "b": "é"}
    assert text == '{\n  "a": 1,\n  "b": "é"\n}\n'


@pytest.mark.parametrize(
    ("octets", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (123_456, "123 KB"), (7_400_000, "7.4 MB"), (10**16, "10000 TB")],
)
def test_sizes(octets: int, text: str) -> None:
    assert output.size_text(octets) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (45.9, "45 s"), (720, "12 min"), (3 * 3600, "3 h"), (200_000, "2 d")]
)
def test_ages(seconds: float, text: str) -> None:
    assert output.age_text(seconds) == text
