"""When a client has run wild: it deleted more than a share of a mailbox within a minute. Pure.

What counts is expunged or moved to Trash by a client, from any mailbox but Trash and Junk, which are there to be emptied. All sessions of
an account count together: a program that runs wild may have several.
"""

from collections import OrderedDict, deque
from typing import Final

import attrs

WINDOW_SECONDS: Final = 60.0
MAILBOXES_MAX: Final = 10_000
"""Mailboxes that are watched; the one that was quiet the longest is forgotten first."""
STEP_SECONDS: Final = 1.0
"""What comes within one counts as one: 60 numbers for a mailbox."""
TRASH: Final = "\\Trash"
NOT_WATCHED: Final = frozenset({TRASH, "\\Junk"})
"""Special uses."""


@attrs.frozen
class Deleted:
    """What one command took out of a mailbox."""

    account_id: int
    mailbox_id: int
    mailbox: str
    messages: int
    left: int
    """In the mailbox afterwards."""


@attrs.frozen
class WildLimits:
    """From the settings."""

    percent: int = 50
    messages: int = 50


@attrs.frozen
class RanWild:
    """What a client did within the minute."""

    deleted: Deleted
    messages: int
    of: int
    """There were so many, at the most."""
    since: float
    """When the first of them went."""


@attrs.define
class Deletions:
    """Of the last minute, by mailbox."""

    limits: WildLimits
    _recent: OrderedDict[int, deque[tuple[float, int]]] = attrs.field(factory=OrderedDict, init=False)

    def note(self, deleted: Deleted, now: float) -> RanWild | None:
        """What has been deleted is counted; with it the client has run wild, or not (None)."""
        if not self.limits.percent:
            return None
        recent = self._recent.setdefault(deleted.mailbox_id, deque())
        self._recent.move_to_end(deleted.mailbox_id)
        if len(self._recent) > MAILBOXES_MAX:
            self._recent.popitem(last=False)
        # a clock that was put back begins anew
        while recent and not now - WINDOW_SECONDS < recent[0][0] <= now:
            recent.popleft()
        if recent and now - recent[-1][0] < STEP_SECONDS:
            at, count = recent.pop()
            recent.append((at, count + deleted.messages))
        else:
            recent.append((now, deleted.messages))
        gone = sum(count for _, count in recent)
        of = gone + deleted.left
        if gone < self.limits.messages or gone * 100 < of * self.limits.percent:
            return None
        return RanWild(deleted, gone, of, recent[0][0])
