"""What no file of this repository may be or hold."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from shared.testing.rfc_table import ROOT

SOFT_LINES = 500
HARD_LINES = 600
TEXT = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".tsv", ".sh", ".mako", ".ini", ".env", ".dialog", ""}

# Written in pieces, so that this file does not hold them.
REGISTRIES = ("py" + "pi.org", "python" + "hosted.org", "deb." + "debian.org", "registry." + "npmjs", "docker" + ".io/")
MACHINE_PATHS = re.compile("/(?:wor" + "k|roo" + r"t|hom" + r"e/[a-z]+|far" + r"m|opt/py" + r"pi)(?:/|\b)")
LOCAL_TEMPORARY = re.compile(r"""["'(= ]/tm""" + "p/")


def tracked_files() -> list[Path]:
    """Files of the repository: git's own list, or the tree's where it was unpacked from an archive."""
    if (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
        return [ROOT / os.fsdecode(name) for name in listed.split(b"\0") if name and (ROOT / os.fsdecode(name)).is_file()]
    hidden = {".venv", "__pycache__", "data", ".mypy_cache", ".ruff_cache", ".hypothesis"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not hidden & set(path.relative_to(ROOT).parts)]


FILES = tracked_files()
TEXT_FILES = [path for path in FILES if path.suffix in TEXT]
PYTHON_FILES = [path for path in FILES if path.suffix == ".py"]


def lines_of(path: Path) -> list[str]:
    """Without line ends; corpora with 8-bit mail in them are read as Latin-1."""
    return path.read_bytes().decode("latin-1").splitlines()


def test_no_file_is_too_long() -> None:
    long = {str(path.relative_to(ROOT)): len(lines_of(path)) for path in PYTHON_FILES}
    assert not {name: count for name, count in long.items() if count > HARD_LINES}, "hard bound"
    code = {name: count for name, count in long.items() if not name.startswith("tests/")}
    assert not {name: count for name, count in code.items() if count > SOFT_LINES}


def found(pattern: re.Pattern[str] | None, words: tuple[str, ...] = ()) -> list[str]:
    """file:line of every hit."""
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in TEXT_FILES
        for number, line in enumerate(lines_of(path), 1)
        if (pattern is not None and pattern.search(line)) or any(word in line for word in words)
    ]


def test_no_package_registry_is_named() -> None:
    assert not found(None, REGISTRIES)


def test_no_path_of_somebodys_machine() -> None:
    assert not found(MACHINE_PATHS)


def test_no_literal_temporary_folder() -> None:
    assert not found(LOCAL_TEMPORARY)


def test_no_lock_files() -> None:
    locks = {"poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock", "pylock.toml"}
    assert not [path.name for path in FILES if path.name in locks]


def test_nothing_is_postponed() -> None:
    marks = re.compile(r"\b(TO" + "DO|FIX" + r"ME|XX" + r"X)\b")
    assert not [hit for hit in found(marks) if hit.split(":")[0].endswith(".py")]


def test_skips_and_ignores_give_a_reason() -> None:
    bare = re.compile(r"# type: ignore(\[[a-z-]+(, ?[a-z-]+)*\])?\s*$|# noqa(: [A-Z0-9, ]+)?\s*$|pytest\.mark\.skip\b(?!\(reason|if)")
    assert not [hit for hit in found(bare) if hit.startswith(("services/", "shared/"))]


def test_no_secret_is_committed() -> None:
    assert not found(re.compile("BEGIN (RSA |EC |ENCRYPTED |OPENSSH )?PRIV" + "ATE KEY"))


@pytest.mark.parametrize("name", ["pillarbox", ".ci/run"])
def test_commands_are_executable(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
