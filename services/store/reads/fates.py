"""What became of messages: the chain of buried rows is followed to a message, or to the row of a dead one."""

from collections.abc import Iterable
from typing import Final

import attrs

from services.store.sql.prepared import Cursor
from services.store.sql.statements import undo

Place = tuple[int, int]
"""Mailbox and UID."""
HOPS_MAX: Final = 10_000
"""Moves of one message that are followed."""


@attrs.frozen
class Fate:
    """What became of a message."""

    buried: Place
    """The newest row under which it is buried; of a message that never left its place, that place."""
    live: Place | None = None
    """Where it is now; None: it is dead."""
    flags: int = 0
    """Of what is alive."""


def follow(cursor: Cursor, starts: Iterable[Place]) -> dict[Place, Fate]:
    """Of messages that are or were at these places; those that nothing is known of are left out."""
    known: dict[Place, Fate] = {}
    last: dict[Place, Place] = {}
    at = {start: start for start in starts}
    for _ in range(HOPS_MAX):
        if not at:
            break
        at = _hop(cursor, at, last, known)
    for start, place in last.items():
        known.setdefault(start, Fate(place))
    return known


def _hop(
    cursor: Cursor, at: dict[Place, Place], last: dict[Place, Place], known: dict[Place, Fate]
) -> dict[Place, Place]:
    """Look at all places; where those that have moved on are to be looked for. ``last``: the newest buried row of each."""
    by_mailbox: dict[int, dict[int, list[Place]]] = {}
    for start, (mailbox_id, uid) in at.items():
        by_mailbox.setdefault(mailbox_id, {}).setdefault(uid, []).append(start)
    further: dict[Place, Place] = {}
    for mailbox_id, starts in by_mailbox.items():
        for uid, flags, _ in set(undo.LIVE_OF.all(cursor, list(starts), mailbox_id)):
            for start in starts.pop(uid):
                known[start] = Fate(last.get(start, (mailbox_id, uid)), (mailbox_id, uid), flags)
        for uid, next_mailbox, next_uid, *_ in set(undo.BURIED_OF.all(cursor, list(starts), mailbox_id)):
            for start in starts[uid]:
                last[start] = (mailbox_id, uid)
                if next_mailbox is not None:
                    further[start] = (next_mailbox, next_uid)
    return further
