"""Settings of single destinations."""

from pathlib import Path

import pytest

from shared.config.destinations import MAX_DESTINATIONS, DestinationSettings
from shared.config.load import SettingsError, load_settings


def load(tmp_path: Path, toml: str, **environ: str) -> tuple[DestinationSettings, ...]:
    file = tmp_path / "pillarbox.toml"
    file.write_text(toml)
    return load_settings(str(file), {"PILLARBOX_DATA": str(tmp_path), **environ}).smtp_out.destinations


def test_tables_of_destinations(tmp_path: Path) -> None:
    toml = """
[smtp_out]
rate_per_destination = 600

[smtp_out.destinations."Naver.com"]
connections = 2
per_minute = 60

[smtp_out.destinations."우체국.한국"]
per_minute = 0
"""
    assert load(tmp_path, toml) == (
        DestinationSettings("naver.com", 2, 60),
        DestinationSettings("xn--3e0b129b9he.xn--3e0b707e", None, 0),
    )
    assert load(tmp_path, "[smtp_out]\ndestinations = {}\n") == ()


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("destinations = []", "smtp_out.destinations: must be tables, like [smtp_out.destinations"),
        ("destinations.a = 1", "must be tables"),
        ("destinations.a.speed = 1", "smtp_out.destinations.a.speed: unknown; known: connections, per_minute"),
        ("destinations.a.connections = 0", "smtp_out.destinations.a.connections = 0: must be a whole number from 1 to 100"),
        ("destinations.a.connections = true", "must be a whole number"),
        ("destinations.a.per_minute = -1", "from 0 to 1000000"),
        ('destinations."\\u2490".per_minute = 1', "is no domain"),
        ("\n".join(f"destinations.a{number}.per_minute = 1" for number in range(MAX_DESTINATIONS + 1)), "at most 1000"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, toml: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, f"[smtp_out]\n{toml}\n")
    assert words in str(caught.value)


def test_a_variable_cannot_hold_tables(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must be tables"):
        load(tmp_path, "", PILLARBOX_SMTP_OUT__DESTINATIONS="a")
