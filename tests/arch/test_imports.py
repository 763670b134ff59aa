"""Who may import whom, and whose `shared` this is."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

import shared
from shared.testing.rfc_table import ROOT

SERVICES = ("store", "smtp_in", "smtp_out", "imap", "pop3")
LEAN = {
    "smtp_in": ("sqlalchemy", "alembic", "cryptography", "hypothesis", "pytest"),
    "smtp_out": ("sqlalchemy", "alembic", "cryptography", "pytest"),
    "imap": ("sqlalchemy", "alembic", "cryptography", "dns", "pytest"),
    "pop3": ("sqlalchemy", "alembic", "cryptography", "dns", "pytest"),
    "store": ("dns", "pytest"),
}


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter with this tree first on its path."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, "-P", "-c", code], env=env, capture_output=True, text=True, timeout=50)


def test_the_import_contracts_hold() -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(config_filename='pyproject.toml', cache_dir=None))"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert " 0 broken" in result.stdout


def test_shared_is_ours() -> None:
    """Another distribution on the index installs a top-level package of this name."""
    assert Path(shared.__file__).resolve() == ROOT / "shared" / "__init__.py"
    owners = importlib.metadata.packages_distributions().get("shared", [])
    assert set(owners) <= {"pillarbox"}


def test_a_foreign_shared_in_the_current_folder_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "__init__.py").write_text("raise SystemExit('the wrong shared')")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", "shared.cli.main", "--help"]
    result = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert result.returncode == 0, result.stderr
    assert "COMMAND" in result.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_services_import_lean(service: str) -> None:
    """Memory follows imports: an edge never loads what only the store needs."""
    code = f"import sys, services.{service}.__main__; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    result = run_python(code)
    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.split())
    assert not loaded & set(LEAN[service])
