"""What a device sees by POP3, what POP3 does for an account, and what was hidden long enough."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs

from services.store.domain.devices import named, parse_login
from services.store.domain.names import INBOX, lookup_name
from services.store.domain.pop3_login import MaildropLogin, readings
from services.store.domain.pop3_view import (
    Meaning,
    View,
    cutoff,
    decode,
    meaning,
    old_ranges,
    union,
)
from services.store.readers import Snapshot
from services.store.reads.directory import credentials
from services.store.reads.sending import find_account
from services.store.sql.prepared import Cursor
from services.store.sql.statements import pop3
from shared.contract.pop3_types import Pop3State
from shared.errors import GrantExpired
from shared.model.pop3 import Dele

PAGE: Final = 200


def view_of(cursor: Cursor, mailbox_id: int, uidvalidity: int, device_id: int) -> View:
    """A new one where there is none, or one of another UIDVALIDITY."""
    row = pop3.VIEW.one(cursor, mailbox_id, device_id)
    return View(uidvalidity) if row is None or row[0] != uidvalidity else view_from(row)


def view_from(columns: Sequence[Any]) -> View:
    """Of the columns of ``pop3.VIEW``."""
    uidvalidity, hidden, fetched, repeats, tidy_at = columns
    return View(uidvalidity, decode(hidden), decode(fetched), repeats, tidy_at)


def find_login(snapshot: Snapshot, username: str, separator: str) -> MaildropLogin:
    """What a user name means here: the best reading that names an account, with its device if it names one; else as it stands.

    All readings are looked up, whatever is found: the time does not tell whose account there is.
    """
    known = [(reading, credentials(snapshot, reading.username)) for reading in readings(username, separator)]
    for reading, found in known:
        device = parse_login(reading.username).device
        if found is not None and (not device or named(found.devices, device) is not None):
            name = lookup_name(reading.mailbox)
            return attrs.evolve(reading, mailbox="" if name == INBOX else name)
    return MaildropLogin(username)


def meaning_for(cursor: Cursor, account_id: int, defaults: Meaning) -> Meaning:
    """What DELE means for an account. Raises GrantExpired where it is gone."""
    row = pop3.SETTING.one(cursor, account_id)
    if row is None:
        raise GrantExpired
    return meaning(row[1], row[2], defaults)


def state_of(cursor: Cursor, account_id: int, defaults: Meaning) -> Pop3State:
    """Raises GrantExpired where the account is gone."""
    row = pop3.SETTING.one(cursor, account_id)
    if row is None:
        raise GrantExpired
    address, dele, keep_days = row
    means = meaning(dele, keep_days, defaults)
    return Pop3State(address, means.dele, means.keep_days, None if dele is None else Dele(dele), keep_days)


def state_named(snapshot: Snapshot, address: str, defaults: Meaning) -> Pop3State:
    """Raises NotFound."""
    return state_of(snapshot.cursor, find_account(snapshot.cursor, address), defaults)


def downloaded_ranges(cursor: Cursor, mailbox_id: int, uidvalidity: int, day: int) -> list[tuple[int, int]]:
    """Messages of a mailbox that some device first fetched on that day or before, as ascending ranges of UIDs."""
    views = pop3.FETCHED.all(cursor, mailbox_id, uidvalidity)
    return union(bounds for (fetched,) in views for bounds in old_ranges(decode(fetched), day))


@attrs.frozen
class Hiding:
    """Mailboxes with messages that were hidden long enough."""

    due: tuple[int, ...]
    next: int
    """Look on after this mailbox; 0: that was all."""


def hiding(snapshot: Snapshot, after: int, today: int, defaults: Meaning) -> Hiding:
    """A page of mailboxes."""
    rows = pop3.HIDING.all(snapshot.cursor, after, PAGE)
    due = []
    for mailbox_id, _, since, dele, keep_days in rows:
        days = meaning(dele, keep_days, defaults).keep_days
        if days and since <= cutoff(today, days):
            due.append(mailbox_id)
    return Hiding(tuple(due), rows[-1][0] if len(rows) == PAGE else 0)


def hidden_uids(cursor: Cursor, mailbox_id: int, uidvalidity: int, day: int, limit: int) -> list[int]:
    """The oldest messages that some device hid on that day or before and that are still there."""
    views = pop3.HIDDEN.all(cursor, mailbox_id, uidvalidity)
    ranges = union(bounds for (hidden,) in views for bounds in old_ranges(decode(hidden), day))
    return list(living(cursor, mailbox_id, ranges, limit))


def living(cursor: Cursor, mailbox_id: int, ranges: Sequence[tuple[int, int]], limit: int) -> Iterator[int]:
    """The first so many UIDs that are there."""
    left = limit
    for first, last in ranges:
        for (uid,) in pop3.UIDS_BETWEEN.all(cursor, mailbox_id, first, last, left):
            yield uid
            left -= 1
        if not left:
            return
