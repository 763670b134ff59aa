"""What travels about a verification of the store."""

from enum import StrEnum
from typing import Final

import attrs

MOST_DAMAGES: Final = 500
"""Damages that are named; beyond them they are only counted."""


class DamageKind(StrEnum):
    MESSAGE = "message"
    """A message (or one in the queue) whose octets cannot be read as they came in."""
    PACK = "pack"
    """A stretch of a pack that holds no sound record, or a whole pack; messages that lie there are named one by one, too."""
    DATABASE = "database"
    """The database file itself, or rows that contradict each other."""
    COUNTER = "counter"
    """A number that is kept and is not the one that is counted; no mail is lost by it."""


@attrs.frozen
class Damage:
    """One thing that is wrong, in the owner's words as far as they are known."""

    kind: DamageKind
    what: str
    account: str = ""
    mailbox: str = ""
    uid: int = 0
    subject: str = ""
    date: int = 0
    """When the message came in, in seconds since 1970; 0: not known."""


@attrs.frozen
class VerifyStatus:
    """The verification under way, and the last that was finished."""

    running: bool
    stage: str
    """packs, contents, database; empty when none runs."""
    done_octets: int
    total_octets: int
    """Of the packs, as they were when it began."""
    runs: int
    """Ended since the store started, one way or the other."""
    finished_at: float
    """Of the last one that was finished; 0: none was."""
    records: int
    """That it read."""
    messages: int
    """That it compared with them."""
    damages: int
    """All, also those that are not named."""
    named: tuple[Damage, ...]
    """At most MOST_DAMAGES."""
    failure: str
    """Why the last one could not be finished; empty when it was."""
