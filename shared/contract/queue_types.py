"""What an administrator says of the queue."""

from typing import Final

import attrs


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


HOLDER: Final = "(held)"
"""Who leases an entry that an administrator holds back."""
