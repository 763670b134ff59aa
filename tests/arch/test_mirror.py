"""Tests mirror the source: who looks for the tests of a package finds them under its name."""

from pathlib import Path

from shared.testing.process import ROOT

OTHER = {"arch", "bench", "deploy", "fuzz", "interop", "regressions", "soak", "upgrade", "vectors", "whole"}
"""Tests of the whole, of the tree, and material."""


def folders(place: Path) -> set[str]:
    """Names of the packages (or test folders) directly inside."""
    return {path.name for path in place.iterdir() if path.is_dir() and path.name != "__pycache__"}


def test_every_package_has_its_tests() -> None:
    services = {name for name in folders(ROOT / "services") if not any((ROOT / "tests" / name).rglob("test_*.py"))}
    shared = {
        name for name in folders(ROOT / "shared") if not any((ROOT / "tests" / "shared" / name).rglob("test_*.py"))
    }
    assert (services, shared) == (set(), set())


def test_every_test_folder_has_its_source() -> None:
    assert folders(ROOT / "tests") - OTHER - folders(ROOT / "services") == {"shared"}
    assert folders(ROOT / "tests" / "shared") <= folders(ROOT / "shared")


def test_test_folders_are_no_packages() -> None:
    """With importlib mode a package would make equal names of test files clash."""
    assert not list((ROOT / "tests").rglob("__init__.py"))
