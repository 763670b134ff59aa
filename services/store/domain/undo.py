"""How an account was at a time, told by what has happened since. Pure.

    then <---- events since, newest first ---- now
    message    a message is one UID of one mailbox, from the day it came there (saved_date) to the moment it went (buried.gone_at)
    moved      the buried row names where it went on: rows make a chain that ends at a message, or at the row of a dead one
    flags      what the first change since found there
    name       renames are taken back, newest first

Laws:
- Nothing is looked up by content or name of a message: only the chains tell what became of it.
- What came after the time stays; only what an undo has brought back since, of what was dead then, goes again.
- A plan that was done leaves nothing for the next one to do, wherever it was stopped.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from services.store.domain.names import SEPARATOR
from services.store.domain.runs import decode_uids
from shared.model.packed import unpack_u32

DAY_SECONDS: Final = 86400.0
SHARE: Final = 10
"""Of the time that the history reaches back, a part like this goes each time when there is too much of it."""


_ENTERS: Final = frozenset({"moved", "brought back"})


@attrs.frozen
class Event:
    """One row of the journal."""

    at: float
    what: str
    mailbox_id: int
    uids: bytes
    detail: Sequence[Any]


@attrs.frozen
class GoneMailbox:
    """Deleted after the time."""

    mailbox_id: int
    account_id: int
    name: str
    special_use: str
    gone_at: float


@attrs.frozen
class Brought:
    """An undo brought these messages back, each in the place of a dead one."""

    mailbox_id: int
    uids: Sequence[int]
    dead: Sequence[tuple[int, int]]
    """Mailbox and UID under which each was buried."""


@attrs.define
class Then:
    """What the events since say about the time."""

    names: dict[int, str]
    """Of all mailboxes that there were or are."""
    made: set[int] = attrs.field(factory=set)
    """Mailboxes that were not there then."""
    brought: list[Brought] = attrs.field(factory=list)
    _entered: dict[int, list[bytes]] = attrs.field(factory=dict)
    _flags: dict[int, list[tuple[int, bytes]]] = attrs.field(factory=dict)

    def note(self, event: Event) -> None:
        """Of messages; events come in order, oldest first."""
        if event.what == "flags":
            self._flags.setdefault(event.mailbox_id, []).extend(event.detail[2])
            return
        if event.what not in _ENTERS:
            return
        self._entered.setdefault(event.mailbox_id, []).append(event.uids)
        if event.what == "brought back":
            dead = [(mailbox_id, uid) for mailbox_id, uids in event.detail[0] for uid in unpack_u32(uids)]
            self.brought.append(Brought(event.mailbox_id, decode_uids(event.uids), dead))

    def entered(self, mailbox_id: int) -> set[int]:
        """UIDs of what came from another mailbox, or back, since then: dates have no parts of seconds."""
        return {uid for uids in self._entered.get(mailbox_id, ()) for uid in decode_uids(uids)}

    def flags_in(self, mailbox_id: int) -> dict[int, int]:
        """By UID, of those whose flags were changed since."""
        flags: dict[int, int] = {}
        for before, uids in self._flags.get(mailbox_id, ()):
            for uid in decode_uids(uids):
                flags.setdefault(uid, before)
        return flags


def look_back(events: Sequence[Event], names: Mapping[int, str], gone: Iterable[GoneMailbox]) -> Then:
    """``events``: all since the time, oldest first; ``names``: of the mailboxes that are there now."""
    then = Then(dict(names))
    waiting = sorted(gone, key=lambda mailbox: mailbox.gone_at)
    for event in reversed(events):
        while waiting and waiting[-1].gone_at >= event.at:
            mailbox = waiting.pop()
            then.names[mailbox.mailbox_id] = mailbox.name
        if event.what == "mailbox renamed":
            old, new = event.detail
            _rename(then.names, new, old)
        elif event.what == "mailbox created":
            then.made.add(event.mailbox_id)
    then.names.update((mailbox.mailbox_id, mailbox.name) for mailbox in waiting)
    for event in events:
        then.note(event)
    return then


def _rename(names: dict[int, str], old: str, new: str) -> None:
    """With all below it."""
    for mailbox_id, name in names.items():
        if name == old or name.startswith(old + SEPARATOR):
            names[mailbox_id] = new + name[len(old) :]


def renames(then: Then, now: Mapping[int, str]) -> dict[int, tuple[str, str]]:
    """Old name and new name by mailbox, in the order in which they are to be renamed: a parent takes along what is below it.

    What was made since stays where it is, or goes along.
    """
    current, names = dict(now), then.names
    found: dict[int, tuple[str, str]] = {}
    for mailbox_id in sorted(now.keys() - then.made, key=lambda each: (names[each].count(SEPARATOR), names[each])):
        if current[mailbox_id] != names[mailbox_id]:
            found[mailbox_id] = (current[mailbox_id], names[mailbox_id])
            _rename(current, current[mailbox_id], names[mailbox_id])
    return found


@attrs.frozen
class HistoryLimits:
    """From the settings."""

    days: float = 14.0
    rows: int = 1_000_000
    free_octets: int = 0

    def cut(self, now: float, since: float, rows: int, free_octets: int) -> float:
        """Up to when the history is to be forgotten. When it is too long, or the disk is nearly full: a tenth of it each time."""
        cut = now - self.days * DAY_SECONDS
        if rows > self.rows or free_octets < self.free_octets:
            cut = max(cut, since + (now - since) / SHARE)
        return cut
