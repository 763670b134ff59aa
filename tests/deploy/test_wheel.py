"""The built wheel holds everything that the source tree has, and works without it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from shared.testing.process import ROOT, Process

pytestmark = pytest.mark.timeout(180)


def test_the_wheel_is_complete_and_runs(tmp_path: Path) -> None:
    source, built, installed = tmp_path / "source", tmp_path / "built", tmp_path / "installed"
    # A copy: setuptools leaves its traces beside the source.
    names = ("pyproject.toml", "README.md", "services", "shared", "deploy")
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            source.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-I", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(built), str(source)]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr[-3000:]
    (wheel,) = built.glob("pillarbox-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
        held = set(archive.namelist())
        (entry_points,) = [archive.read(name).decode() for name in held if name.endswith("entry_points.txt")]
    code = {
        str(path.relative_to(source))
        for package in ("services", "shared")
        for path in (source / package).rglob("*")
        if path.is_file() and path.suffix != ".md"
    }
    assert not code - held
    assert "pillarbox = shared.cli.main:main" in entry_points
    assert {name.split("/")[0] for name in held if ".dist-info" not in name} <= {"services", "shared", "deploy"}

    data = tmp_path / "data"
    environment = {**os.environ, "PYTHONPATH": str(installed), "PILLARBOX_DATA": str(data), "PILLARBOX_OBSERVE__STORE_PORT": "0"}
    command = [sys.executable, "-P", "-m", "shared.cli.main"]
    with Process("store", [*command, "run", "store"], environment) as store:
        store.wait_for_log("ready")
        added = subprocess.run([*command, "domain", "add", "example.test"], env=environment, capture_output=True, timeout=40)
        assert (added.returncode, added.stdout) == (0, b"domain example.test added\n"), added.stderr
