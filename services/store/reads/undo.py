"""What is to be done to have an account as it was at a time; see ``services.store.domain.undo``. Nothing here writes."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Final

import attrs
import msgpack

from services.store.domain.flags import keyword_slots, translate
from services.store.domain.names import lookup_name
from services.store.domain.undo import Event, GoneMailbox, Then, look_back, renames
from services.store.readers import Snapshot
from services.store.reads.fates import follow
from services.store.reads.sending import find_account
from services.store.sql.prepared import Cursor
from services.store.sql.statements import bookkeeping, directory, mailboxes, undo
from shared.contract.undo_types import (
    PLANNED_MAX,
    UndoCounts,
    UndoMessage,
    UndoPlan,
    UndoStep,
)
from shared.errors import BadRequest
from shared.mail.summary import unpack_summary
from shared.model.flags import FIRST_KEYWORD_BIT
from shared.model.ids import MailboxId
from shared.model.packed import pack_u32, pack_u64

SINCE: Final = "undo_since"
STEPS_MAX: Final = 1000
"""Mailboxes in one plan."""
EXAMPLES: Final = 50
FOR_EVER: Final = 2.0**53
"""Where it is not known since when: nothing is."""
PAGE: Final = 10_000


def history_since(cursor: Cursor) -> float:
    """Since when everything can be undone."""
    row = bookkeeping.META.one(cursor, SINCE)
    return float(row[0]) if row else FOR_EVER


def since(snapshot: Snapshot) -> float:
    return history_since(snapshot.cursor)


def held(snapshot: Snapshot) -> tuple[int, int]:
    """Contents that only the history keeps, and their octets in the packs."""
    messages, octets = undo.HELD.all(snapshot.cursor)[0]
    return messages, octets


def rows(snapshot: Snapshot) -> int:
    """Of the history."""
    return int(undo.ROWS.scalar(snapshot.cursor) + undo.EVENT_ROWS.scalar(snapshot.cursor))


@attrs.frozen
class _Scope:
    """What an undo is about."""

    account_id: int
    at: float
    now: dict[int, str]
    """Names of the account's mailboxes by id."""
    gone: dict[int, GoneMailbox]
    then: Then
    dead_again: dict[int, list[int]]
    """UIDs by mailbox that an undo has brought back since."""

    def home(self, mailbox_id: int) -> int:
        """Where what was in a mailbox belongs now; 0: it is to be made."""
        if mailbox_id in self.now:
            return mailbox_id
        name = self.then.names[mailbox_id]
        return next((other for other, other_name in self.now.items() if other_name == name), 0)


def plan(
    snapshot: Snapshot, address: str, at: float, mailbox: str, uids: Collection[int], time: float
) -> UndoPlan:
    """Raises NotFound, BadRequest."""
    cursor = snapshot.cursor
    scope = _scope(cursor, address, at, time)
    moving = renames(scope.then, scope.now)
    wanted = _wanted(scope, mailbox)
    steps: list[UndoStep] = []
    counts = UndoCounts()
    planned, more = 0, False
    order = {mailbox_id: place for place, mailbox_id in enumerate(moving)}
    for mailbox_id in sorted(wanted, key=lambda key: (order.get(key, len(order)), scope.then.names[key])):
        full = planned >= PLANNED_MAX or len(steps) >= STEPS_MAX
        room = 0 if full else PLANNED_MAX - planned
        step = _step(cursor, scope, mailbox_id, moving.get(mailbox_id, ("", ""))[0], frozenset(uids), room, bool(mailbox))
        if not step.counts.total:
            continue
        counts += step.counts
        listed = (len(step.back) + len(step.changed) + len(step.gone)) // 4
        more = more or full or listed < step.counts.total - step.counts.made - step.counts.renamed
        if not full:
            steps.append(step)
            planned += listed
    return UndoPlan(history_since(cursor), tuple(steps), counts, more)


def _scope(cursor: Cursor, address: str, at: float, time: float) -> _Scope:
    account_id = find_account(cursor, address)
    begin = history_since(cursor)
    if at < begin:
        raise BadRequest(f"the history reaches back to {_minute(begin)} only")
    if at > time:
        raise BadRequest("that time is still to come")
    now: dict[int, str] = dict(undo.MAILBOXES.all(cursor, account_id))
    kept_address = directory.ACCOUNT_ADDRESS.scalar(cursor, account_id)
    gone = [GoneMailbox(*row) for row in undo.GONE_MAILBOXES.all(cursor, account_id, kept_address, at)]
    accounts = {account_id, *(each.account_id for each in gone)}
    events = [event for each in sorted(accounts) for event in _events(cursor, each, at)]
    if len(accounts) > 1:
        events.sort(key=lambda event: event.at)
    then = look_back(events, now, gone)
    return _Scope(account_id, at, now, {each.mailbox_id: each for each in gone}, then, _dead_then(cursor, then, at))


def _minute(seconds: float) -> str:
    return "now" if seconds == FOR_EVER else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _events(cursor: Cursor, account_id: int, at: float) -> Iterable[Event]:
    after = 0
    while True:
        found = undo.EVENTS.all(cursor, account_id, at, after, PAGE)
        for _, happened_at, what, mailbox_id, uids, detail in found:
            yield Event(happened_at, what, mailbox_id, uids, msgpack.unpackb(detail) if detail else ())
        if len(found) < PAGE:
            return
        after = found[-1][0]


def _dead_then(cursor: Cursor, then: Then, at: float) -> dict[int, list[int]]:
    """What was dead at the time, was brought back since, and is alive now: UIDs by mailbox."""
    found: list[tuple[int, int]] = []
    for brought in then.brought:
        by_mailbox: dict[int, dict[int, int]] = {}
        for uid, (mailbox_id, dead_uid) in zip(brought.uids, brought.dead, strict=True):
            by_mailbox.setdefault(mailbox_id, {})[dead_uid] = uid
        for mailbox_id, uids in by_mailbox.items():
            later = {row[0] for row in undo.BURIED_OF.all(cursor, list(uids), mailbox_id) if row[3] > at}
            found += [(brought.mailbox_id, uid) for dead_uid, uid in uids.items() if dead_uid not in later]
    alive: dict[int, list[int]] = {}
    for fate in follow(cursor, found).values():
        if fate.live is not None:
            alive.setdefault(fate.live[0], []).append(fate.live[1])
    return alive


def _wanted(scope: _Scope, mailbox: str) -> list[int]:
    """Mailboxes that were there then. Raises BadRequest."""
    there = [key for key in (*scope.now, *scope.gone) if key not in scope.then.made or key in scope.dead_again]
    if not mailbox:
        return there
    name = lookup_name(mailbox)
    found = [key for key in there if name in {scope.now.get(key), scope.then.names[key]}]
    if not found:
        raise BadRequest("there was no such mailbox then")
    return found


def _step(
    cursor: Cursor, scope: _Scope, mailbox_id: int, renamed: str, uids: frozenset[int], room: int, examples: bool
) -> UndoStep:
    """``room``: messages that it may list. All are counted."""
    home = scope.home(mailbox_id)
    flags = scope.then.flags_in(mailbox_id)
    back, moved, changed = _lost(cursor, scope, mailbox_id, home, flags)
    changed_here = _changed(cursor, scope, mailbox_id, flags) if mailbox_id in scope.now else {}
    gone = sorted(scope.dead_again.get(mailbox_id, ()))
    if uids:
        back, changed, changed_here = _of(back, uids), _of(changed, uids), _of(changed_here, uids)
        gone = [uid for uid in gone if uid in uids]
        moved &= uids
    there = changed | back
    listed = sorted(there)[:room]
    here = sorted(changed_here)[: room - len(listed)]
    return UndoStep(
        MailboxId(mailbox_id),
        scope.then.names[mailbox_id],
        make=not home,
        renamed=renamed,
        back=pack_u32(listed),
        back_flags=pack_u64([there[uid] for uid in listed]),
        changed=pack_u32(here),
        changed_flags=pack_u64([changed_here[uid] for uid in here]),
        gone=pack_u32(gone[: room - len(listed) - len(here)]),
        counts=UndoCounts(
            len(back) - len(moved), len(moved), len(changed) + len(changed_here), len(gone), int(not home), int(bool(renamed))
        ),
        examples=_examples(cursor, mailbox_id, sorted(back)[:EXAMPLES]) if examples else (),
    )


def _of(flags: dict[int, int], uids: frozenset[int]) -> dict[int, int]:
    return {uid: value for uid, value in flags.items() if uid in uids}


def _lost(
    cursor: Cursor, scope: _Scope, mailbox_id: int, home: int, flags: dict[int, int]
) -> tuple[dict[int, int], set[int], dict[int, int]]:
    """Of what was there then and is not: flags of what is not at home, those of it that are alive, flags of what is at home with others."""
    lost = undo.LOST.all(cursor, mailbox_id, scope.at, int(scope.at))
    fates = follow(cursor, [(mailbox_id, row[0]) for row in lost])
    came: set[tuple[str, int]] = set()
    if home and lost:
        # another way back: a backup
        came = set(undo.CAME_AFTER.all(cursor, home, int(scope.at)))
    to = _translation(cursor, mailbox_id, home)
    back: dict[int, int] = {}
    moved: set[int] = set()
    changed: dict[int, int] = {}
    entered = scope.then.entered(mailbox_id)
    for uid, buried_flags, uidl, content_id in lost:
        if uid in entered:
            continue
        was: int = flags[uid] if uid in flags else buried_flags  # noqa: SIM401  its type
        fate = fates[mailbox_id, uid]
        if fate.live is not None and fate.live[0] == home:
            if to.of(was) != fate.flags:
                changed[uid] = was
        elif fate.live is not None and fate.live[0] in scope.now:
            back[uid] = was
            moved.add(uid)
        elif (uidl, content_id) not in came:
            back[uid] = was
    return back, moved, changed


@attrs.frozen
class _Translation:
    """Of flags between two mailboxes; -1 where a keyword is not known there. None: they are one."""

    slots: dict[int, int] | None

    def of(self, flags: int) -> int:
        if self.slots is None:
            return flags
        keywords = flags >> FIRST_KEYWORD_BIT
        if any(keywords >> slot & 1 and slot not in self.slots for slot in range(keywords.bit_length())):
            return -1
        return translate(flags, self.slots)


def _translation(cursor: Cursor, mailbox_id: int, home: int) -> _Translation:
    if mailbox_id == home:
        return _Translation(None)
    there = keyword_slots([name for (name,) in mailboxes.KEYWORDS.all(cursor, home)])
    names = keywords_then(cursor, mailbox_id)
    return _Translation({slot: there[name.lower()] for slot, name in enumerate(names) if name.lower() in there})


def keywords_then(cursor: Cursor, mailbox_id: int) -> list[str]:
    """By slot, also of a mailbox that is gone."""
    row = undo.GONE_MAILBOX.one(cursor, mailbox_id)
    if row is not None:
        return str(row[3]).split()
    return [name for (name,) in mailboxes.KEYWORDS.all(cursor, mailbox_id)]


def _changed(cursor: Cursor, scope: _Scope, mailbox_id: int, flags: dict[int, int]) -> dict[int, int]:
    """Flags of then, of messages that are there with others."""
    found = set(undo.LIVE_OF.all(cursor, list(flags), mailbox_id))
    entered = scope.then.entered(mailbox_id)
    return {
        uid: flags[uid] for uid, now, saved in found if saved <= scope.at and flags[uid] != now and uid not in entered
    }


def _examples(cursor: Cursor, mailbox_id: int, uids: list[int]) -> tuple[UndoMessage, ...]:
    found = []
    for uid, date, blob in sorted(set(undo.SUMMARIES.all(cursor, uids, mailbox_id))):
        try:
            summary = unpack_summary(blob)
        except ValueError:
            continue
        sender = summary.from_[0].address if summary.from_ else ""
        found.append(UndoMessage(uid, date, summary.subject[:200], sender))
    return tuple(found)
