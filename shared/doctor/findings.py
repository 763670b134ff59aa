"""What comes of a look: a level, what was seen, and what to do."""

from enum import StrEnum

import attrs


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"
    """Works, and could be better."""
    PROBLEM = "problem"
    UNKNOWN = "unknown"
    """Could not be found out now; nothing is said by it."""


@attrs.frozen
class Finding:
    """One look at one thing."""

    subject: str
    """What was looked at: a domain, an address, the certificate."""
    level: Level
    seen: str
    advice: str = ""
    """What to do; empty only where there is nothing to do."""
