"""Settings of single destinations: a table of tables, `[smtp_out.destinations."example.org"]`."""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from shared.config.keys import DOC, MAXIMUM, MINIMUM, key

MAX_DESTINATIONS: Final = 1000


@attrs.frozen
class DestinationSettings:
    """What differs there from other destinations; None: nothing."""

    domain: str
    """Lower case, A-labels."""
    connections: int | None = key(None, "connections at once", minimum=1, maximum=100)
    per_minute: int | None = key(None, "messages a minute; 0: no limit", minimum=0, maximum=1_000_000)


KEYS: Final = {field.name: field for field in attrs.fields(DestinationSettings) if field.name != "domain"}


def read_destinations(value: Any) -> tuple[DestinationSettings, ...]:
    """From TOML's table. Raises ValueError with what is wrong, as it goes on behind the key's name."""
    if not isinstance(value, Mapping) or not all(isinstance(one, Mapping) for one in value.values()):
        raise ValueError(': must be tables, like [smtp_out.destinations."example.org"]')
    if len(value) > MAX_DESTINATIONS:
        raise ValueError(f": at most {MAX_DESTINATIONS}")
    return tuple(DestinationSettings(_domain(name), **_numbers(name, table)) for name, table in value.items())


def _domain(name: str) -> str:
    if name.isascii():
        return name.lower()
    from shared.mail.mailbox_name import domain_to_a_labels  # loads idna, which most processes never need

    try:
        return domain_to_a_labels(name)
    except ValueError:
        raise ValueError(f".{name}: is no domain") from None


def _numbers(name: str, table: Mapping[str, Any]) -> dict[str, int]:
    for word, number in table.items():
        if word not in KEYS:
            raise ValueError(f".{name}.{word}: unknown; known: {', '.join(sorted(KEYS))}")
        low, high = KEYS[word].metadata[MINIMUM], KEYS[word].metadata[MAXIMUM]
        if type(number) is not int or not low <= number <= high:
            raise ValueError(f".{name}.{word} = {number!r}: must be a whole number from {low} to {high} ({KEYS[word].metadata[DOC]})")
    return dict(table)
