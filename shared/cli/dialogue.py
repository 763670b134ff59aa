"""How an SMTP dialogue is shown."""

from collections.abc import Iterable
from typing import Any

from shared.cli.output import printable
from shared.model.dialogue import unpack


def dialogue_lines(data: bytes) -> Iterable[str]:
    """Seconds, who, what: `>` what we said, `<` the other server, `*` what happened."""
    for line in unpack(data):
        yield f"{line.seconds:8.3f} {line.way.value} {printable(line.text)}"


def dialogue_as_json(data: bytes) -> list[dict[str, Any]]:
    """Stable fields."""
    return [{"seconds": line.seconds, "way": line.way.name.lower(), "text": line.text} for line in unpack(data)]
