"""The launcher in the repository's root: from a fresh copy of the tree, from anywhere, twice at once, after changes."""

import ast
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from shared.testing.process import ROOT

LAUNCHER = ROOT / "pillarbox"
MAKING = "making its environment"
INSTALLING = "installing its packages"


@pytest.fixture
def launcher() -> ModuleType:
    """The launcher as a module."""
    loader = importlib.machinery.SourceFileLoader("pillarbox_launcher", str(LAUNCHER))
    spec = importlib.util.spec_from_loader("pillarbox_launcher", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["test", "-k", "up"], "test"),
        (["--data", "test", "status"], "status"),
        (["--data=test", "test"], "test"),
        (["--json", "queue", "list"], "queue"),
        (["--help"], ""),
        ([], ""),
    ],
)
def test_finds_the_command(launcher: ModuleType, words: list[str], command: str) -> None:
    assert launcher.command_of(words) == command


def test_only_the_tests_need_the_development_tools(launcher: ModuleType) -> None:
    few, stamp_few = launcher.wanted(["up"])
    all_of_them, stamp_all = launcher.wanted(["test"])
    assert not [name for name in few if name.startswith("pytest")]
    assert [name for name in all_of_them if name.startswith("pytest")]
    assert set(stamp_few) < set(stamp_all)


def test_can_be_read_by_an_old_python() -> None:
    ast.parse(LAUNCHER.read_text(encoding="utf-8"), feature_version=(3, 5))


def test_says_what_it_needs_on_an_old_python(
    launcher: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launcher, "OLDEST", (3, 99))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        launcher.main()
    assert ended.value.code == 1
    assert "needs Python 3.11 or newer" in capsys.readouterr().err


def test_every_pin_is_exact_and_complete() -> None:
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pins = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}
    assert len(pins) == len(lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for word in project["dependencies"] + project["optional-dependencies"]["dev"]:
        requirement = Requirement(word)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), word


def fresh_copy(target: Path) -> Path:
    """The tree as a clone would have it."""
    ignore = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "data")
    shutil.copytree(ROOT, target, ignore=ignore, symlinks=True)
    return target / "pillarbox"


def environment(**more: str) -> dict[str, str]:
    """A shell's, without anything of this test run."""
    foreign = ("PYTHON", "PILLARBOX_", "VIRTUAL_ENV")
    return {**{k: v for k, v in os.environ.items() if not k.startswith(foreign)}, **more}


def start(command: Path, *words: str, cwd: Path, **more: str) -> "subprocess.Popen[str]":
    """Run a launcher."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [str(command), *words], cwd=cwd, env=environment(**more), stdout=pipe, stderr=pipe, stdin=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """(exit code, stdout, stderr)"""
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


@pytest.mark.timeout(300)
def test_from_a_fresh_copy_to_the_first_answer(launcher: ModuleType, tmp_path: Path) -> None:
    command = fresh_copy(tmp_path / "a clone")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "shared").mkdir(parents=True)
    (elsewhere / "shared" / "__init__.py").write_text("raise SystemExit('the wrong shared')")
    link = tmp_path / "bin" / "pillarbox"
    link.parent.mkdir()
    link.symlink_to(command)

    # What an upgraded system left: the stamp is right, the Python is gone.
    venv = command.parent / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(tmp_path / "gone")
    (venv / "pillarbox-stamp").write_text("\n".join(launcher.wanted(["status"])[1]) + "\n")

    # Two at once: both answer, one of them made the environment.
    log = tmp_path / "pip.log"
    both = [start(link, "status", "--data", "nowhere", cwd=elsewhere, PIP_LOG=str(log)) for _ in range(2)]
    ended = [finish(process) for process in both]
    for code, out, err in ended:
        assert (code, out) == (3, "")
        assert err.endswith(f"there is no data directory {elsewhere / 'nowhere'}: name it with --data, or start with: pillarbox up\n")
    assert log.read_text().count("Successfully installed") == 1
    assert "already satisfied: trio" not in log.read_text()
    stamp = (venv / "pillarbox-stamp").read_text()
    assert stamp.startswith("base ")

    # Again: quiet, and with a hostile environment.
    code, _, err = finish(start(link, "--json", "status", cwd=elsewhere, PYTHONSAFEPATH="1", PYTHONPATH=str(elsewhere)))
    assert code == 3
    assert err.count("\n") == 1
    code, _, err = finish(start(link, "status", cwd=elsewhere, PYTHONHOME="", PYTHONNOUSERSITE="1"))
    assert (code, err.count("\n")) == (3, 1)

    # An interrupted installation left no stamp; a changed pin made the stamp wrong. Both are put right, once.
    (venv / "pillarbox-stamp").unlink()
    assert finish(start(link, "status", cwd=elsewhere))[0] == 3
    assert (venv / "pillarbox-stamp").read_text() == stamp
    with (command.parent / "constraints.txt").open("a") as file:
        file.write("# changed\n")
    assert finish(start(link, "status", cwd=elsewhere))[0] == 3
    changed = (venv / "pillarbox-stamp").read_text()
    assert changed.startswith("base ")
    assert changed != stamp

    # A pin that nobody can install: one message, exit code 1, and no stamp that would hide it the next time.
    with (command.parent / "constraints.txt").open("a") as file:
        file.write("trio==0.0.1\n")
    for _ in range(2):
        code, _, err = finish(start(link, "status", cwd=elsewhere, PIP_NO_INDEX="1"))
        assert code == 1
        assert f"pillarbox: {INSTALLING}" in err
        assert "failed" in err
        assert not (venv / "pillarbox-stamp").exists()
