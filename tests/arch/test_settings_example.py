"""The example of all settings is current, and is what it says: the defaults."""

from pathlib import Path

from shared.config.load import load_settings
from shared.testing.settings_example import EXAMPLE, make_example


def test_the_example_is_current() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == make_example(), "run: python -m shared.testing.settings_example"


def test_the_example_holds_the_defaults(tmp_path: Path) -> None:
    """With every key taken into use nothing changes, and every one is understood."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    # `#key = value` is a key, `# text` is documentation.
    used = [line[1:] if line.startswith("#") and not line.startswith("# ") else line for line in lines]
    file = tmp_path / "pillarbox.toml"
    file.write_text("\n".join(used), encoding="utf-8")
    assert len([line for line in used if " = " in line and not line.startswith("# ")]) > 50
    assert load_settings(str(file), {}) == load_settings(None, {})
