"""The queue as an administrator sees it, and what he says of it."""

from typing import Final

import attrs

from shared.contract.types import OutcomeKind
from shared.contract.wishes_types import NO_WISHES, Wishes
from shared.model.ids import EntryId


@attrs.frozen
class AttemptInfo:
    at: float
    kind: OutcomeKind
    code: int
    enhanced: str
    text: str
    remote: str
    tls: str
    seconds: float
    dialogue: bytes = b""
    """``shared.model.dialogue``; empty where none was kept."""


@attrs.frozen
class QueueItem:
    """A queue entry as the administrator sees it."""

    entry_id: EntryId
    trace: str
    sender: str
    recipient: str
    destination: str
    octets: int
    queued_at: float
    due_at: float
    expires_at: float
    attempts: int
    leased_by: str
    last_text: str
    route: str = ""
    """A relay's name or ``relay_types.DIRECT``, where an administrator rerouted it."""
    history: tuple[AttemptInfo, ...] = ()
    wishes: Wishes = NO_WISHES


@attrs.frozen
class QueueFilter:
    """Which entries of the queue are meant: those that all of it fits. Patterns know ``*`` and no case; empty: any."""

    sender: str = ""
    """``<>`` is the null sender."""
    recipient: str = ""
    destination: str = ""
    reason: str = ""
    """A part of the last answer."""
    older_seconds: float = 0.0
    held: bool = False
    """Only those that an administrator holds back."""
    trace: str = ""
    """The whole id of a message."""


@attrs.frozen
class Recalled:
    """What came of taking entries back."""

    taken: int
    under_way: tuple[QueueItem, ...]
    """Leased: they may be delivered already."""


HOLDER: Final = "(held)"
"""Who leases an entry that an administrator holds back."""

HERE: Final = "(here)"
"""Where an entry goes whose recipient is an account here: the store files it itself when its time has come."""
FILED: Final = "(filed)"
"""Of an entry that was filed here and whose sender wants to be told."""
NOBODY: Final = "(nobody)"
"""Of an entry whose account is gone."""
