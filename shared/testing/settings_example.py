"""`python -m shared.testing.settings_example`: write `deploy/examples/pillarbox.toml` from the settings' declarations.

Every key with its documentation, bounds and default, all commented out: what a person copies holds no surprise.
"""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import attrs

from shared.config.destinations import DestinationSettings
from shared.config.keys import DOC, MAXIMUM, MINIMUM
from shared.config.schema import SECTIONS

EXAMPLE: Final = Path(__file__).resolve().parents[2] / "deploy" / "examples" / "pillarbox.toml"
HEAD: Final = """\
# Pillarbox's settings, each with its default. Copy what you change to pillarbox.toml in the data directory (or name a
# file with --config). PILLARBOX_SECTION__KEY in the environment goes before the file; lists there are divided by commas.
# Domains, accounts and aliases are not here: `pillarbox domain`, `account`, `alias`.
# This file is made by python -m shared.testing.settings_example.
"""


def toml_value(value: Any) -> str:
    """As TOML writes it."""
    if isinstance(value, StrEnum):
        return json.dumps(value.value)
    if isinstance(value, tuple):
        return "[" + ", ".join(json.dumps(item) for item in value) + "]"
    return f"{value:_}" if type(value) is int and value >= 10_000 else json.dumps(value, ensure_ascii=False)


def bounds(metadata: Any) -> str:
    """` (1 to 64)`, where there are any."""
    low, high = metadata.get(MINIMUM), metadata.get(MAXIMUM)
    shown = [f"{int(bound):_}" if bound >= 10_000 else f"{bound:g}" for bound in (low, high) if bound is not None]
    return f"; {' to '.join(shown)}" if len(shown) == 2 else ""


def make_example() -> str:
    """The whole file."""
    lines = [HEAD]
    for name, section in SECTIONS.items():
        lines.append(f"[{name}]")
        for field in attrs.fields(section):
            lines.append(f"# {field.metadata[DOC]}{bounds(field.metadata)}")
            default = "{}" if field.type == tuple[DestinationSettings, ...] else toml_value(field.default)
            lines.append(f"#{field.name} = {default}")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Rewrite the example."""
    EXAMPLE.write_text(make_example(), encoding="utf-8")


if __name__ == "__main__":
    main()
