"""Messages that were refused and are kept for some days: where, how many, and which of a mailbox's messages they are. Pure.

They lie in the mailbox REJECTS of their account, each with the keyword KEYWORD. That alone makes a message go again after its days: what
its owner filed there, or moved out of there, or keeps in a mailbox that was renamed, is the owner's.
"""

from collections.abc import Sequence
from typing import Final

import attrs

REJECTS: Final = "Rejects"
KEYWORD: Final = "$Rejected"


@attrs.frozen
class RejectLimits:
    """Of one account."""

    messages: int
    octets: int


def surplus(kept: Sequence[int], coming: int, limits: RejectLimits) -> int:
    """How many of the oldest have to go for one more; ``kept``: octets of each, oldest first. The newest is worth most."""
    left = sum(kept)
    for gone, octets in enumerate(kept):
        if len(kept) - gone < limits.messages and left + coming <= limits.octets:
            return gone
        left -= octets
    return len(kept)
